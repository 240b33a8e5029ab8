"""Folds are allowed for what they share, and slices are called what they are."""

from __future__ import annotations

from statistics import fmean, variance

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from modiste.errors import SpecError
from modiste.evaluate.crossval import cross_validated, fold_difference, fold_standings, slices
from modiste.interval import wilson

# So many images that they leave nothing open beside the folds.
MANY = 10_000_000


def alike(number: int) -> list[np.ndarray]:
    """Of so many points, answers to images that leave next to nothing open: many, and all right."""
    return [np.ones(100_000)] * number


def right(number: int, total: int) -> np.ndarray:
    """So many of all images, the first ones."""
    return (np.arange(total) < number).astype(float)


def test_without_shared_images_it_is_students_interval() -> None:
    scores = [0.9, 0.91, 0.93, 0.92]
    found = cross_validated(scores, 0.0, MANY)
    wanted = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert found == pytest.approx((wanted.low, wanted.high))


def test_no_accuracy_lies_beyond_0_or_1() -> None:
    near = cross_validated([0.99, 1.0, 0.98], 0.5, MANY)
    assert (near.low > 0.9, near.high) == (True, 1.0)
    assert cross_validated([1.0, 0.9], 1.0, MANY) == (0.0, 1.0)


def test_what_the_folds_share_widens_it_by_the_known_factor() -> None:
    scores = [0.9, 0.91, 0.93, 0.92, 0.9]
    plain, corrected = cross_validated(scores, 0.0, MANY), cross_validated(scores, 0.25, MANY)
    ratio = (corrected.high - corrected.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(((1 / 5 + 0.25) / (1 / 5)) ** 0.5)
    assert fmean(corrected) == pytest.approx(fmean(scores))
    assert variance(scores) > 0


def test_five_folds_with_retraining_cover_what_the_method_reaches() -> None:
    """The accuracy of a method trained on other images of the same kind, told by simulation."""
    chance = np.random.default_rng(0)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = chance.integers(0, 2, count)
        return chance.normal(0, 1, (count, 5)) + 0.5 * labels[:, np.newaxis], labels

    far = draw(50_000)
    truth = fmean(LogisticRegression().fit(*draw(160)).score(*far) for _ in range(60))
    num_trials, hits = 150, 0
    for trial in range(num_trials):
        folds = StratifiedKFold(5, shuffle=True, random_state=trial)
        scores = cross_val_score(LogisticRegression(), *draw(200), cv=folds)
        low, high = cross_validated(scores.tolist(), 0.25, 200)
        hits += low <= truth <= high
    # Meant to cover at least as often as it says; five standard errors below would be a mistake.
    assert hits / num_trials >= 0.95 - 5 * (0.95 * 0.05 / num_trials) ** 0.5


def test_slices_scatter_as_the_binomial_law_says() -> None:
    right_N = np.random.default_rng(1).random(10_000) < 0.93
    found = slices(right_N, 5)
    assert found.mean == pytest.approx(fmean(found.accuracies))
    assert found.mean == right_N.mean()
    assert found.expected == pytest.approx((0.93 * 0.07 / 2_000) ** 0.5, rel=0.05)
    # A standard deviation from five numbers lies within a factor of three nearly always.
    assert found.expected / 3 < found.standard_deviation < 3 * found.expected


@pytest.mark.parametrize("count", [1, 11])
def test_slices_that_make_no_sense_are_refused(count: int) -> None:
    with pytest.raises(SpecError, match="slices of 10 images"):
        slices(np.ones(10, bool), count)


def test_one_training_is_no_cross_validation() -> None:
    with pytest.raises(SpecError, match="two trainings"):
        cross_validated([0.9], 0.25, MANY)


def test_points_are_compared_fold_by_fold_as_a_paired_t_test_would() -> None:
    one, two = [0.9, 0.91, 0.93, 0.92], [0.9, 0.9, 0.91, 0.92]
    _, behind = fold_standings([one, two], alike(2), 0.0)
    wanted = stats.ttest_rel(one, two, alternative="greater").pvalue
    assert behind.p_value == pytest.approx(wanted)
    _, three_of_them, _ = fold_standings([one, two, two], alike(3), 0.0)
    assert three_of_them.p_value == pytest.approx(2 * wanted)  # Bonferroni
    _, shared = fold_standings([one, two], alike(2), 0.25)
    ratio = shared.standard_error / behind.standard_error
    assert ratio == pytest.approx(((1 / 4 + 0.25) / (1 / 4)) ** 0.5)


def test_folds_that_all_agree_leave_a_tie_or_none() -> None:
    tie, far = [0.9, 0.9], [0.8, 0.8]
    right_PN = [right(number, 10_000) for number in (9_000, 9_000, 8_000)]
    found = fold_standings([tie, tie, far], right_PN, 0.25)
    assert [standing.may_be_best for standing in found] == [True, True, False]


def test_folds_that_score_alike_by_chance_leave_the_doubt_of_the_images() -> None:
    assert cross_validated([1.0] * 5, 0.25, 100) == wilson(100, 100)
    assert cross_validated([0.95] * 5, 0.25, 100) == wilson(95, 100)
    one, two = [0.95, 0.95], [0.90, 0.90]
    right_PN = [right(95, 100), right(90, 100)]
    _, behind = fold_standings([one, two], right_PN, 0.5)
    # One image more, that only one of the two got right.
    assert behind.standard_error == pytest.approx(((0.05 * 0.95 * 100 + 1) / 100**2) ** 0.5)
    assert behind.p_value == pytest.approx(stats.t.sf(0.05 / behind.standard_error, 1))
    half = stats.t.ppf(0.975, 1) * behind.standard_error
    found = fold_difference(one, two, right_PN[0] - right_PN[1], 0.5)
    assert found == pytest.approx((0.05 - half, 0.05 + half))


def test_a_spread_by_rounding_alone_is_none() -> None:
    """Each of three folds of 20 images has one that the first got right alone."""
    one, two = [0.95, 0.90, 0.85], [0.90, 0.85, 0.80]
    assert variance(a - b for a, b in zip(one, two, strict=True)) > 0
    right_PN = [right(54, 60), right(51, 60)]
    _, behind = fold_standings([one, two], right_PN, 0.5)
    assert behind.standard_error == pytest.approx(((3 * 0.95 + 1) / 60**2) ** 0.5)
    assert behind.p_value > 1 / 8  # three signs that agree
    again = [0.1 + 0.2, 0.3 + 0.6, 0.1 + 0.7]
    _, level = fold_standings([again, [0.3, 0.9, 0.8]], alike(2), 0.5)
    assert level.p_value == pytest.approx(0.5)


@pytest.mark.parametrize(("accuracy", "num_images"), [(0.99, 100), (0.995, 360), (0.95, 100)])
def test_intervals_cover_what_a_few_images_leave_open(accuracy: float, num_images: int) -> None:
    chance = np.random.default_rng(4)
    num_trials, hits = 1_000, 0
    for _ in range(num_trials):
        right_N = chance.random(num_images) < accuracy
        scores = [float(part.mean()) for part in np.array_split(right_N, 5)]
        low, high = cross_validated(scores, 0.25, num_images)
        hits += low <= accuracy <= high
    # Meant to cover at least as often as it says; five standard errors below would be a mistake.
    assert hits / num_trials >= 0.95 - 5 * (0.95 * 0.05 / num_trials) ** 0.5


@pytest.mark.parametrize("scores", [[], [[0.9]], [[0.9, 0.9], [0.9]]])
def test_points_with_other_trainings_are_not_compared(scores: list[list[float]]) -> None:
    with pytest.raises(SpecError, match="the same two or more trainings"):
        fold_standings(scores, alike(len(scores)), 0.25)
    with pytest.raises(SpecError, match="the same two or more trainings"):
        fold_difference([0.9, 0.9], [0.9], np.ones(2), 0.25)


def test_of_equally_good_methods_none_is_lost_more_often_than_promised() -> None:
    """Scores that hang together as those of folds do: a part is common to all trainings."""
    chance = np.random.default_rng(2)
    num_trials, num_points, lost = 1_000, 4, 0
    for _ in range(num_trials):
        # Correlation of the folds' differences equals the share held out, as the method assumes.
        common = chance.normal(0, 0.2**0.5, (num_points, 1))
        scores = common + chance.normal(0, 0.8**0.5, (num_points, 5))
        lost += not fold_standings(scores.tolist(), alike(4), 0.25)[0].may_be_best
    assert lost / num_trials <= 0.05 + 5 * (0.05 * 0.95 / num_trials) ** 0.5


@pytest.mark.parametrize(("num_images", "folds", "num_points"), [(100, 2, 8), (60, 2, 4)])
def test_of_equally_good_points_none_is_lost_where_few_images_make_folds_agree(
    num_images: int, folds: int, num_points: int
) -> None:
    """On few images some points differ by one count in each fold, which is no certainty."""
    chance = np.random.default_rng(5)
    num_trials, lost = 400, 0
    for _ in range(num_trials):
        easy_N = chance.beta(4.5, 0.5, num_images)
        right_PN = [(chance.random(num_images) < easy_N) * 1.0 for _ in range(num_points)]
        scores = [[float(part.mean()) for part in np.array_split(r, folds)] for r in right_PN]
        lost += not fold_standings(scores, right_PN, 1 / (folds - 1))[0].may_be_best
    assert lost / num_trials <= 0.05
