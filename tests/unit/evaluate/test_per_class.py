"""Recall, precision and F1 of each class: their intervals, and what has none."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.errors import SpecError
from modiste.evaluate.intervals import f1_interval, wilson
from modiste.evaluate.per_class import per_class

# Images of each class (row) by what they are taken for: a common, a rare and a hard class.
CHANCES_KK = np.array([[0.60, 0.02, 0.08], [0.01, 0.04, 0.01], [0.10, 0.01, 0.13]])
NUM_IMAGES, NUM_DRAWS = 600, 2_000


def test_intervals_of_recall_and_precision_are_wilsons() -> None:
    (one, _) = per_class(np.array([[90, 10], [20, 80]]))
    assert one.recall is not None
    assert one.precision is not None
    assert one.recall.interval == wilson(90, 100)
    assert one.precision.interval == wilson(90, 110)
    assert (one.images, one.answered, one.right) == (100, 110, 90)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_intervals_cover_the_truth_as_often_as_they_claim(k: int) -> None:
    chance = np.random.default_rng(k)
    row, column, own = CHANCES_KK[k].sum(), CHANCES_KK[:, k].sum(), CHANCES_KK[k, k]
    truth = {"recall": own / row, "precision": own / column, "f1": 2 * own / (row + column)}
    hits = dict.fromkeys(truth, 0)
    for counts in chance.multinomial(NUM_IMAGES, CHANCES_KK.ravel(), NUM_DRAWS):
        figures = per_class(counts.reshape(3, 3))[k]
        for name, value in truth.items():
            low, high = getattr(figures, name).interval
            hits[name] += low <= value <= high
    # 2000 draws: the standard error of a 95 % coverage is 0.5 points; we allow 3 of them, and one
    # point more, because counts are whole and Wilson's coverage waves about its level by as much.
    for name, number in hits.items():
        assert number / NUM_DRAWS == pytest.approx(0.95, abs=0.025), name


def test_a_class_without_images_has_no_recall_and_one_never_answered_no_precision() -> None:
    (there, gone, never) = per_class(np.array([[5, 1, 0], [0, 0, 0], [2, 0, 0]]))
    assert there.f1 is not None
    assert gone.recall is None
    assert gone.precision is not None
    assert gone.precision.value == 0.0
    assert never.precision is None
    assert never.recall is not None
    assert never.f1 is not None
    assert never.f1.value == never.f1.interval.low == 0.0
    (absent, _) = per_class(np.array([[0, 0], [0, 3]]))
    assert absent.f1 is None


@pytest.mark.parametrize(("right", "missed", "mistaken"), [(0, 0, 7), (7, 0, 0), (1, 0, 1)])
def test_an_interval_of_f1_stays_within_0_and_1_and_holds_the_figure(
    right: int, missed: int, mistaken: int
) -> None:
    low, high = f1_interval(right, missed, mistaken)
    assert 0 <= low <= 2 * right / (2 * right + missed + mistaken) <= high <= 1
    assert low < high


def test_counts_that_make_no_f1_are_refused() -> None:
    with pytest.raises(SpecError, match="0 right, 0 missed, 0 mistaken"):
        f1_interval(0, 0, 0)
    with pytest.raises(SpecError, match="-1 right"):
        f1_interval(-1, 2, 0)
