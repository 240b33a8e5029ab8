"""`modiste report`: write a study's report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "report"
SHORT = "Write a study's report again."
EXAMPLE = "modiste report runs/fashion-mnist-quick"
HELP = f"""Write a study's report again, from its run folders alone.

Example:  {EXAMPLE}
"""


def command(
    study: Annotated[Path, typer.Argument(help="A study folder.", metavar="STUDY")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.study import write_report
    from modiste.cli.output import print_json
    from modiste.search.study import Study

    path = write_report(Study(study))
    if json:
        print_json({"report": str(path)})
    else:
        print(path)
