"""A table of results as plain values, and as the text that others read."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from modiste.errors import SpecError

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


class Table(list[dict[str, Any]]):
    """Rows as dictionaries, all with the same keys; what takes a list of them takes this.

    Example:
        >>> table = Table([{"point": "a", "loss": 0.25}, {"point": "b", "loss": None}])
        >>> table.columns
        ['point', 'loss']
        >>> print(table.csv(), end="")
        point,loss
        a,0.25
        b,
    """

    @property
    def columns(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(key for row in self for key in row))

    def only(self, columns: Sequence[str]) -> Table:
        """The same with these columns alone."""
        return Table([{name: row.get(name) for name in columns} for row in self])

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`.

        Raises:
            SpecError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise SpecError(
                "a DataFrame needs pandas, which is not installed: pip install pandas. The table "
                "itself is a list of dictionaries and needs none."
            ) from None
        return pd.DataFrame(list(self), columns=self.columns)

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


def _full(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return "" if value is None else value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
