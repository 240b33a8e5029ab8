"""Which share of values dropout keeps: a byte decides."""

from __future__ import annotations


def kept_share(rate: float) -> float:
    """The share of values that dropout really keeps: one byte decides, so rates are n / 256.

    Example:
        >>> kept_share(0.25), round(kept_share(0.3), 4)
        (0.75, 0.6992)
    """
    return 1.0 - threshold(rate) / 256.0


def threshold(rate: float) -> int:
    """Bytes below it drop their value."""
    return min(max(round(rate * 256), 1), 255)
