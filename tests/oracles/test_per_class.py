"""Figures of each class against scikit-learn's, and their intervals against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from modiste.evaluate.intervals import f1_interval
from modiste.evaluate.metrics import confusion
from modiste.evaluate.per_class import per_class


@pytest.fixture(name="answers")
def _answers() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(11)
    labels = chance.integers(0, 7, 900)
    wrong = chance.random(900) < 0.3
    return np.where(wrong, chance.integers(0, 7, 900), labels), labels


def test_precision_recall_and_f1_are_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, labels = answers
    found = per_class(confusion(predicted, labels, 7))
    precision, recall, f1, images = precision_recall_fscore_support(labels, predicted)
    for k, figures in enumerate(found):
        assert figures.precision is not None
        assert figures.recall is not None
        assert figures.f1 is not None
        assert figures.precision.value == pytest.approx(precision[k], rel=1e-15)
        assert figures.recall.value == pytest.approx(recall[k], rel=1e-15)
        assert figures.f1.value == pytest.approx(f1[k], rel=1e-15)
        assert figures.images == images[k]


@pytest.mark.parametrize(("right", "missed", "mistaken"), [(90, 10, 20), (3, 1, 0), (0, 4, 4)])
def test_the_interval_of_f1_is_scipys_wilson_of_the_jaccard_index_put_through_f1(
    right: int, missed: int, mistaken: int
) -> None:
    index = binomtest(right, right + missed + mistaken).proportion_ci(method="wilson")
    low, high = f1_interval(right, missed, mistaken)
    # Wilson's formula in another order of operations.
    assert low == pytest.approx(2 * index.low / (1 + index.low), abs=1e-14)
    assert high == pytest.approx(2 * index.high / (1 + index.high), abs=1e-14)
