"""How far a figure may lie off whose error has several sources, each known from a sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.evaluate.distributions import t_quantile
from modiste.evaluate.intervals import standard_error

# Below this no tail is worked out: nothing is known of a distribution so far out.
LEAST_TAIL = 1e-30


class Doubt(NamedTuple):
    """What one source adds to the variance of a figure.

    Attributes:
        variance: In the square of the figure's unit.
        degrees: Of freedom, behind it.
    """

    variance: float
    degrees: float


def error_of(doubts: Iterable[Doubt]) -> float:
    """Standard error of a figure."""
    return math.sqrt(math.fsum(doubt.variance for doubt in doubts))


def half_width(doubts: Iterable[Doubt], tail: float) -> float:
    """How far a figure lies off in at most this share of samples, to one side.

    Each source counts by its own quantile of Student's t. So a variance that a few seeds were
    lucky to leave small does not pass for one that is known, as it would with the degrees of
    freedom of the sum (Satterthwaite's), which then are those of the images: a spread over two
    seeds, three times that of the images, had 90 % instead of 95 % by those, and at the levels of
    thirty rows nine times as many errors as allowed.

    Args:
        doubts: Of independent sources, normally distributed.
        tail: Below one half.

    Source:
        S. K. Banerjee, Sankhya 22 (1960) 357-358: such intervals cover at least what they say.

    Example:
        >>> round(half_width([Doubt(1.0, math.inf)], 0.025), 2)
        1.96
        >>> round(half_width([Doubt(1.0, math.inf), Doubt(1.0, 1)], 0.025), 2)
        12.86
    """
    squares = (t_quantile(tail, degrees) ** 2 * variance for variance, degrees in doubts)
    return math.sqrt(math.fsum(squares))


def tail(difference: float, doubts: Sequence[Doubt]) -> float:
    """The share of samples that would lie so far off, to one side, by chance alone; at most 0.5.

    The inverse of `half_width`, found by halving; not below `LEAST_TAIL`.

    Example:
        >>> round(tail(1.96, [Doubt(1.0, math.inf)]), 4)
        0.025
    """
    if difference <= 0:
        return 0.5
    low, high = math.log(LEAST_TAIL), math.log(0.5)
    for _ in range(60):
        middle = (low + high) / 2
        if half_width(doubts, math.exp(middle)) > difference:
            low = middle
        else:
            high = middle
    return math.exp(high)


def of_images(shares_N: npt.NDArray[np.float64], reach: float, scatter: float = 0.0) -> Doubt:
    """What the choice of images adds to a mean over them.

    Two halves of an image are added to those that there are, as far from the middle as an image
    can be. So a handful of images that all say the same are no certainty, and a single one is
    next to nothing; of hundreds, nothing changes.

    Args:
        shares_N: For each image, a share of right answers, or a difference of two.
        reach: Half of what lies between the largest and the smallest that an image can have: 0.5
            of shares, 1 of differences.
        scatter: What of an image's variance is counted elsewhere, as the part that differs between
            seeds is in theirs: over the number of seeds, and of a difference the sum of both.

    Source:
        Added answers make small samples honest: A. Agresti, B. A. Coull, Amer. Statist. 52 (1998)
        119-126; of paired ones, A. Agresti, Y. Min, Stat. Med. 24 (2005) 729-740.

    Example:
        >>> of_images(np.ones(4), 0.5)
        Doubt(variance=0.015625, degrees=3)
    """
    count = len(shares_N)
    squares = float(((shares_N - shares_N.mean()) ** 2).sum()) - (count - 1) * scatter
    return Doubt((max(0.0, squares) + reach**2) / count / count, max(1, count - 1))


def of_accuracy(accuracy: float, total: int) -> Doubt:
    """What the choice of images adds to an accuracy whose single answers are not at hand.

    As `of_images` of as many answers, so that one without any error is no certainty.

    Args:
        accuracy: A proportion.
        total: Images behind it.

    Raises:
        SpecError: If there is no such accuracy, or no image.

    Example:
        >>> of_accuracy(1.0, 4) == of_images(np.ones(4), 0.5)
        True
    """
    variance = standard_error(accuracy, total) ** 2
    return Doubt(variance + 0.25 / total / total, max(1, total - 1))
