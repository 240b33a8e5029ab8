"""`modiste frontier`: accuracy against parameters, FLOPs, training time and latency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "frontier"
SHORT = "Draw accuracy against parameters, FLOPs, time and latency."
EXAMPLE = "modiste frontier results/fashion-mnist"
HELP = f"""Draw accuracy against what it costs, and say which models nothing beats.

Rows of studies are on validation images; recipes on those that `modiste speedrun --json` says;
published figures are on test images. The two kinds are marked and never joined.

Example:  {EXAMPLE}
"""
SHOWN = ("name", "part", "accuracy", "low", "high", "parameters", "flops", "seconds", "unbeaten_at")


def command(
    studies: Annotated[
        list[Path] | None, typer.Argument(help="Study folders.", metavar="STUDY...")
    ] = None,
    speedruns: Annotated[
        list[Path] | None,
        typer.Option(help="What `modiste speedrun --json` printed.", metavar="FILE"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where figure and tables go.")] = Path("frontier"),
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.frontier import frontier
    from modiste.cli.output import print_columns, print_json

    table, paths = frontier(studies or (), speedruns or (), out)
    if json:
        print_json({"points": table, "files": [str(path) for path in paths]})
        return
    leading = table.only(SHOWN)
    rows = [cells for cells, row in zip(leading.cells(), table, strict=True) if row["unbeaten_at"]]
    print_columns(SHOWN, rows, right_from=2)
    for path in paths:
        print(path)
