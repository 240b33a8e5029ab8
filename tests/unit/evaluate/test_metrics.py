"""Metrics of saved predictions: what cannot be measured is refused or NaN, never made up."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.errors import DataError
from modiste.evaluate.metrics import accuracy, confusion, precision, recall


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
