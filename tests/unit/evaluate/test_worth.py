"""What leaving images out does to an accuracy: the figures, and how often the intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.evaluate.intervals import BoolsSN, wilson
from modiste.evaluate.worth import beside_others, measure, without


def test_figures_are_those_of_the_images_that_are_left() -> None:
    chance = np.random.default_rng(0)
    right_SN, removed_N = chance.random((3, 400)) < 0.9, chance.random(400) < 0.2
    found = without(right_SN, removed_N)
    assert (found.removed, found.kept) == (removed_N.sum(), 400 - removed_N.sum())
    assert found.accuracy == pytest.approx(right_SN[:, ~removed_N].mean())
    assert found.difference == pytest.approx(right_SN[:, ~removed_N].mean() - right_SN.mean())
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high


def test_nothing_removed_changes_nothing_and_all_removed_leaves_no_figure() -> None:
    right_SN = np.array([[True, False, True]])
    nothing = without(right_SN, np.zeros(3, bool))
    assert (nothing.difference, nothing.low, nothing.high) == (0, 0, 0)
    everything = without(right_SN, np.ones(3, bool))
    assert (everything.kept, everything.accuracy, everything.low) == (0, None, None)


@pytest.mark.parametrize(
    ("num_images", "share", "gone", "rest"),
    [
        (3_000, 0.05, 0.97, 0.90),
        (2_000, 0.02, 0.97, 0.92),  # often every one that was removed is answered right
        (2_000, 0.02, 0.50, 0.92),
    ],
)
def test_the_interval_covers_the_true_difference_as_often_as_it_claims(
    num_images: int, share: float, gone: float, rest: float
) -> None:
    truth = share * (rest - gone)
    chance = np.random.default_rng(1)
    hits = 0
    for _ in range(1_000):
        removed_N = chance.random(num_images) < share
        right_N = chance.random(num_images) < np.where(removed_N, gone, rest)
        found = without(right_N[np.newaxis], removed_N)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    # 1000 draws: the standard error of a 95 % coverage is 0.7 points; we allow 3 of them.
    assert hits / 1_000 == pytest.approx(0.95, abs=0.021)


def test_the_comparison_with_others_takes_the_classes_out() -> None:
    # Class 0 is easy, class 1 hard; the chosen are mostly of class 0, and no better than others.
    labels_N = np.array([0] * 1_000 + [1] * 1_000)
    right_N = np.concatenate([np.ones(1_000, bool), np.arange(1_000) % 2 == 0])
    chosen_N = np.zeros(2_000, bool)
    chosen_N[:90] = chosen_N[1_000:1_010] = True
    found = beside_others(right_N[np.newaxis], chosen_N, labels_N)
    assert found.count == 100
    assert found.accuracy == pytest.approx(0.95)
    assert found.others == pytest.approx(0.95)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def draw(chance: np.random.Generator, gain: float) -> tuple[BoolsSN, np.ndarray, np.ndarray]:
    labels_N = chance.integers(0, 3, 2_000)
    chosen_N = chance.random(2_000) < 0.04 * (1 + (labels_N == 0))
    shares_N = np.array([0.95, 0.9, 0.7])[labels_N] * np.where(chosen_N, gain, 1)
    return (chance.random(2_000) < shares_N)[np.newaxis], chosen_N, labels_N


def test_its_interval_covers_the_truth_about_as_often_as_it_claims() -> None:
    chance = np.random.default_rng(2)
    weights = np.array([2, 1, 1]) / 4  # of the chosen, by class
    truth = 0.04 * float(weights @ [0.95, 0.9, 0.7])
    hits = 0
    for _ in range(1_000):
        found = beside_others(*draw(chance, 1.04))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    # Wilson's interval errs to the safe side where some classes are nearly always right.
    assert 0.93 <= hits / 1_000 <= 0.99


@pytest.mark.parametrize(
    ("sizes", "shares", "accuracies"),
    [
        ([12] * 3, [0.83] * 3, [0.97] * 3),  # mostly, all that are left are answered right
        ([40] * 5, [0.8] * 5, [0.95] * 5),
        ([40] * 5, [0.6] * 5, [0.97] * 5),
        ([10] * 10, [0.3] * 10, [0.95] * 10),
        # A third of the weight lies on a hundred images of a hard class: its own variance counts.
        ([1_000, 4_000], [0.9, 0.525], [0.5, 0.99]),
    ],
)
def test_its_interval_covers_where_few_others_are_left(
    sizes: list[int], shares: list[float], accuracies: list[float]
) -> None:
    """As in a folder of frames from videos: nearly every image has a duplicate."""
    chance = np.random.default_rng(3)
    labels_N = np.repeat(np.arange(len(sizes)), sizes)
    num_trials, hits = 0, 0
    while num_trials < 1_000:
        chosen_N = chance.random(len(labels_N)) < np.array(shares)[labels_N]
        right_N = chance.random(len(labels_N)) < np.array(accuracies)[labels_N]
        found = beside_others(right_N[np.newaxis], chosen_N, labels_N)
        if found.low is None or found.high is None:  # a class has no others at all
            continue
        num_trials += 1
        hits += found.low <= 0 <= found.high
    # Three standard errors of a share of 0.95 below it; of few images Wilson errs to the safe side.
    assert hits / num_trials >= 0.95 - 3 * (0.95 * 0.05 / num_trials) ** 0.5


def test_others_that_are_all_right_leave_a_doubt() -> None:
    labels_N, chosen_N = np.zeros(20, np.int64), np.arange(20) < 10
    found = beside_others(np.ones((1, 20), bool), chosen_N, labels_N)
    # Both are 10 of 10: Wilson's interval of each is as wide as the other's.
    half = 1 - wilson(10, 10).low
    assert (found.low, found.high) == pytest.approx((-half, half))


def test_a_class_of_chosen_images_alone_leaves_nothing_to_compare_with() -> None:
    found = beside_others(
        np.ones((1, 4), bool), np.array([1, 1, 0, 0], bool), np.array([0, 0, 1, 1])
    )
    assert (found.accuracy, found.others, found.low, found.high) == (1.0, None, None, None)


def test_a_model_is_measured_with_each_kind_of_find_left_out() -> None:
    right_SN = np.array([[True, True, False, True], [True, False, False, True]])
    found_N = {"odd": np.array([False, True, False, True]), "none": np.zeros(4, bool)}
    found = measure("net", right_SN, np.zeros(4, np.int64), found_N, np.zeros(4, bool))
    assert (found.name, found.num_seeds, found.num_images) == ("net", 2, 4)
    assert found.accuracy == pytest.approx(5 / 8)
    assert found.low < found.accuracy < found.high
    assert found.without["odd"].accuracy == pytest.approx(0.5)
    assert found.without["none"].difference == 0
    assert found.on_duplicates is None
