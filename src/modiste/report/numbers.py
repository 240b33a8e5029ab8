"""How numbers are printed, everywhere in the report the same.

Accuracies are proportions with four digits; differences between them are percentage points with
two. The minus is a minus, not a hyphen, and a number that does not exist is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

NONE = "–"


def proportion(value: float | None, digits: int = 4) -> str:
    """An accuracy or a loss.

    Example:
        >>> proportion(0.90933335), proportion(None), proportion(float("nan"))
        ('0.9093', '–', '–')
    """
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def between(ends: tuple[float, float] | None) -> str:
    """An interval of proportions or losses; a dash where it is not known.

    Example:
        >>> between((0.9, 0.912)), between(None)
        ('0.9000–0.9120', '–')
    """
    return NONE if ends is None else f"{proportion(ends[0])}–{proportion(ends[1])}"


def spread(mean: float | None, deviation: float | None, digits: int = 4) -> str:
    """A mean over seeds with its standard deviation, if there is one.

    Example:
        >>> spread(0.9086, 0.0012)
        '0.9086 ± 0.0012'
    """
    text = proportion(mean, digits)
    return text if deviation is None or text == NONE else f"{text} ± {deviation:.{digits}f}"


def points(difference: float | None) -> str:
    """A difference of two proportions in percentage points, always with its sign.

    Example:
        >>> points(0.0012), points(-0.0125), points(0.00001)
        ('+0.12', '−1.25', '0.00')
    """
    if difference is None or math.isnan(difference):
        return NONE
    text = f"{abs(100 * difference):.2f}"
    if float(text) == 0:
        return text
    return f"{'+' if difference > 0 else '−'}{text}"


def size(difference: float) -> str:
    """The same without its sign.

    Example:
        >>> size(-0.0125)
        '1.25'
    """
    return f"{abs(100 * difference):.2f}"


def bound(end: float | None) -> str:
    """The end of an interval of a difference, in points, with more digits where it is near 0.

    So one sees on which side of 0 the end lies, and how near: a verdict may hang on it.

    Example:
        >>> bound(0.00002), bound(-0.00002), bound(0.0), bound(0.0044)
        ('+0.002', '−0.002', '0.00', '+0.44')
    """
    if end is None or math.isnan(end):
        return NONE
    value = abs(100 * end)
    text = f"{value:.2f}"
    if value > 0 and float(text) == 0:
        text = f"{value:.{min(9, -math.floor(math.log10(value)))}f}"
    return text if end == 0 else f"{'+' if end > 0 else '−'}{text}"


def rough(number: int) -> str:
    """A number of what is needed, known to a tenth at best: two digits of it, the rest zeros.

    It is rounded up, since what is there already may lie just below it.

    Example:
        >>> rough(7), rough(121), rough(81_732)
        ('7', '130', '82,000')
    """
    step = 10 ** max(0, len(str(number)) - 2)
    return count(-(-number // step) * step)


def count(value: float | None) -> str:
    """A whole number with commas, or with one digit if a mean of counts is none.

    Example:
        >>> count(610570), count(45.5), count(None)
        ('610,570', '45.5', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> plural(1, "point"), plural(30, "point")
        ('1 point', '30 points')
    """
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def times(number: int) -> str:
    """How often; one can go on with a comma or a full stop.

    Example:
        >>> times(1), times(2), times(5)
        ('once', 'twice', '5 times')
    """
    return {1: "once", 2: "twice"}.get(number, plural(number, "time"))


def rate(value: float | None) -> str:
    """A learning rate.

    Example:
        >>> rate(0.001), rate(1e-05), rate(2.5e-6)
        ('0.001', '1e−5', '2.5e−6')
    """
    if value is None:
        return NONE
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    digits, _, power = text.partition("e")
    return f"{digits}e{int(power)}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """Hours and minutes, minutes and seconds, or seconds.

    Example:
        >>> duration(7.44), duration(95), duration(3725)
        ('7.4 s', '1 min 35 s', '1 h 02 min')
    """
    if seconds is None or math.isnan(seconds):
        return NONE
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def listing(items: Sequence[str]) -> str:
    """Words in a row.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a"])
        ('a, b and c', 'a')
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def span(values: Sequence[float]) -> str:
    """One whole number, or from the least to the most.

    Example:
        >>> span([45, 45]), span([45, 52])
        ('45', '45–52')
    """
    low, high = min(values), max(values)
    return count(low) if low == high else f"{count(low)}–{count(high)}"
