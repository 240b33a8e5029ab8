"""Quantiles and tails of the distributions that the statistics here use.

As ``t``, ``norm``, ``f`` and ``binom`` of ``scipy.stats``, from ``scipy.special``, whose functions
are behind those: all of ``scipy.stats`` takes 0.7 seconds to load, and no more of it is needed.
"""

from __future__ import annotations

from scipy import special


def t_quantile(share: float, degrees: float) -> float:
    """Below which a share of Student's t lies; infinite degrees of freedom make it the normal.

    Example:
        >>> round(t_quantile(0.975, 4), 3), round(t_quantile(0.975, float("inf")), 3)
        (2.776, 1.96)
    """
    return float(special.stdtrit(degrees, share))


def t_tail(value: float, degrees: float) -> float:
    """The share of Student's t above a value."""
    return float(special.stdtr(degrees, -value))


def normal_quantile(share: float) -> float:
    """Below which a share of the standard normal distribution lies.

    Example:
        >>> round(normal_quantile(0.975), 3)
        1.96
    """
    return float(special.ndtri(share))


def normal_share(value: float) -> float:
    """The share of the standard normal distribution below a value."""
    return float(special.ndtr(value))


def f_tail(value: float, above: float, below: float) -> float:
    """The share of Fisher's F above a value, with degrees of freedom above and below the line."""
    return float(special.fdtrc(above, below, value))


def coin_tail(heads: int, tosses: int) -> float:
    """The chance of more heads than these, in tosses of a fair coin.

    Example:
        >>> coin_tail(0, 2), coin_tail(2, 2), coin_tail(-1, 2)
        (0.75, 0.0, 1.0)
    """
    if heads < 0:
        return 1.0
    return float(special.betainc(heads + 1, tosses - heads, 0.5)) if heads < tosses else 0.0
