"""`modiste import`: read a study of another tool, and say what its rows are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

NAME = "import"
SHORT = "What rows of Talos, KerasTuner or Optuna are worth."
EXAMPLE = "modiste import talos/112226133301.csv --num-val 12000"
HELP = f"""Read a study of another tool, and say what its rows are worth.

SOURCE is the CSV file of a Talos Scan, a KerasTuner project folder, or an SQLite database of
Optuna. The rows go into a folder of their own with a report: ranked, with a standard error where
you state the number of images, with those that cannot be told from the first, and with remarks.

Example:  {EXAMPLE}
"""


def command(
    source: Annotated[Path, typer.Argument(help="A file or folder.", metavar="SOURCE")],
    out: Annotated[
        Path | None, typer.Option(help="Where the rows go; default runs/imported/NAME.")
    ] = None,
    num_val: Annotated[
        int | None, typer.Option(help="Images behind the accuracy that ranks.", min=1)
    ] = None,
    scored_on: Annotated[
        str | None, typer.Option(help="What these images were: validation or test.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Trainings behind each row, if it does not say.", min=1)
    ] = None,
    metric: Annotated[str | None, typer.Option(help="The figure that ranks.")] = None,
    direction: Annotated[
        str | None, typer.Option(help="Which figure is better: max or min.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Of a database that holds several.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.imported import import_study
    from modiste.cli.output import print_json
    from modiste.report.imported import tied_with_first
    from modiste.report.numbers import plural

    part = _one_of("--scored-on", scored_on, ("validation", "test"))
    way = _one_of("--direction", direction, ("max", "min"))
    imported, folder = import_study(
        source,
        out=out,
        num_val=num_val,
        scored_on=cast("Literal['validation', 'test'] | None", part),
        seeds=seeds,
        metric=metric,
        direction=cast("Literal['max', 'min'] | None", way),
        study=study,
    )
    ranked, found, tied = imported.ranked, imported.findings(), tied_with_first(imported)
    report = folder / "report.html"
    if json:
        print_json(
            {
                "schema": 1,
                "imported": str(folder),
                "report": str(report),
                "tool": imported.tool,
                "figure": imported.figure,
                "rows": len(imported.rows),
                "ranked": [{"label": row.label, "figure": row.figure} for row in ranked],
                "may_be_best": None if tied is None else [row.label for row in tied],
                "findings": [vars(finding) for finding in found],
            }
        )
        return
    print(f"{imported.tool}: {plural(len(imported.rows), 'row')}, ranked by {imported.figure}")
    if ranked:
        print(f"first: {ranked[0].label}, {ranked[0].figure:.4f}, {ranked[0].evidence}")
    if tied is not None:
        print(f"rows that may be the best one: {len(tied)} of {len(ranked)}")
    for finding in found:
        print(f"{finding.code} {finding.title}: {finding.text}. {finding.advice}")
    print(report)


def _one_of(option: str, given: str | None, known: tuple[str, ...]) -> str | None:
    from modiste.errors import SpecError, did_you_mean

    if given is not None and given not in known:
        raise SpecError(f"{option} {given}: no such word.{did_you_mean(given, known)}")
    return given
