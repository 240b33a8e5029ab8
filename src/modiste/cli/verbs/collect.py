"""`modiste collect`: a study's results made small, to be kept in a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "collect"
SHORT = "Make a study's results small enough to keep."
EXAMPLE = "modiste collect runs/fashion-mnist-full --to results/fashion-mnist"
HELP = f"""Copy a study's results without the bulk: tables, histories, specs, compact predictions.

What comes out is a study folder: `modiste report` writes its report again. Final stages keep their
models and all logits, unless they are named as light.

Example:  {EXAMPLE}
"""


def command(
    study: Annotated[Path, typer.Argument(help="A study folder.", metavar="STUDY")],
    to: Annotated[Path, typer.Option(help="Where the results go.")],
    light: Annotated[
        str | None,
        typer.Option(
            help="Final stages that are kept as all others are: no logits, no models.",
            metavar="NAME,...",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.study import collect_results
    from modiste.cli.output import names_in, print_json
    from modiste.search.study import Study

    tables = collect_results(Study(study), to, light=names_in("--light", light) or ())
    if json:
        print_json({"results": str(to), "tables": [str(path) for path in tables]})
        return
    for path in tables:
        print(path)
