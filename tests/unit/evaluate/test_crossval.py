"""Folds are allowed for what they share, and slices are called what they are."""

from __future__ import annotations

from statistics import fmean, variance

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from modiste.errors import SpecError
from modiste.evaluate.crossval import cross_validated, slices


def test_without_shared_images_it_is_students_interval() -> None:
    scores = [0.9, 0.91, 0.93, 0.92]
    found = cross_validated(scores, 0.0)
    wanted = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert found == pytest.approx((wanted.low, wanted.high))


def test_what_the_folds_share_widens_it_by_the_known_factor() -> None:
    scores = [0.9, 0.91, 0.93, 0.92, 0.9]
    plain, corrected = cross_validated(scores, 0.0), cross_validated(scores, 0.25)
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
        low, high = cross_validated(scores.tolist(), 0.25)
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
        cross_validated([0.9], 0.25)
