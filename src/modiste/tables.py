"""Rows for people: as a table of text, as one in HTML for a notebook, as a DataFrame."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from modiste.errors import InstallError

if TYPE_CHECKING:
    import pandas as pd

Cells = Sequence[Sequence[str]]


def to_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> pd.DataFrame:
    """Rows as a DataFrame; pandas is imported here and nowhere else.

    What tables are grouped by can be hashed: lists become tuples, and mappings JSON.

    Args:
        rows: What a row lacks is missing in it.
        columns: These first, in this order, also where there are no rows.

    Raises:
        InstallError: If pandas is not installed.
    """
    try:
        pandas: Any = importlib.import_module("pandas")
    except ImportError:
        raise InstallError(
            "to_frame() needs pandas, and it is not installed: pip install 'modiste[notebook]', "
            "or pip install pandas."
        ) from None
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    plain = [{name: _hashable(value) for name, value in row.items()} for row in rows]
    return pandas.DataFrame(plain, columns=list(names))


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(value, default=str)
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def to_html(
    title: str,
    head: Sequence[str],
    rows: Cells,
    note: str = "",
    text_columns: int | Collection[int] = 1,
) -> str:
    """A small table for a notebook, everything in it escaped; colours are the notebook's own.

    Args:
        title: Above the table.
        head: Names of the columns.
        rows: As many cells in each.
        note: Below the table.
        text_columns: So many columns to the left are words, or those at these places; the others
            are numbers.

    Example:
        >>> print(to_html("<b>", ["class"], [["a & b"]]))
        <div><strong>&lt;b&gt;</strong><table><thead>
        <tr><th style="text-align:left">class</th></tr></thead><tbody>
        <tr><td style="text-align:left">a &amp; b</td></tr></tbody></table></div>
    """
    words = _places(text_columns)
    sides = ["left" if column in words else "right" for column in range(len(head))]

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"\n<tr>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    below = f"<div><small>{escape(note)}</small></div>" if note else ""
    return (
        f"<div><strong>{escape(title)}</strong><table><thead>{line(head, 'th')}</thead><tbody>"
        f"{body}</tbody></table>{below}</div>"
    )


def to_text(head: Sequence[str], rows: Cells, text_columns: int | Collection[int] = 1) -> str:
    """A plain table: words to the left, numbers to the right.

    Args:
        head: Names of the columns.
        rows: As many cells in each.
        text_columns: As in `to_html`.

    Example:
        >>> print(to_text(["run", "accuracy"], [["mlp", "0.91"], ["cnn-8", "0.925"]]))
        run    accuracy
        -----  --------
        mlp        0.91
        cnn-8     0.925
    """
    words = _places(text_columns)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines)


def _places(text_columns: int | Collection[int]) -> Collection[int]:
    return range(text_columns) if isinstance(text_columns, int) else text_columns


def number(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash where there is none.

    Example:
        >>> number(0.90933335), number(None), number(float("nan"))
        ('0.9093', '–', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"
