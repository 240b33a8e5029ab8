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

BoolsSN = npt.NDArray[np.bool_]


class Interval(NamedTuple):
    """From `low` to `high`, both proportions."""

    low: float
    high: float


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


def wilson(correct: int, total: int, level: float = 0.95) -> Interval:
    """Interval for the accuracy behind ``correct`` right answers out of ``total``.

    Covers one source of doubt only: that the images are a sample. The spread over training
    seeds is another; see `seed_spread`.

    Args:
        correct: Right answers, 0 to ``total``.
        total: Images answered, at least 1.
        level: Confidence, as a proportion (0.95, not 95).

    Returns:
        Proportions, ``0 <= low <= correct / total <= high <= 1``.

    Raises:
        SpecError: If the counts or the level make no sense.

    Source:
        E. B. Wilson, JASA 22 (1927) 209-212, doi:10.1080/01621459.1927.10502953.

    Example:
        >>> low, high = wilson(9_361, 10_000)
        >>> f"{low:.4f} {high:.4f}"
        '0.9311 0.9407'
    """
    if not 0 <= correct <= total or total < 1:
        raise SpecError(f"{correct} right answers out of {total}: no such accuracy.")
    if not 0 < level < 1:
        raise SpecError(f"level: expected a proportion such as 0.95, got {level}.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / total
    scale = 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # At 0 and at `total` the ends are exactly 0 and 1; rounding must not leave them beside it.
    return Interval(max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


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
