"""How far numbers can be trusted: wrong input, and the ends of the range."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.errors import DataError, SpecError
from modiste.evaluate.intervals import paired_difference, seed_spread, standard_error, wilson


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
    assert paired_difference(answers, answers) == (0.0, 0.0)
