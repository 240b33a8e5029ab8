"""A table of results as plain values, as others read it, and as it prints."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from modiste.tables import to_frame, to_html, to_text

if TYPE_CHECKING:
    import pandas as pd

_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        # LaTeX knows most letters of any script, and few signs.
        "≈": r"$\approx$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "→": r"$\to$",
        "·": r"$\cdot$",
        "°": r"$^\circ$",
        "µ": r"$\mu$",  # the sign, and below the Greek letter
        "\N{GREEK SMALL LETTER MU}": r"$\mu$",
        "–": "--",
        "—": "---",
        "…": r"\dots{}",
    }
)

# More rows than a screen has are counted where a table prints.
MOST_ROWS = 60


class Table(list[dict[str, Any]]):
    """Rows as dictionaries, all with the same keys; what takes a list of them takes this.

    It prints as a table, less the columns that are empty in every row, and with numbers short.

    Args:
        rows: As dictionaries.
        columns: There are these, in this order, also where there are no rows.

    Example:
        >>> table = Table([{"point": "a", "loss": 0.25}, {"point": "b", "loss": None}])
        >>> table.columns
        ['point', 'loss']
        >>> print(table.csv(), end="")
        point,loss
        a,0.25
        b,
        >>> table
        point    loss
        -----  ------
        a      0.2500
        b
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = (), columns: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self._columns = tuple(columns)

    @overload
    def __getitem__(self, place: SupportsIndex) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> Table: ...

    def __getitem__(self, place: SupportsIndex | slice) -> dict[str, Any] | Table:
        """A row, or some of them as a table."""
        if isinstance(place, slice):
            return Table(super().__getitem__(place), self._columns)
        return super().__getitem__(place)

    def __repr__(self) -> str:
        head, rows, words, more = self._shown()
        if not rows:
            return "a table without rows"
        return "\n".join([to_text(head, rows, words), *([more] if more else [])])

    def _repr_html_(self) -> str:
        head, rows, words, more = self._shown()
        title = "1 row" if len(self) == 1 else f"{len(self):,} rows"
        return to_html(title, head, rows, more, words)

    def _shown(self) -> tuple[list[str], list[list[str]], list[int], str]:
        """Head, cells and places of columns of words, as it prints; what is said of other rows."""
        head = [name for name in self.columns if any(row.get(name) is not None for row in self)]
        rows = [[_short(name, row.get(name)) for name in head] for row in self[:MOST_ROWS]]
        words = [place for place, name in enumerate(head) if not self._is_number(name)]
        more = len(self) - len(rows)
        return head, rows, words, f"... and {more:,} more rows" if more else ""

    @property
    def columns(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys([*self._columns, *(key for row in self for key in row)]))

    def only(self, columns: Sequence[str]) -> Table:
        """The same with these columns alone."""
        return Table([{name: row.get(name) for name in columns} for row in self], columns)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a DataFrame, with numbers in full.

        Raises:
            InstallError: If pandas is not installed.
        """
        return to_frame(self, self.columns)

    def to_pandas(self) -> pd.DataFrame:
        """The same as `to_frame`, by another name."""
        return self.to_frame()

    def csv(self) -> str:
        """Comma-separated values, numbers in full; nothing stands for what there is not."""
        if not self:  # nor are there columns then
            return ""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        for row in self:
            writer.writerow({name: _full(row.get(name)) for name in self.columns})
        return text.getvalue()

    def markdown(self) -> str:
        """A table as GitHub reads it; numbers with the digits that mean something."""
        if not self:
            return ""
        lines = [
            _line([_escaped(name) for name in self.columns]),
            _line(["---:" if self._is_number(name) else "---" for name in self.columns]),
        ]
        lines += [_line([_escaped(cell) for cell in self._cells(row)]) for row in self]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """A ``tabular`` with the rules of the package booktabs."""
        if not self:
            return ""
        sides = "".join("r" if self._is_number(name) else "l" for name in self.columns)
        head = " & ".join(name.translate(_LATEX) for name in self.columns)
        rows = [
            " & ".join(cell.translate(_LATEX) for cell in self._cells(row)) + r" \\" for row in self
        ]
        lines = [
            rf"\begin{{tabular}}{{{sides}}}",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        return "\n".join(lines) + "\n"

    def cells(self) -> list[list[str]]:
        """Every row as text, numbers with the digits that mean something."""
        return [self._cells(row) for row in self]

    def _cells(self, row: dict[str, Any]) -> list[str]:
        return [cell(name, row.get(name)) for name in self.columns]

    def _is_number(self, name: str) -> bool:
        values = [row.get(name) for row in self]
        known = [value for value in values if value is not None]
        return bool(known) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in known
        )


def cell(name: str, value: Any) -> str:
    """A value as text; proportions and losses have four digits.

    Example:
        >>> cell("val_accuracy", 0.91191666), cell("parameters", 610570), cell("seeds", None)
        ('0.9119', '610570', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        if name.endswith(("accuracy", "loss", "deviation", "low", "high")):
            return f"{value:.4f}"
        return f"{value:.6g}"
    return str(value)


def _short(name: str, value: Any) -> str:
    # A run folder has the first 16 of them as its name.
    return str(value)[:16] if name == "fingerprint" else cell(name, value)


def _full(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return "" if value is None else value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
