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
from modiste.interval import LEVEL, Interval, standard_error, wilson

# The two from below are found here as well, beside the others of their kind.
__all__ = [
    "Difference",
    "Interval",
    "NORMAL_975",
    "Spread",
    "difference_interval",
    "f1_interval",
    "macro_f1_interval",
    "mean_interval",
    "paired_difference",
    "seed_spread",
    "share_difference",
    "standard_error",
    "wilson",
]

BoolsSN = npt.NDArray[np.bool_]
FloatsN = npt.NDArray[np.float64]
CountsK = npt.NDArray[np.integer]

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
    """How far one model is ahead of another.

    Attributes:
        mean: Of one less the other.
        standard_error: Of that.
        interval: At 95 %, where it is not the normal one; see `difference_interval`.
    """

    mean: float
    standard_error: float
    interval: Interval | None = None


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


def mean_interval(spread: Spread, level: float = LEVEL) -> Interval | None:
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


def f1_interval(right: int, missed: int, mistaken: int, level: float = LEVEL) -> Interval:
    """Interval for the F1 of one class.

    Of the images that belong to the class or were taken for it, each is right with the same
    chance J; F1 is 2 J / (1 + J), which rises with J. So Wilson's interval of J, put through the
    same formula, is one of F1 (the "Wilson indirect" interval). It covers the images alone, and
    never leaves 0 to 1.

    Args:
        right: Images of the class that were found.
        missed: Images of the class that were taken for another.
        mistaken: Images of others that were taken for it.
        level: As a proportion.

    Raises:
        SpecError: If a count is negative, or all are 0.

    Source:
        K. F. Y. Lam, V. Gopal, J. Qian, arXiv:2309.14621 (2023), which finds that it covers as
        often as it says, where the delta method and Clopper and Pearson's do not.

    Example:
        >>> low, high = f1_interval(90, 10, 20)
        >>> f"{low:.4f} {high:.4f}"
        '0.7992 0.9004'
    """
    if min(right, missed, mistaken) < 0 or not right + missed + mistaken:
        raise SpecError(f"{right} right, {missed} missed, {mistaken} mistaken: no such F1.")
    low, high = wilson(right, right + missed + mistaken, level)
    return Interval(2 * low / (1 + low), 2 * high / (1 + high))


def macro_f1_interval(right_K: CountsK, whole_K: CountsK) -> Interval:
    """The 95 % interval for the mean of the F1 of the classes, from the interval of each.

    The distance from the mean to either end is the root of the sum of squares of the classes'
    own distances, over their number. So it has a width where a class has no error or no hit,
    which resampling has not. It takes the classes as independent, which they are not: an image
    that is taken for another class counts against both. With errors everywhere it is too narrow.

    Args:
        right_K: Images of each class that were found.
        whole_K: Images of it, plus those taken for it. A class that has neither does not count.

    Raises:
        DataError: If no class has any.

    Source:
        G. Y. Zou, A. Donner, Statistics in Medicine 27 (2008) 1693-1702, doi:10.1002/sim.3095.

    Example:
        >>> low, high = macro_f1_interval(np.array([95, 4]), np.array([191, 9]))
        >>> f"{low:.4f} {high:.4f}"
        '0.7700 0.9882'
    """
    counts = [(int(r), int(w)) for r, w in zip(right_K, whole_K, strict=True) if w]
    if not counts:
        raise DataError("there is no F1 without images.")
    figures = [2 * right / whole for right, whole in counts]
    each = [f1_interval(right, whole - 2 * right, 0) for right, whole in counts]
    below = math.hypot(*(f - found.low for f, found in zip(figures, each, strict=True)))
    above = math.hypot(*(found.high - f for f, found in zip(figures, each, strict=True)))
    mean, number = fmean(figures), len(counts)
    return Interval(max(0.0, mean - below / number), min(1.0, mean + above / number))


def difference_interval(difference: Difference) -> Interval:
    """The 95 % interval of a paired difference: its own, or the normal one of a mean over images.

    Example:
        >>> low, high = difference_interval(Difference(0.01, 0.002))
        >>> f"{low:.4f} {high:.4f}"
        '0.0061 0.0139'
    """
    if difference.interval is not None:
        return difference.interval
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
        The mean over images of the difference, its standard error, and its interval.

    Source:
        For one seed this is the variance behind McNemar's test, Psychometrika 12 (1947) 153-157,
        doi:10.1007/BF02295996, without the assumption that there is no difference. The interval:
        see `share_difference`.

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
    return share_difference(one_SN.mean(axis=0) - two_SN.mean(axis=0))


def share_difference(by_image_N: FloatsN) -> Difference:
    """A paired difference of shares, from that of each image, -1 to 1.

    Two images are added for the interval: a half that one model alone got right, a half that the
    other alone got right, and one that both got right or both wrong. So it has a width where
    hardly an image differs, or none, and the normal one is too narrow.

    Args:
        by_image_N: What one model got right less what the other did; a share of its seeds, if
            there are several.

    Source:
        A. Agresti, Y. Min, Statistics in Medicine 24 (2005) 729-740, doi:10.1002/sim.1781, for
        two models of one seed each.

    Example:
        >>> low, high = difference_interval(share_difference(np.zeros(100)))
        >>> f"{low:.4f} {high:.4f}"
        '-0.0192 0.0192'
    """
    total, number = float(by_image_N.sum()), len(by_image_N) + 2
    middle = total / number
    variance = ((by_image_N**2).sum() + 1 - total * middle) / number**2
    half = NORMAL_975 * math.sqrt(variance)
    return Difference(
        float(by_image_N.mean()),
        float(by_image_N.std() / math.sqrt(len(by_image_N))),
        Interval(max(-1.0, middle - half), min(1.0, middle + half)),
    )
