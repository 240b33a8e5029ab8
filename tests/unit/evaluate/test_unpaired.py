"""Rows that may be the best one, by their accuracies alone."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.errors import SpecError
from modiste.evaluate.unpaired import may_be_best


def test_the_first_is_always_among_them() -> None:
    assert may_be_best([0.9], 100) == [True]
    assert may_be_best([], 100) == []
    assert may_be_best([1.0, 1.0, 0.5], 10_000) == [True, True, False]


@pytest.mark.parametrize("total", [1, 2])
def test_a_row_that_is_always_right_on_a_handful_of_images_proves_nothing(total: int) -> None:
    # By Fisher's exact test all right and all wrong of two differ with a p value of 1/6.
    assert may_be_best([1.0, 0.0], total) == [True, True]
    assert may_be_best([1.0, 0.0, 0.0], total) == [True, True, True]


def test_all_right_and_all_wrong_of_ten_images_are_told_apart() -> None:
    assert may_be_best([1.0, 0.0], 10) == [True, False]
    assert may_be_best([1.0, 1.0, 0.0], 10) == [True, True, False]


def test_more_images_tell_more_rows_apart() -> None:
    assert may_be_best([0.92, 0.90], 1_000) == [True, True]
    assert may_be_best([0.92, 0.90], 10_000) == [True, False]


def test_more_rows_make_it_harder_to_leave_one_out() -> None:
    few, many = [0.92, 0.914], [0.92, *[0.914] * 30]
    # A lead of 1.54 standard errors.
    assert not may_be_best(few, 10_000, level=0.9)[1]
    assert all(may_be_best(many, 10_000, level=0.9))


def test_the_best_one_is_among_them_as_often_as_is_claimed() -> None:
    chance = np.random.default_rng(0)
    truths = np.array([0.92, 0.918, 0.918, 0.915, 0.90])
    draws = chance.binomial(2_000, truths, size=(1_000, len(truths))) / 2_000
    kept = np.mean([may_be_best(list(row), 2_000)[0] for row in draws])
    # 1000 draws: the standard error of 95 % is 0.7 points; it may hold more often than that.
    assert kept >= 0.95 - 3 * 0.007


@pytest.mark.parametrize(
    ("accuracy", "total", "level"), [(1.2, 10, 0.9), (0.5, 0, 0.9), (0.5, 9, 1)]
)
def test_what_makes_no_sense_is_refused(accuracy: float, total: int, level: float) -> None:
    with pytest.raises(SpecError):
        may_be_best([accuracy, 0.5], total, level)
