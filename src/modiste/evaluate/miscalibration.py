"""How far confidence lies from accuracy, with an interval that holds near 0 as well.

The usual estimate of the expected calibration error is a sum of absolute values, so noise only
ever adds to it: a perfectly calibrated model shows one above 0, and resampling, which adds the
noise once more, moves an interval away from the truth. Measured with 10,000 images, BCa intervals
held a true error of 0.0002 in no trial at all, and one of 0.005 in 84 of 100.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError
from modiste.evaluate.calibration import NUM_BINS, bins_of
from modiste.evaluate.distributions import normal_share
from modiste.evaluate.intervals import Interval, wilson
from modiste.evaluate.metrics import FloatsN
from modiste.interval import LEVEL
from modiste.seeds import generator

BoolsN = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_NUM_DRAWS = 4_000
# Wrong answers below which a share of them is far from normal.
_FEW_WRONG = 100
# Halvings of the range in which the upper end is looked for: to a millionth of it.
_HALVINGS = 20


@dataclass(frozen=True)
class Calibration:
    """How sure a model is of its answers, beside how often they are right.

    Attributes:
        error: Expected calibration error (ECE) as it is usually given, a proportion: the mean over
            images of the gap between confidence and accuracy of the bin that each falls into. It
            depends on the bins.
        interval: 95 % interval of the error that endless images would show, in the same bins.
        calibrated: What `error` would be in the mean for a perfectly calibrated model that is as
            sure of these images.
        calibrated_most: What it would exceed in one of twenty such sets of images.
        pride: Mean confidence less accuracy.
        z, p_value: Spiegelhalter's test of calibration, and its two-sided p value; infinite and 0
            where answers that were certain are wrong.
    """

    error: float
    interval: Interval
    calibrated: float
    calibrated_most: float
    pride: float
    z: float
    p_value: float


def calibration(
    confidences_N: FloatsN, is_right_N: BoolsN, num_bins: int = NUM_BINS, level: float = LEVEL
) -> Calibration:
    """The calibration error of the answers that a model gave, its interval, and two yardsticks.

    In each bin the gap between confidence and accuracy is a mean over images, and so nearly
    normal; the error is the sum of the gaps' absolute values. Its interval is had by inversion:

    - *Lower end.* Whatever the true gaps, the estimate exceeds the true error by no more than the
      sum of the absolute values of the noise. Where a gap is clear of 0 (by more than the root of
      log N standard errors), the noise counts with its sign instead, as it does there. The lower
      end is the estimate less the upper quantile of that.
    - *Upper end.* Of all ways to spread an error over the bins, the one that is everywhere
      proportional to the noise makes the estimate lean upwards least. The upper end is the largest
      error, so spread, under which so small an estimate is no rarer than it may be.

    - *Few wrong answers.* With fewer than 100, gaps are not normal, and a model that is sure and
      always right would have no error for certain. The error is no less than the gap between mean
      confidence and accuracy, so the upper end is at least the largest that this gap may be, by
      Wilson's lower end of the accuracy.

    So the interval covers what it says for every shape of miscalibration, and more where the
    shape is a kind one. It covers the choice of images alone.

    Args:
        confidences_N: The highest probability of each image.
        is_right_N: Whether the class that has it is the right one.
        num_bins: Of equal width, from 0 to 1.
        level: As a proportion.

    Raises:
        DataError: If there are no images.

    Source:
        The error: M. P. Naeini, G. F. Cooper, M. Hauskrecht, AAAI 2015; C. Guo et al., ICML 2017,
        arXiv:1706.04599. The estimate's lean: J. Broecker, Climate Dynamics 39 (2012) 655-667,
        doi:10.1007/s00382-011-1191-1; A. Kumar, P. Liang, T. Ma, NeurIPS 2019, arXiv:1909.10155.
        A calibrated model as the yardstick: J. Broecker, L. A. Smith, Weather and Forecasting 22
        (2007) 651-661, doi:10.1175/WAF993.1. Which gaps are clear: D. W. K. Andrews, G. Soares,
        Econometrica 78 (2010) 119-157, doi:10.3982/ECTA7502. The test: D. J. Spiegelhalter,
        Statistics in Medicine 5 (1986) 421-433, doi:10.1002/sim.4780050506.

    Example:
        >>> chance = np.random.default_rng(0)
        >>> sure = chance.uniform(0.5, 1, 4_000)
        >>> found = calibration(sure, chance.random(4_000) < sure)
        >>> f"{found.error:.3f} ({found.interval.low:.3f} to {found.interval.high:.3f})"
        '0.012 (0.000 to 0.020)'
    """
    if not len(confidences_N):
        raise DataError("no images to be confident about.")
    confidences_N = np.asarray(confidences_N, np.float64)
    num_images = len(confidences_N)
    own_N = bins_of(confidences_N, num_bins)
    counts_B = np.bincount(own_N, minlength=num_bins)
    used_B = counts_B > 0
    gaps_B = np.bincount(own_N, confidences_N - is_right_N, num_bins)[used_B] / num_images
    noise_B = _noise(confidences_N, is_right_N, own_N, num_bins)[used_B]
    error = float(np.abs(gaps_B).sum())
    # A calibrated model's answers are right with the very probability that it states.
    own_variances_B = np.bincount(own_N, confidences_N * (1 - confidences_N), num_bins)[used_B]
    calibrated_B = np.sqrt(own_variances_B) / num_images
    draws = _draws(num_bins)[:, : len(calibrated_B)]
    shown = np.abs(draws) @ calibrated_B
    z = _spiegelhalter(confidences_N, is_right_N)
    low, high = _interval(gaps_B, noise_B, draws, math.sqrt(math.log(max(num_images, 2))), level)
    right = int(is_right_N.sum())
    if num_images - right < _FEW_WRONG:
        high = max(high, float(confidences_N.mean()) - wilson(right, num_images, level).low)
    return Calibration(
        error,
        Interval(low, high),
        float(calibrated_B.sum() * math.sqrt(2 / math.pi)),
        float(np.quantile(shown, 0.95)),
        float(confidences_N.mean() - is_right_N.mean()),
        z,
        2 * normal_share(-abs(z)),
    )


def _noise(
    confidences_N: FloatsN, is_right_N: BoolsN, own_N: npt.NDArray[np.int64], num_bins: int
) -> Floats:
    """Standard error of each bin's gap, as a share of all images.

    The share of right answers in a bin is taken as (right + 1) / (images + 2), so that a bin that
    happens to hold no error is not taken for one that never will.
    """
    num_images = len(own_N)
    counts_B = np.maximum(np.bincount(own_N, minlength=num_bins), 1)
    sure_B = np.bincount(own_N, confidences_N, num_bins) / counts_B
    squares_B = np.bincount(own_N, confidences_N**2, num_bins) / counts_B
    right_B = np.bincount(own_N, is_right_N, num_bins)
    gaps_B = sure_B - right_B / counts_B
    share_B = (right_B + 1) / (counts_B + 2)
    within_B = np.maximum(squares_B - sure_B**2, 0.0) + share_B * (1 - share_B)
    part_B = counts_B / num_images
    # Of the mean over all images of a gap that is 0 for those in other bins.
    variances_B = part_B * (within_B + gaps_B**2) - (part_B * gaps_B) ** 2
    return np.asarray(np.sqrt(variances_B / num_images), np.float64)


def _interval(
    gaps_B: Floats, noise_B: Floats, draws: Floats, clear: float, level: float
) -> Interval:
    error = float(np.abs(gaps_B).sum())
    is_clear_B = np.abs(gaps_B) > clear * noise_B
    excess = np.where(is_clear_B, draws, np.abs(draws)) @ noise_B
    low = error - float(np.quantile(excess, (1 + level) / 2))

    seldom = (1 - level) / 2
    noisy = np.empty(draws.shape)

    def shown(scale: float) -> Floats:
        """What is estimated, draw by draw, where each gap is so many standard errors."""
        np.add(draws, scale, out=noisy)
        return np.asarray(np.abs(noisy, out=noisy) @ noise_B, np.float64)

    def least(scale: float) -> float:
        """The estimate that gaps of so many standard errors each are seldom below."""
        return float(np.quantile(shown(scale), seldom))

    def is_reached(scale: float) -> bool:
        """Whether `least` is no more than the error; to count is quicker than to sort."""
        values = shown(scale)
        # The quantile lies between the two values on either side of this place.
        beyond = np.count_nonzero(values <= error) - seldom * (len(values) - 1) - 1
        if abs(beyond) > 1:
            return bool(beyond > 0)
        return float(np.quantile(values, seldom)) <= error

    bottom, top = 0.0, error / float(noise_B.sum()) + 10
    if least(bottom) <= error:
        for _ in range(_HALVINGS):
            middle = (bottom + top) / 2
            bottom, top = (middle, top) if is_reached(middle) else (bottom, middle)
    # An estimate may be too small for any error to be likely; it is never outside all the same.
    return Interval(max(0.0, low), min(1.0, max(error, bottom * float(noise_B.sum()))))


@functools.cache
def _draws(num_bins: int) -> Floats:
    """Standard normal, each with its mirror image; the same for all models."""
    half = generator(0, "calibration").standard_normal((_NUM_DRAWS // 2, num_bins))
    return np.concatenate([half, -half])


def _spiegelhalter(confidences_N: FloatsN, is_right_N: BoolsN) -> float:
    """0 in the mean for a calibrated model, with a standard deviation of 1; above 0 if too sure.

    Infinite where an answer that was certain is wrong, and no other image has a doubt of its own.
    """
    weights_N = 1 - 2 * confidences_N
    spread = float((weights_N**2 * confidences_N * (1 - confidences_N)).sum())
    total = float(((is_right_N - confidences_N) * weights_N).sum())
    if spread:
        return total / math.sqrt(spread)
    return math.copysign(math.inf, total) if total else 0.0
