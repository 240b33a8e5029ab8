"""What every verb prints with: JSON on stdout, everything for people on stderr or a table."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from modiste.errors import SpecError


def print_json(value: Any) -> None:
    """One object on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def say(text: str) -> None:
    """A line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def this_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["modiste", *sys.argv[1:]])


def names_in(option: str, text: str | None) -> list[str] | None:
    """The names between commas that an option was given; None if it was not given."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise SpecError(f"{option} {text}: expected names, with commas between them.")
    return names


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
