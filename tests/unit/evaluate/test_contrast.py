"""Groups of runs are compared as a statistician would, and nobody is told more than that."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from modiste.errors import SpecError
from modiste.evaluate.contrast import (
    UNMOVED,
    Contrast,
    Pooled,
    alike,
    contrast,
    image_scatter,
    joint_verdict,
    judge,
    pooled,
)
from modiste.evaluate.curse import winners_curse
from modiste.evaluate.doubt import LEAST_TAIL, Doubt, half_width, tail


def test_two_points_with_their_own_seeds_are_a_two_sample_t_test() -> None:
    one, two = [0.910, 0.912, 0.915], [0.907, 0.909, 0.908, 0.911]
    found = contrast([one], [two], pooled([one, two]))
    wanted = stats.ttest_ind(one, two).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_one_seed_each_on_many_images_is_the_paired_difference() -> None:
    chance = np.random.default_rng(0)
    differences_N = chance.choice([-1.0, 0.0, 1.0], p=[0.04, 0.9, 0.06], size=5_000)
    found = contrast([[0.92]], [[0.90]], None, differences_N)
    wanted = stats.ttest_1samp(differences_N, 0).confidence_interval(0.95)
    half = (wanted.high - wanted.low) / 2
    # Of so many images, the one that is added to them is a thousandth of the interval's width.
    assert (found.low, found.high) == pytest.approx((0.02 - half, 0.02 + half), abs=1e-3 * half)


def test_a_handful_of_images_that_all_say_the_same_is_no_certainty() -> None:
    for count in (1, 2, 5):
        found = contrast([[1.0]], [[0.0]], None, np.ones(count))
        assert found.low is not None
        # Two halves of an image, one for each side, as Agresti and Min add them.
        extended = np.concatenate([np.repeat(np.ones(count), 2), [2.0, 0.0]])
        error = (np.sum((extended - 1.0) ** 2) / 2 / count**2) ** 0.5
        assert found.low == pytest.approx(
            1.0 - error * stats.t.ppf(0.975, max(1, count - 1)), abs=1e-12
        )
        assert (judge(found, "more") == "holds") == (count > 2)


def test_other_images_on_either_side_are_two_independent_samples() -> None:
    chance = np.random.default_rng(2)
    first_N, second_N = chance.random(1_000) < 0.9, chance.random(500) < 0.92
    shares = first_N.astype(float), second_N.astype(float)
    found = contrast([[first_N.mean()]], [[second_N.mean()]], None, image_shares=shares)
    wanted = stats.ttest_ind(*shares, equal_var=False).confidence_interval(0.95)
    near = 5e-3 * (wanted.high - wanted.low)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=near)
    assert found.image_error is not None
    # Seeds that hardly move anything do not make images certain.
    still = contrast([[first_N.mean()]], [[second_N.mean()]], Pooled(1e-12, 9), image_shares=shares)
    assert (still.low, still.high) == pytest.approx((found.low, found.high), abs=1e-6)
    with pytest.raises(SpecError, match="not both"):
        contrast([[1.0]], [[1.0]], None, shares[0], image_shares=shares)


def test_each_point_counts_once_however_many_seeds_it_has() -> None:
    found = contrast([[1.0], [3.0, 3.0, 3.0]], [[0.0]], Pooled(1.0, 10))
    assert found.difference == 2.0
    # Variances: (1/1 + 1/3) / 4 of the first group, 1 of the second.
    assert found.seed_error == pytest.approx((1 / 3 + 1) ** 0.5)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(1)
    num_trials, num_points, num_seeds = 2_000, 6, 3
    hits = 0
    for _ in range(num_trials):
        values = chance.normal(0.0, 0.002, (2, num_points, num_seeds))
        found = contrast(values[0].tolist(), values[1].tolist(), pooled([*values[0], *values[1]]))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0 <= found.high
    # Five standard errors of a share of 0.95 over so many trials.
    assert hits / num_trials == pytest.approx(0.95, abs=5 * (0.95 * 0.05 / num_trials) ** 0.5)


def test_the_spread_of_seeds_is_pooled_over_points_that_have_some() -> None:
    assert pooled([[1.0, 3.0], [5.0], [], [2.0, 2.0]]) == Pooled(1.0, 2)
    assert pooled([[1.0], [2.0]]) is None
    assert pooled([]) is None


def test_what_an_image_says_on_one_seed_alone_is_counted_among_the_seeds() -> None:
    right_SN = np.array([[True, True, False, True], [True, False, False, True]])
    same_SN = np.array([[True, False, False, True]] * 4)
    scatters = [image_scatter(right_SN), image_scatter(same_SN)]
    assert scatters == [0.5 / 4, 0.0]
    accuracies = [right_SN.mean(axis=1).tolist(), same_SN.mean(axis=1).tolist()]
    seeds = pooled(accuracies, scatters=scatters)
    assert seeds == Pooled(0.25**2 / 2 / 4, 4, 0.5 / 4 / 4)  # weights 1 and 3, as the variances
    with pytest.raises(SpecError, match="2 points and 1 scatters"):
        pooled(accuracies, scatters=scatters[:1])


def test_of_each_point_what_its_seeds_say_leaves_the_doubt_of_images() -> None:
    chance = np.random.default_rng(4)
    differences_N = chance.choice([-1.0, 0.0, 1.0], p=[0.2, 0.5, 0.3], size=1_000)
    seeds, others = Pooled(1e-3, 9, 0.02), Pooled(1e-3, 9, 0.01)
    points = [[0.9, 0.8], [0.9]], [[0.8]]
    plain, less = (
        contrast(*points, each, differences_N, weights=[0.75, 0.25, 1.0])
        for each in ([seeds._replace(scatter=0.0)] * 3, [seeds, seeds, others])
    )
    assert plain.image_error is not None
    assert less.image_error is not None
    wanted = 0.75**2 * 0.02 / 2 + 0.25**2 * 0.02 + 0.01
    assert plain.image_error**2 - less.image_error**2 == pytest.approx(wanted * 999 / 1_000**2)
    assert plain.seed_error == less.seed_error
    # Where nobody knows the seeds of a point, images are the only doubt, and nothing leaves it.
    alone = contrast(*points, [seeds, seeds, None], differences_N, weights=[0.75, 0.25, 1.0])
    assert alone.image_error == plain.image_error


def test_two_sets_of_images_each_lose_what_their_own_seeds_say() -> None:
    chance = np.random.default_rng(5)
    shares = [(chance.random(count) < 0.7).astype(float) for count in (1_000, 100)]
    plain, less = (
        contrast([[0.7]], [[0.7, 0.7]], Pooled(1e-3, 9, scatter), image_shares=shares)
        for scatter in (0.0, 0.1)
    )
    assert plain.image_error is not None
    assert less.image_error is not None
    wanted = 0.1 * 999 / 1_000**2 + 0.1 / 2 * 99 / 100**2
    assert plain.image_error**2 - less.image_error**2 == pytest.approx(wanted)


def test_seeds_that_lie_close_by_luck_leave_no_less_doubt_than_images_alone() -> None:
    differences_N = np.random.default_rng(6).choice([-1.0, 0.0, 1.0], size=1_000)
    alone, lucky = (
        contrast([[0.9]], [[0.9]], seeds, differences_N)
        for seeds in (None, Pooled(1e-9, 9, scatter=0.5))
    )
    assert (lucky.low, lucky.high) == (alone.low, alone.high)


def test_without_any_doubt_known_there_is_no_interval() -> None:
    found = contrast([[1.0]], [[0.5]], None)
    assert (found.low, found.high, found.seed_error, found.image_error) == (None,) * 4
    assert judge(found, "more") == "undecided"


def test_seeds_that_all_agree_leave_no_doubt() -> None:
    found = contrast([[1.0, 1.0]], [[0.5, 0.5]], Pooled(0.0, 2))
    assert (found.low, found.high) == (0.5, 0.5)


@pytest.mark.parametrize("groups", [([], [[1.0]]), ([[1.0]], [[]]), ([[1.0], []], [[1.0]])])
def test_an_empty_side_is_refused(groups: tuple[list[list[float]], list[list[float]]]) -> None:
    with pytest.raises(SpecError, match="at least one run on each side"):
        contrast(*groups, None)


def test_each_point_has_a_spread_of_its_own_where_they_differ() -> None:
    wide, narrow = Pooled(4.0, 6), Pooled(1.0, 3)
    found = contrast([[3.0, 3.0]], [[1.0], [2.0]], [wide, narrow, narrow])
    # Variances: 4 / 2 of the first group; (1 + 1) / 4 of the second.
    assert found.seed_error == pytest.approx(2.5**0.5)
    half = (2.0 * stats.t.ppf(0.975, 6) ** 2 + 0.5 * stats.t.ppf(0.975, 3) ** 2) ** 0.5
    assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half))
    unknown = contrast([[3.0]], [[1.0]], [wide, None])
    assert unknown.seed_error is None
    assert unknown.low is None


@pytest.mark.parametrize("degrees", [1, 2, 4])
@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0, 10.0])
def test_few_seeds_that_lie_close_by_luck_are_no_narrow_interval(
    degrees: int, ratio: float
) -> None:
    """Seeds and images together, the variance of the first known from a few seeds only."""
    chance = np.random.default_rng(degrees)
    num_trials, by_image = 4_000, 1e-6
    by_seed = ratio * by_image
    off = chance.normal(0.0, (by_seed + by_image) ** 0.5, num_trials)
    seen = by_seed * chance.chisquare(degrees, num_trials) / degrees
    for share in (0.025, 0.05 / 29):
        missed = sum(
            error > half_width([Doubt(variance, degrees), Doubt(by_image, 10_000)], share)
            for error, variance in zip(off, seen, strict=True)
        )
        # At most what is said, and three standard errors of that over so many trials.
        assert missed / num_trials <= share + 3 * (share / num_trials) ** 0.5


def test_a_tail_is_that_of_the_width_that_it_fills() -> None:
    doubts = [Doubt(1.0, 3), Doubt(2.0, math.inf)]
    for share in (0.4, 0.025, 1e-4, 1e-12):
        assert tail(half_width(doubts, share), doubts) == pytest.approx(share, rel=1e-9)
    assert tail(0.0, doubts) == tail(-1.0, doubts) == 0.5
    assert tail(1e9, [Doubt(1.0, math.inf)]) == pytest.approx(LEAST_TAIL)
    assert tail(2.0, [Doubt(4.0, 7)]) == pytest.approx(stats.t.sf(1.0, 7), rel=1e-9)


def test_an_estimate_that_both_sides_lean_on_counts_once() -> None:
    one, two = [0.9375, 1.0], [0.8125, 0.875]
    seeds = pooled([one])
    assert seeds is not None
    found = contrast([one], [two], seeds)
    half = (2 * seeds.variance / 2) ** 0.5 * stats.t.ppf(0.975, 1)
    assert (found.low, found.high) == pytest.approx((0.125 - half, 0.125 + half), abs=1e-12)


def test_weights_say_how_much_each_point_counts() -> None:
    found = contrast([[1.0], [3.0]], [[1.0]], Pooled(1.0, 9), weights=[0.75, 0.25, 1.0])
    assert found.difference == pytest.approx(0.5)
    assert found.seed_error == pytest.approx((0.75**2 + 0.25**2 + 1) ** 0.5)
    with pytest.raises(SpecError, match="3 points, 3 spreads and 2 weights"):
        contrast([[1.0], [3.0]], [[1.0]], None, weights=[1.0, 1.0])


def test_a_point_that_scatters_far_more_leaves_the_pool_and_others_hardly_ever() -> None:
    chance = np.random.default_rng(2)
    num_trials, sent_away, found = 200, 0, 0
    for _ in range(num_trials):
        points = chance.normal(0.9, 0.001, (10, 5)).tolist()
        sent_away += not all(alike(points))
        points[3] = chance.normal(0.9, 0.02, 5).tolist()
        found += alike(points) == [index != 3 for index in range(10)]
    # One group in a hundred, by the level; five standard errors above that would be a mistake.
    assert sent_away / num_trials <= 0.01 + 5 * (0.01 * 0.99 / num_trials) ** 0.5
    assert found / num_trials > 0.95


def test_points_that_were_trained_once_or_always_alike_are_kept() -> None:
    assert alike([]) == []
    assert alike([[1.0], [5.0], [2.0]]) == [True] * 3
    assert alike([[1.0, 1.0], [2.0, 2.0], [1.0, 3.0]]) == [True] * 3


@pytest.mark.parametrize("num_seeds", [3, 5, 7])
def test_equal_counts_are_no_measure_of_others_whatever_their_last_bit(num_seeds: int) -> None:
    """Of every count of 400, the mean of as many equal shares may lie beside them by a bit."""
    for count in range(401):
        equal = [count / 400] * num_seeds
        assert pooled([equal]) == Pooled(0.0, num_seeds - 1)
        assert alike([equal, [0.88, 0.90, 0.91]]) == [True, True]


def test_the_curse_holds_the_truth_although_its_points_were_picked_for_their_figures() -> None:
    """Thirty points, the ten best of one seed each confirmed on five; what they are worth known."""
    chance = np.random.default_rng(3)
    num_trials, spread, hits, sizes = 1_000, 0.0012, 0, []
    for _ in range(num_trials):
        worth = chance.normal(0.908, 0.0008, 30)
        searched = worth + chance.normal(0, spread, 30)
        best = np.argsort(-searched)[:10]
        confirmed = (worth[best][:, np.newaxis] + chance.normal(0, spread, (10, 5))).tolist()
        seeds = pooled(confirmed)
        found = winners_curse(searched[best].tolist(), confirmed, [seeds] * 10)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= float(np.mean(searched[best] - worth[best])) <= found.high
        sizes.append(found.difference)
    assert hits / num_trials == pytest.approx(0.95, abs=5 * (0.95 * 0.05 / num_trials) ** 0.5)
    assert np.mean(sizes) > 0.0005  # above 0: the search promises too much


def test_without_a_spread_of_the_fresh_seeds_the_curse_has_no_interval() -> None:
    found = winners_curse([0.92], [[0.91]], [None])
    assert found.difference == pytest.approx(0.01)
    assert found.low is None
    assert contrast([[0.92]], [[0.91]], [UNMOVED, UNMOVED]).low == pytest.approx(0.01)


def of(low: float, high: float) -> Contrast:
    return Contrast(0.0, 0.0, 0.1, None, low, high)


@pytest.mark.parametrize(
    ("expected", "holds", "fails", "undecided"),
    [
        ("more", (0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2)),
        ("less", (-0.2, -0.1), (0.1, 0.2), (-0.1, 0.2)),
        ("same", (-0.4, 0.4), (0.6, 0.7), (-0.4, 0.6)),
        ("not_less", (-0.4, 9.0), (-0.7, -0.6), (-0.6, 9.0)),
        ("not_more", (-9.0, 0.4), (0.6, 0.7), (-9.0, 0.6)),
    ],
)
def test_only_an_interval_on_one_side_decides(
    expected: str,
    holds: tuple[float, float],
    fails: tuple[float, float],
    undecided: tuple[float, float],
) -> None:
    margin = 0.5 if expected not in ("more", "less") else 0.0
    assert judge(of(*holds), expected, margin) == "holds"
    assert judge(of(*fails), expected, margin) == "fails"
    assert judge(of(*undecided), expected, margin) == "undecided"


def test_a_claim_is_as_strong_as_its_weakest_test() -> None:
    assert joint_verdict(["holds", "holds"]) == "holds"
    assert joint_verdict(["holds", "undecided"]) == "undecided"
    assert joint_verdict([]) == "undecided"
    for others in itertools.product(["holds", "undecided", "fails"], repeat=2):
        assert joint_verdict(["fails", *others]) == "fails"
