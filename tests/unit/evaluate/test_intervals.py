"""How far numbers can be trusted: wrong input, and the ends of the range."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from modiste.errors import DataError, SpecError
from modiste.evaluate.intervals import (
    difference_interval,
    f1_interval,
    macro_f1_interval,
    paired_difference,
    seed_spread,
    standard_error,
    wilson,
)


@pytest.mark.parametrize(("correct", "total"), [(0, 1), (0, 10_000), (1, 1), (10_000, 10_000)])
def test_an_interval_holds_its_share_and_stays_between_0_and_1(correct: int, total: int) -> None:
    low, high = wilson(correct, total)
    assert 0 <= low <= correct / total <= high <= 1
    assert low < high


@pytest.mark.parametrize(("correct", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_counts_that_make_no_accuracy_are_refused(correct: int, total: int) -> None:
    with pytest.raises(SpecError, match="no such accuracy"):
        wilson(correct, total)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_proportion(level: float) -> None:
    with pytest.raises(SpecError, match=r"such as 0\.95"):
        wilson(5, 10, level)


def test_a_standard_error_needs_a_proportion_and_an_image() -> None:
    with pytest.raises(SpecError):
        standard_error(91.0, 100)
    with pytest.raises(SpecError):
        standard_error(0.91, 0)


def test_one_seed_has_no_spread() -> None:
    assert seed_spread([0.9]).standard_deviation is None
    with pytest.raises(SpecError):
        seed_spread([])


def test_models_of_different_images_cannot_be_paired() -> None:
    with pytest.raises(DataError, match="same images"):
        paired_difference(np.ones((1, 3), bool), np.ones((1, 4), bool))


def test_two_models_that_answer_alike_differ_by_nothing() -> None:
    answers = np.random.default_rng(0).random((1, 500)) < 0.9
    found = paired_difference(answers, answers)
    assert (found.mean, found.standard_error) == (0.0, 0.0)
    # Other images may still tell them apart: two are added, of which one differs.
    assert difference_interval(found) == pytest.approx((-1.96 / 502, 1.96 / 502), rel=1e-4)


def test_a_single_image_leaves_the_difference_open() -> None:
    for one, two in itertools.product([True, False], repeat=2):
        found = paired_difference(np.array([[one]]), np.array([[two]]))
        low, high = difference_interval(found)
        assert -1 <= low <= found.mean <= high <= 1
        assert high - low > 1


def test_classes_that_do_not_occur_have_no_part_in_macro_f1() -> None:
    right_K, whole_K = np.array([90, 4, 0]), np.array([190, 10, 0])
    assert macro_f1_interval(right_K, whole_K) == macro_f1_interval(right_K[:2], whole_K[:2])
    # Of a single class it is the interval of its F1.
    assert macro_f1_interval(np.array([90]), np.array([190])) == pytest.approx(
        f1_interval(90, 10, 0)
    )
    with pytest.raises(DataError):
        macro_f1_interval(np.zeros(2, int), np.zeros(2, int))
