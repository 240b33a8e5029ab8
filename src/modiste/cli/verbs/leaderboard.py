"""`modiste leaderboard`: the rows of a study, best first, with their doubt."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from modiste.search.study import Stage, Study
    from modiste.search.table import Table

NAME = "leaderboard"
SHORT = "The rows of a study, best first: as a table, CSV, Markdown, LaTeX or JSON."
EXAMPLE = "modiste leaderboard results/fashion-mnist --stage mlp-grid --top 5"
HELP = f"""Show the rows of a study, best first, with intervals and ties.

The study may be running: what has ended by now is shown; of a stage without rows, a line on stderr
says why. ≈ marks rows that cannot be told from the best one. Intervals are those of the report, at
95 %. Cross-validated rows have trainings in place of seeds, and the accuracy on folds held out.

Example:  {EXAMPLE}
"""
FORMATS = ("table", "csv", "markdown", "latex", "json")
# What a person reads; CSV and JSON hold every column.
READ = (
    *("rank", "point", "on_front", "seeds", "trainings", "val_accuracy", "deviation"),
    *("low", "high", "held_accuracy", "held_low", "held_high", "val_loss"),
    *("epochs", "parameters", "latency", "seconds", "status"),
)
EACH = (
    *("rank", "point", "seed", "fold", "val_accuracy", "held_accuracy", "val_loss"),
    *("epochs", "seconds", "status"),
)


def command(
    study: Annotated[Path, typer.Argument(help="A study folder.", metavar="STUDY")],
    stage: Annotated[str | None, typer.Option(help="One stage; all, if not given.")] = None,
    top: Annotated[int | None, typer.Option(help="So many rows of each stage.", min=1)] = None,
    seeds: Annotated[
        bool, typer.Option("--seeds", help="A line for each seed, not for each point.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, markdown, latex or json.")
    ] = "table",
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.cli.output import print_json
    from modiste.errors import SpecError, unknown_name
    from modiste.search.study import Study

    form = "json" if json else form
    if form not in FORMATS:
        raise SpecError(f"--format {form}: {unknown_name('format', form, FORMATS)}")
    opened = Study.open(study)
    table = _top(opened.table(stage, each_seed=seeds), top)
    _say_what_is_empty(opened, table, stage)
    if form == "json":
        print_json({"study": str(study), "rows": table})
    elif form == "csv":
        print(table.csv(), end="")
    elif form == "table":
        _show(table, EACH if seeds else READ)
    else:
        read = _read(table, ("stage", *(EACH if seeds else READ)))
        print(read.markdown() if form == "markdown" else read.latex(), end="")


def _say_what_is_empty(study: Study, table: Table, stage: str | None) -> None:
    from modiste.cli.output import say

    asked = {spec.name for spec in study.spec.stages} if stage is None else {stage}
    if empty := asked - {row["stage"] for row in table}:
        for each in study.stages():
            if each.spec.name in empty:
                say(f"{each.spec.name}: {_why_empty(each)}")


def _why_empty(stage: Stage) -> str:
    from modiste.cli.output import plain

    if stage.skipped:
        return f"skipped: {plain(stage.skipped.strip())}"
    if stage.waits_for:
        return f"waits for {', '.join(stage.waits_for)}"
    return "nothing is finished yet"


def _top(table: Table, top: int | None) -> Table:
    from modiste.search.table import Table

    if top is None:
        return table
    return Table([row for row in table if row["rank"] is not None and row["rank"] <= top])


def _read(table: Table, columns: tuple[str, ...]) -> Table:
    """The columns that a person reads, less those that are empty, with ties marked."""
    from modiste.search.table import Table

    rows = []
    for row in table:
        tie = " ≈" if row.get("may_be_best") and row["rank"] != 1 else ""
        is_whole = row["status"] == "finished"
        status = "" if is_whole else row["status"]
        rows.append({**row, "point": f"{row['point']}{tie}", "status": status})
    kept = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    return Table(rows).only(kept)


def _show(table: Table, columns: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table as Rich
    from rich.text import Text

    from modiste.search.table import Table

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Whoever read has had enough, which is no error; see `modiste.cli.main`."""
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    console = Output(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # where nobody looks at a terminal, a line may be as long as it is
    for name in dict.fromkeys(row["stage"] for row in table):
        read = _read(Table([row for row in table if row["stage"] == name]), columns)
        shown = Rich(title=name, title_justify="left", box=None, pad_edge=False)
        for column in read.columns:
            is_text = column in ("point", "status")
            shown.add_column(
                _HEADINGS.get(column, column), justify="left" if is_text else "right",
                no_wrap=not is_text,
            )  # fmt: skip
        for row, cells in zip(read, read.cells(), strict=True):
            made = [
                _cell(column, row, text) for column, text in zip(read.columns, cells, strict=True)
            ]
            # As text: brackets in a label are no commands to the terminal.
            shown.add_row(*map(Text, made))
        console.print(shown)
        console.print()


def _cell(column: str, row: dict[str, Any], text: str) -> str:
    from modiste.cli.output import duration

    value = row[column]
    if value is None:
        return ""
    if column == "seconds":
        return duration(float(value))
    if column == "latency":
        return f"{1000 * float(value):.3g} ms"
    if column == "parameters":
        return f"{value:,}"
    return text


_HEADINGS = {
    "on_front": "on front",
    "val_accuracy": "val. accuracy",
    "val_loss": "val. loss",
    "deviation": "± seeds",
    "low": "95 % from",
    "high": "to",
    "held_accuracy": "held-out accuracy",
    "held_low": "95 % from",
    "held_high": "to",
    "seconds": "time",
    "rank": "",
    "status": "",
}
