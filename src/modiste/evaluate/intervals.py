"""How far a measured number can be trusted, and which doubt each figure covers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError, SpecError
from modiste.evaluate.distributions import t_quantile
from modiste.interval import Interval, wilson

# The two from below are found here as well, beside the others of their kind.
__all__ = [
    "Difference",
    "Interval",
    "NORMAL_975",
    "Spread",
    "difference_interval",
    "mean_interval",
    "paired_difference",
    "seed_spread",
    "standard_error",
    "wilson",
]

BoolsSN = npt.NDArray[np.bool_]

# Standard errors on either side of a 95 % interval of what is normal.
NORMAL_975 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Spread:
    """A figure over several seeds.

    Attributes:
        n: Seeds.
        mean: Of the figure.
        standard_deviation: Between the seeds, with n - 1; none for a single seed.
    """

    n: int
    mean: float
    standard_deviation: float | None


class Difference(NamedTuple):
    """`mean` of one model less another, and its standard error; both proportions."""

    mean: float
    standard_error: float


def standard_error(accuracy: float, total: int) -> float:
    """Of an accuracy measured on ``total`` images: the binomial ``sqrt(p (1 - p) / n)``.

    Covers the images only, as `wilson` does.

    Example:
        >>> f"{standard_error(0.91, 12_000):.4f}"
        '0.0026'
    """
    if not 0 <= accuracy <= 1 or total < 1:
        raise SpecError(f"an accuracy of {accuracy} on {total} images: no such thing.")
    return math.sqrt(accuracy * (1 - accuracy) / total)


def seed_spread(figures: Sequence[float]) -> Spread:
    """Mean and standard deviation of one figure over training seeds.

    Covers the seeds only: all of them answered the same images.

    Example:
        >>> seed_spread([0.90, 0.92])
        Spread(n=2, mean=0.91, standard_deviation=0.0141...)
    """
    if not figures:
        raise SpecError("a spread needs the figure of at least one seed.")
    deviation = stdev(figures) if len(figures) > 1 else None
    return Spread(len(figures), fmean(figures), deviation)


def mean_interval(spread: Spread, level: float = 0.95) -> Interval | None:
    """Student's interval for the mean over the seeds of a spread; none for a single seed.

    Covers the seeds only.

    Example:
        >>> low, high = mean_interval(seed_spread([0.90, 0.92]))
        >>> f"{low:.3f} {high:.3f}"
        '0.783 1.037'
    """
    if spread.standard_deviation is None:
        return None
    half = t_quantile((1 + level) / 2, spread.n - 1)
    half *= spread.standard_deviation / math.sqrt(spread.n)
    return Interval(spread.mean - half, spread.mean + half)


def difference_interval(difference: Difference) -> Interval:
    """The 95 % interval of a paired difference of means over many images.

    Example:
        >>> low, high = difference_interval(Difference(0.01, 0.002))
        >>> f"{low:.4f} {high:.4f}"
        '0.0061 0.0139'
    """
    half = NORMAL_975 * difference.standard_error
    return Interval(difference.mean - half, difference.mean + half)


def paired_difference(one_SN: BoolsSN, two_SN: BoolsSN) -> Difference:
    """Accuracy of one model less that of another, on the same images.

    Because both answered the same images, those that both got right or both got wrong say
    nothing about the difference, and its standard error is smaller than that of either accuracy.
    Covers the images only: the seeds are taken as they are.

    Args:
        one_SN: Right or wrong, for each seed and image.
        two_SN: The same for the other model; it may have another number of seeds.

    Returns:
        The mean over images of the difference, and its standard error.

    Source:
        For one seed this is the variance behind McNemar's test, Psychometrika 12 (1947) 153-157,
        doi:10.1007/BF02295996, without the assumption that there is no difference.

    Example:
        >>> one, two = np.ones((1, 100), bool), np.ones((1, 100), bool)
        >>> two[0, :4] = False
        >>> difference = paired_difference(one, two)
        >>> f"{difference.mean:.2f} {difference.standard_error:.4f}"
        '0.04 0.0196'
    """
    if one_SN.shape[1] != two_SN.shape[1] or not one_SN.shape[1]:
        raise DataError(
            f"{one_SN.shape[1]} answers cannot be paired with {two_SN.shape[1]}: "
            "both models must have answered the same images."
        )
    by_image_N = one_SN.mean(axis=0) - two_SN.mean(axis=0)
    return Difference(
        float(by_image_N.mean()), float(by_image_N.std() / math.sqrt(len(by_image_N)))
    )
