"""Metrics and intervals against scikit-learn, SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as theirs

from modiste.evaluate.intervals import (
    difference_interval,
    paired_difference,
    standard_error,
    wilson,
)
from modiste.evaluate.metrics import accuracy, confusion, precision, probabilities, recall

NUM_CLASSES = 10


@pytest.fixture(params=range(5), name="answers")
def _answers(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and labels of 400 images; every class is predicted and there."""
    chance = np.random.default_rng(request.param)
    labels = chance.permutation(np.arange(400) % NUM_CLASSES)
    predicted = np.where(chance.random(400) < 0.7, labels, chance.integers(0, NUM_CLASSES, 400))
    return predicted, labels


def test_accuracy_is_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, labels = answers
    assert accuracy(predicted, labels) == theirs.accuracy_score(labels, predicted)


def test_the_confusion_matrix_is_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, labels = answers
    ours = confusion(predicted, labels, NUM_CLASSES)
    assert (ours == theirs.confusion_matrix(labels, predicted)).all()


def test_recall_and_precision_are_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, labels = answers
    counts = confusion(predicted, labels, NUM_CLASSES)
    # Both divide the same whole numbers once, so they may differ in the last bit at most.
    np.testing.assert_allclose(
        recall(counts), theirs.recall_score(labels, predicted, average=None), rtol=1e-15
    )
    np.testing.assert_allclose(
        precision(counts), theirs.precision_score(labels, predicted, average=None), rtol=1e-15
    )


def test_probabilities_are_scipys_softmax() -> None:
    from scipy.special import softmax

    logits_NK = np.random.default_rng(0).normal(0, 30, (200, NUM_CLASSES)).astype(np.float32)
    # Ten float64 exponentials and one sum: a few times the rounding of 2.2e-16.
    np.testing.assert_allclose(
        probabilities(logits_NK), softmax(logits_NK.astype(np.float64), axis=1), rtol=1e-14
    )


@pytest.mark.parametrize(("correct", "total"), [(0, 50), (45, 50), (9_361, 10_000), (7, 7)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_interval_is_scipys(correct: int, total: int, level: float) -> None:
    known = stats.binomtest(correct, total).proportion_ci(level, method="wilson")
    ours = wilson(correct, total, level)
    # SciPy takes its quantile from another routine; 1e-9 is far below one image.
    assert ours.low == pytest.approx(known.low, abs=1e-9)
    assert ours.high == pytest.approx(known.high, abs=1e-9)


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.94])
def test_the_interval_covers_the_truth_as_often_as_it_claims(truth: float) -> None:
    draws = np.random.default_rng(0).binomial(1_000, truth, size=2_000)
    hits = np.mean([low <= truth <= high for low, high in (wilson(int(d), 1_000) for d in draws)])
    # 2,000 draws: the standard error of a 95 % coverage is 0.5 points; we allow 3 of them.
    assert hits == pytest.approx(0.95, abs=0.015)


def test_the_standard_error_is_that_of_many_test_sets() -> None:
    draws = np.random.default_rng(1).binomial(12_000, 0.91, size=20_000) / 12_000
    # The spread of a standard deviation over 20,000 draws is 1 / sqrt(2 * 20,000) = 0.5 %; 4 of it.
    assert standard_error(0.91, 12_000) == pytest.approx(draws.std(), rel=0.02)


def test_the_paired_difference_is_that_of_a_paired_t_test() -> None:
    chance = np.random.default_rng(2)
    one_SN, two_SN = chance.random((3, 900)) < 0.92, chance.random((2, 900)) < 0.90
    ours = paired_difference(one_SN, two_SN)
    known = stats.ttest_rel(one_SN.mean(axis=0), two_SN.mean(axis=0))
    # The t-test divides by n - 1 where we divide by n; everything else is the same sum.
    assert ours.mean / ours.standard_error * np.sqrt(899 / 900) == pytest.approx(
        known.statistic, rel=1e-12
    )


def test_the_paired_standard_error_is_that_of_many_pairs() -> None:
    # Two models of 90 % that share most of their errors, on 2,000 images, 4,000 times.
    chance = np.random.default_rng(3)
    differences, errors = [], []
    for _ in range(4_000):
        draw = chance.random(2_000)
        one, two = draw < 0.90, (draw < 0.88) | (draw > 0.98)
        found = paired_difference(one[np.newaxis], two[np.newaxis])
        differences.append(found.mean)
        errors.append(found.standard_error)
    # The spread of a standard deviation over 4,000 draws is 1 / sqrt(8,000) = 1.1 %; 4 of it.
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.045)


@pytest.mark.parametrize("num_images", [100, 360, 1_000])
@pytest.mark.parametrize(
    ("alone", "other"), [(0.01, 0.0), (0.01, 0.002), (0.005, 0.005), (0.02, 0.005), (0.03, 0.01)]
)
def test_the_interval_of_a_paired_difference_covers_where_hardly_an_image_differs(
    num_images: int, alone: float, other: float
) -> None:
    counts = np.random.default_rng(4).multinomial(
        num_images, [alone, other, 1 - alone - other], size=2_000
    )
    hits = 0
    for pair, number in zip(*np.unique(counts[:, :2], axis=0, return_counts=True), strict=True):
        one, two = np.ones((2, 1, num_images), bool)
        two[0, : pair[0]] = False
        one[0, pair[0] : pair.sum()] = False
        low, high = difference_interval(paired_difference(one, two))
        if low <= alone - other <= high:
            hits += number
    # 2,000 draws: the standard error of a 95 % coverage is 0.5 points; we allow 3 of them. Few
    # counts are possible, which costs up to 1.5 points more (the normal interval: 5 to 32).
    assert hits / 2_000 >= 0.95 - 0.015 - 0.015
