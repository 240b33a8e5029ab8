"""What every verb prints with: JSON on stdout, everything for people on stderr or a table."""

from __future__ import annotations

import json
import shlex
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from modiste.errors import SpecError

# Unicode's names for control and format characters, halves of pairs, and ends of line.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def print_json(value: Any) -> None:
    """One object on stdout; letters that it cannot show are written as JSON escapes them."""
    print(json.dumps(value, indent=2, ensure_ascii=not shows_all_letters(), allow_nan=False))


def shows_all_letters() -> bool:
    """Whether stdout takes any letter as it is."""
    return (sys.stdout.encoding or "utf-8").lower().startswith("utf")


def say(text: str) -> None:
    """A line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def plain(text: str) -> str:
    r"""Text from outside on one line of a terminal: what would steer it is shown, not obeyed.

    Control characters, marks that turn the direction of writing, and bytes that are no text stand
    there as Python escapes them.

    Example:
        >>> plain("a\x1b[31m\u202eb"), plain("größe.png")
        ('a\\x1b[31m\\u202eb', 'größe.png')
    """
    return "".join(
        char if unicodedata.category(char) not in _STEERING else ascii(char)[1:-1] for char in text
    )


def this_command() -> str:
    """The command line of this process, as one would type it."""
    is_module = Path(sys.argv[0]).name == "__main__.py"
    return shlex.join([*(("python", "-m") if is_module else ()), "modiste", *sys.argv[1:]])


def names_in(option: str, text: str | None) -> list[str] | None:
    """The names between commas that an option was given; None if it was not given."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise SpecError(f"{option} {text}: expected names, with commas between them.")
    return names


def workers_in(text: str | None) -> int | Literal["here", "ray"] | None:
    """What ``--workers`` was given; None if it was not given.

    Raises:
        SpecError: If it is neither a number from 1 up nor ``here`` or ``ray``.
    """
    if text is None:
        return None
    if text == "here":
        return "here"
    if text == "ray":
        return "ray"
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SpecError(f"--workers {text}: expected a number from 1 up, here or ray.")
    return int(text)


def duration(seconds: float) -> str:
    """A duration, as roughly as one that lies ahead is known.

    Example:
        >>> duration(40.2), duration(719), duration(11_100), duration(400_000)
        ('40 s', '12 min', '3 h 05 min', '4.6 days')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds > 3 * 86_400:
        return f"{seconds / 86_400:.1f} days"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: float) -> str:
    """Megabytes or gigabytes, in powers of ten as disks are sold.

    Example:
        >>> size(61_000), size(47_040_000), size(1_443_000_000)
        ('0.1 MB', '47 MB', '1.4 GB')
    """
    if num_bytes < 1e9:
        megabytes = num_bytes / 1e6
        return f"{megabytes:.1f} MB" if megabytes < 10 else f"{megabytes:.0f} MB"
    return f"{num_bytes / 1e9:.1f} GB"


def print_columns(head: Sequence[str], rows: Sequence[Sequence[str]], right_from: int = 1) -> None:
    """A plain table: the first columns to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for number, row in enumerate([head, *rows]):
        cells = [
            cell.ljust(width) if i < right_from else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
