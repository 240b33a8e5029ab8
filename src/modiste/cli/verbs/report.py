"""`modiste report`: write a study's report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "report"
SHORT = "Write a study's report again."
EXAMPLE = "modiste report runs/fashion-mnist-quick"
HELP = f"""Write a study's report again, from its run folders alone; that of an imported one, too.

Example:  {EXAMPLE}
"""


def command(
    study: Annotated[Path, typer.Argument(help="A study folder.", metavar="STUDY")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.study import write_report
    from modiste.cli.output import print_json
    from modiste.report.imported import write_imported
    from modiste.search.imported import FILE
    from modiste.search.study import Study

    is_imported = (study / FILE).is_file()
    path = write_imported(study) if is_imported else write_report(Study(study))
    if json:
        print_json({"report": str(path)})
    else:
        print(path)
