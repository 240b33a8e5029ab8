"""The calibration error's interval holds the truth, near 0 above all; its yardsticks are right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from modiste.evaluate import miscalibration
from modiste.evaluate.calibration import reliability
from modiste.evaluate.intervals import Interval, wilson
from modiste.evaluate.miscalibration import calibration
from modiste.seeds import generator

Floats = npt.NDArray[np.float64]

# True chance of being right of images that a model is so sure of: calibrated, too sure everywhere
# by little and by much, and too sure in one bin alone.
SHAPES: dict[str, Callable[[Floats], Floats]] = {
    "calibrated": lambda sure: sure,
    "a little proud": lambda sure: _cooled(sure, 1.05),
    "proud": lambda sure: _cooled(sure, 1.4),
    "one bin": lambda sure: np.where((sure > 0.8) & (sure < 13 / 15), sure - 0.15, sure),
}


def _cooled(sure: Floats, by: float) -> Floats:
    odds = np.clip(sure, 1e-9, 1 - 1e-9)
    return np.asarray(1 / (1 + ((1 - odds) / odds) ** (1 / by)), np.float64)


def confidences(chance: np.random.Generator, num_images: int) -> Floats:
    """As trained nets have them: mostly very sure."""
    return np.asarray(0.3 + 0.7 * chance.beta(6, 0.6, num_images), np.float64)


def true_error(right: Callable[[Floats], Floats]) -> float:
    """What endless images would show, in 15 bins."""
    sure = confidences(np.random.default_rng(7), 1_000_000)
    bins = np.minimum((15 * sure).astype(int), 14)
    return float(np.abs(np.bincount(bins, sure - right(sure))).sum() / len(sure))


@pytest.mark.slow
@pytest.mark.parametrize("num_images", [500, 10_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_holds_the_true_error_at_least_as_often_as_it_says(
    shape: str, num_images: int
) -> None:
    chance, right = np.random.default_rng(1), SHAPES[shape]
    truth, num_trials = true_error(right), 120
    hits = 0
    for _ in range(num_trials):
        sure = confidences(chance, num_images)
        low, high = calibration(sure, chance.random(num_images) < right(sure)).interval
        hits += low <= truth <= high
    # Four standard errors of a share of 0.95 over so many trials, on the lower side alone: it may
    # cover more where the shape is a kind one.
    assert hits / num_trials >= 0.95 - 4 * (0.95 * 0.05 / num_trials) ** 0.5


@pytest.mark.parametrize("num_images", [50, 100, 300, 1_500])
@pytest.mark.parametrize(("sure", "right"), [(1.0, 0.98), (1.0, 0.999), (0.999, 0.97)])
def test_it_holds_the_error_of_models_that_are_surer_than_right_in_few_images(
    sure: float, right: float, num_images: int
) -> None:
    chance, num_trials = np.random.default_rng(8), 300
    hits = 0
    drawn = np.bincount(chance.binomial(num_images, 1 - right, num_trials))
    for wrong in np.flatnonzero(drawn):
        found = calibration(np.full(num_images, sure), np.arange(num_images) >= wrong)
        if found.interval.low <= sure - right <= found.interval.high:
            hits += int(drawn[wrong])
    # As above.
    assert hits / num_trials >= 0.95 - 4 * (0.95 * 0.05 / num_trials) ** 0.5


def test_it_is_of_use_where_the_error_is_large() -> None:
    """Neither end is much further away than those of the normal interval would be."""
    chance = np.random.default_rng(2)
    sure = confidences(chance, 10_000)
    found = calibration(sure, chance.random(10_000) < SHAPES["proud"](sure))
    assert 0.025 < found.interval.low < found.error < found.interval.high < 0.065
    assert found.interval.high - found.interval.low < 4 * 1.96 * 0.3 / 10_000**0.5


def test_the_error_is_the_sum_over_bins_written_out() -> None:
    chance = np.random.default_rng(3)
    sure = confidences(chance, 900)
    right = chance.random(900) < _cooled(sure, 2.0)
    wanted = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        own = (sure >= low) & ((sure < high) | (number == 14))
        if own.any():
            wanted += own.mean() * abs(sure[own].mean() - right[own].mean())
    assert calibration(sure, right).error == pytest.approx(wanted, rel=1e-9)
    shares_NK = np.stack([sure, 1 - sure], axis=1)[sure >= 0.5]
    assert reliability(shares_NK, np.zeros(len(shares_NK), np.int64)).counts.sum() == len(shares_NK)


def test_what_a_calibrated_model_would_show_is_what_such_models_show() -> None:
    chance = np.random.default_rng(4)
    sure = confidences(chance, 3_000)
    drawn = [calibration(sure, chance.random(3_000) < sure) for _ in range(150)]
    errors = np.array([found.error for found in drawn])
    # The mean of 150 errors is known to 3 %; bins of few images are not quite normal.
    assert drawn[0].calibrated == pytest.approx(errors.mean(), rel=0.1)
    share = float(np.mean(errors > drawn[0].calibrated_most))
    assert share == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / len(drawn)) ** 0.5)


def test_spiegelhalters_test_is_one_where_models_are_calibrated() -> None:
    chance = np.random.default_rng(5)
    sure = confidences(chance, 400)
    found = [calibration(sure, chance.random(400) < sure) for _ in range(300)]
    # Under the hypothesis p values are uniform; at 1 in 10,000 this test is wrong.
    assert stats.kstest([each.p_value for each in found], "uniform").pvalue > 1e-4
    by_hand = np.sum((1 - sure) * (1 - 2 * sure)) / np.sqrt(
        np.sum((1 - 2 * sure) ** 2 * sure * (1 - sure))
    )
    assert calibration(sure, np.ones(400, bool)).z == pytest.approx(by_hand)
    proud = calibration(sure, chance.random(400) < _cooled(sure, 2.5))
    assert proud.p_value < 0.001
    assert proud.z > 0
    assert proud.pride > 0


def test_the_estimate_lies_in_the_interval_where_it_is_smaller_than_chance_makes_it() -> None:
    sure, right = [], []
    for number in range(8, 15):  # of each bin nearly as many are right as the model is sure of
        middle = (number + 0.5) / 15
        sure += [middle] * 200
        right += [place < round(200 * middle) for place in range(200)]
    found = calibration(np.array(sure), np.array(right))
    assert 0 < found.error < 0.1 * found.calibrated
    assert found.interval.low == 0.0
    assert found.interval.high >= found.error


def test_a_model_that_is_sure_and_right_has_no_error() -> None:
    found = calibration(np.ones(50), np.ones(50, bool))
    assert (found.error, found.interval.low, found.z) == (0.0, 0.0, 0.0)
    assert found.interval == Interval(0.0, found.interval.high)
    # What is right 50 times of 50 may be wrong in 7 of 100.
    assert found.interval.high == pytest.approx(1 - wilson(50, 50).low)


def test_wrong_answers_that_were_certain_are_endless_evidence() -> None:
    found = calibration(np.ones(100), np.arange(100) < 80)
    assert (found.z, found.p_value) == (np.inf, 0.0)


def test_the_same_answers_have_the_same_interval() -> None:
    chance = generator(0, "test")
    sure = chance.uniform(0.4, 1, 300)
    right = chance.random(300) < sure
    assert calibration(sure, right) == calibration(sure, right)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_upper_end_is_the_error_under_which_so_small_an_estimate_is_no_rarer_than_it_may_be(
    level: float,
) -> None:
    chance = np.random.default_rng(9)
    draws = miscalibration._draws(15)[:, :9]
    for _ in range(20):
        noise_B = chance.exponential(1e-3, 9)
        gaps_B = chance.normal(0.0, 4e-3, 9)
        high = miscalibration._interval(gaps_B, noise_B, draws, 3.0, level).high
        shown = np.abs(high / noise_B.sum() + draws) @ noise_B
        # Twenty halvings of the range, which is the error and ten times the noise.
        error = np.abs(gaps_B).sum()
        close = (error + 10 * noise_B.sum()) / 2**19
        assert np.quantile(shown, (1 - level) / 2) == pytest.approx(error, rel=0, abs=close)
