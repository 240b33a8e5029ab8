"""Metrics of saved predictions: what cannot be measured is refused or NaN, never made up."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.errors import DataError
from modiste.evaluate.metrics import accuracy, confusion, in_top, precision, recall


def test_predictions_and_labels_must_be_as_many() -> None:
    with pytest.raises(DataError, match="do not belong"):
        accuracy(np.array([1, 2]), np.array([1]))


def test_there_is_no_accuracy_of_nothing() -> None:
    with pytest.raises(DataError):
        accuracy(np.array([], int), np.array([], int))


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_refused(label: int) -> None:
    with pytest.raises(DataError, match="outside 0 to 2"):
        confusion(np.array([0, label]), np.array([0, 1]), 3)


def test_a_class_that_is_not_there_has_no_recall_and_no_precision() -> None:
    counts = confusion(np.array([0, 0]), np.array([0, 0]), 2)
    assert recall(counts)[0] == precision(counts)[0] == 1.0
    assert np.isnan(recall(counts)[1])
    assert np.isnan(precision(counts)[1])


def test_of_equal_scores_the_first_is_the_higher_as_it_is_the_answer() -> None:
    level_NK, labels_N = np.zeros((3, 3)), np.array([0, 0, 1])
    assert in_top(level_NK, labels_N, 1).tolist() == [True, True, False]
    assert in_top(level_NK, labels_N, 2).tolist() == [True, True, True]
    assert in_top(level_NK, np.array([2, 2, 2])).tolist() == [False] * 3
    chance = np.random.default_rng(0)
    scores_NK, labels_N = chance.integers(0, 3, (200, 5)).astype(float), chance.integers(0, 5, 200)
    answers_N = scores_NK.argmax(axis=1)
    assert in_top(scores_NK, labels_N, 1).tolist() == (answers_N == labels_N).tolist()
