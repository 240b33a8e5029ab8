"""Durations as a person writes them: ``90s``, ``20m``, ``1h30m``."""

from __future__ import annotations

import re

from modiste.errors import SpecError

_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def seconds_in(text: str, option: str = "--budget") -> float:
    """Seconds of a duration.

    Raises:
        SpecError: If it is none, or has no unit.

    Example:
        >>> seconds_in("20m"), seconds_in("1h30m"), seconds_in("90 s")
        (1200.0, 5400.0, 90.0)
    """
    found = _PARTS.fullmatch(text.replace(" ", "").lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise SpecError(f"{option} {text}: expected a duration with units, such as 20m or 1h30m.")
    return float(total)
