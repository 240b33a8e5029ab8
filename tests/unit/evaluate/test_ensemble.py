"""The mean of several models' probabilities, and what it adds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from modiste.errors import DataError
from modiste.evaluate.ensemble import evaluate_together, together
from modiste.evaluate.intervals import Difference, difference_interval
from modiste.evaluate.metrics import losses, probabilities
from modiste.evaluate.summary import summarise

LABELS_N = np.arange(300) % 4


def members(num: int, seed: int = 0) -> list[np.ndarray]:
    """Logits that err independently."""
    chance = np.random.default_rng(seed)
    logits = [chance.normal(0, 1, (300, 4)).astype(np.float32) for _ in range(num)]
    for each in logits:
        each[np.arange(300), LABELS_N] += 1.5
    return logits


def test_it_is_the_mean_of_the_probabilities() -> None:
    three = members(3)
    wanted = np.mean([softmax(each.astype(float), axis=1) for each in three], axis=0)
    # Sums of four numbers below 1, computed in another order.
    np.testing.assert_allclose(probabilities(together(three)), wanted, rtol=1e-13)
    np.testing.assert_allclose(np.exp(together(three)), wanted, rtol=1e-13)


def test_of_one_model_it_is_that_model() -> None:
    (one,) = members(1)
    np.testing.assert_allclose(probabilities(together([one])), probabilities(one), rtol=1e-13)


def test_a_class_that_every_member_rules_out_has_a_finite_loss() -> None:
    # The right class has exp(-2000), which is 0 in any float; its logarithm is kept.
    sure = np.array([[2000.0, 0.0]])
    logits = together([sure, sure])
    assert losses(logits, np.array([1]))[0] == pytest.approx(2000.0)


def test_it_is_evaluated_like_any_model() -> None:
    three = members(3)
    found = evaluate_together(three, LABELS_N, best=1)
    assert found.figures == summarise(together(three), LABELS_N)
    assert found.best_figures == summarise(three[1], LABELS_N)


def test_what_it_adds_is_the_difference_of_the_figures_image_by_image() -> None:
    three = members(3)
    found = evaluate_together(three, LABELS_N, best=2)
    ours, best = found.figures, found.best_figures
    gain = found.over_best
    assert gain.accuracy.mean == pytest.approx(ours.accuracy.value - best.accuracy.value)
    assert gain.loss.mean == pytest.approx(ours.loss.value - best.loss.value)
    assert gain.brier.mean == pytest.approx(ours.brier.value - best.brier.value)
    by_image = losses(together(three), LABELS_N) - losses(three[2], LABELS_N)
    assert gain.loss.standard_error == pytest.approx(by_image.std() / np.sqrt(300))
    mean = np.mean([(each.argmax(axis=1) == LABELS_N).mean() for each in three])
    assert found.over_mean.accuracy.mean == pytest.approx(ours.accuracy.value - mean)


def test_members_that_err_apart_gain_and_equal_ones_do_not() -> None:
    apart = evaluate_together(members(5), LABELS_N, best=0).over_mean
    assert difference_interval(apart.accuracy).low > 0
    assert difference_interval(apart.loss).high < 0
    (one,) = members(1)
    alike = evaluate_together([one, one], LABELS_N, best=0)
    assert alike.over_best.accuracy[:2] == (0.0, 0.0)
    low, high = difference_interval(alike.over_best.accuracy)
    assert -0.01 < low < 0 < high < 0.01
    assert alike.over_best.loss.mean == pytest.approx(0.0, abs=1e-12)


def test_the_interval_of_a_gain_covers_the_truth_as_often_as_it_claims() -> None:
    # Both right 0.85, only the ensemble 0.06, only the single one 0.04, neither 0.05.
    chance = np.random.default_rng(3)
    moves = np.array([0.0, 1.0, -1.0, 0.0])
    counts = chance.multinomial(2_000, [0.85, 0.06, 0.04, 0.05], 2_000)
    hits = 0
    for each in counts:
        by_image = np.repeat(moves, each)
        difference = Difference(float(by_image.mean()), float(by_image.std() / np.sqrt(2_000)))
        low, high = difference_interval(difference)
        hits += low <= 0.02 <= high
    # 2000 draws: the standard error of a 95 % coverage is 0.5 points; we allow 3 of them.
    assert hits / 2_000 == pytest.approx(0.95, abs=0.015)


def test_an_infinite_loss_has_no_difference_and_the_rest_is_there() -> None:
    one, two = (each.astype(np.float64) for each in members(2))
    for each in (one, two):
        each[0, LABELS_N[0]] = -np.inf
    found = evaluate_together([one, two], LABELS_N, best=0)
    assert (found.figures.loss.value, found.figures.loss.interval) == (np.inf, None)
    assert np.isnan(found.over_best.loss.mean)
    assert np.isfinite(found.over_best.accuracy.mean)
    assert np.isfinite(found.over_best.brier.mean)


def test_answers_that_do_not_belong_together_are_refused() -> None:
    one, two = members(2)
    with pytest.raises(DataError, match="cannot be averaged"):
        together([one, two[:-1]])
    with pytest.raises(DataError, match="cannot be averaged"):
        together([])
    with pytest.raises(DataError, match="300 answers do not belong to 299 labels"):
        evaluate_together([one, two], LABELS_N[1:], best=0)
