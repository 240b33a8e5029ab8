"""The interval that every accuracy carries."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from modiste.errors import SpecError

# Confidence, as a proportion, of every interval where nobody says another.
LEVEL = 0.95


class Interval(NamedTuple):
    """From `low` to `high`, both proportions."""

    low: float
    high: float


def wilson(correct: int, total: int, level: float = LEVEL) -> Interval:
    """Interval for the accuracy behind ``correct`` right answers out of ``total``.

    Covers one source of doubt only: that the images are a sample. The spread over training
    seeds is another; see `modiste.evaluate.intervals`.

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
    return wilson_of(correct / total, total, level)


def wilson_of(share: float, number: float, level: float = LEVEL) -> Interval:
    """The same of a share, on an effective number of answers, which need not be whole.

    For shares whose variance is not that of one sample: the effective number is that of a sample
    whose variance would be the same.

    Args:
        share: Of right answers, 0 to 1.
        number: Of answers, at least 1.
        level: Confidence, as a proportion.

    Source:
        E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998) 193-201, for the number.

    Example:
        >>> wilson_of(0.95, 100) == wilson(95, 100)
        True
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    scale = 1 + z**2 / number
    middle = (share + z**2 / (2 * number)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    # At 0 and at 1 the ends are exactly 0 and 1; rounding must not leave them beside it.
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
