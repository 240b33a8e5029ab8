"""`modiste dashboard`: a study in optuna-dashboard, while it runs or after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "dashboard"
SHORT = "Look at a study with optuna-dashboard, while it runs or after."
EXAMPLE = "modiste dashboard runs/open-search-full"
HELP = f"""Look at a study with optuna-dashboard, while it runs or after; Ctrl-C ends it.

It reads the run folders every few seconds and writes what is new into an Optuna database,
STUDY/work/optuna.db if no other is named. The search never waits for it, and the database can be
deleted at any time.

Example:  {EXAMPLE}
"""


def command(
    study: Annotated[Path, typer.Argument(help="A study folder.", metavar="STUDY")],
    port: Annotated[int, typer.Option(help="On this machine.", min=1, max=65535)] = 8080,
    storage: Annotated[
        str | None,
        typer.Option(help="An Optuna database: sqlite:///FILE, ...", metavar="URL"),
    ] = None,
) -> None:
    from modiste.api.dashboard import dashboard
    from modiste.cli.output import say

    dashboard(study, port, storage, started=lambda: say(f"{study} at http://127.0.0.1:{port}/"))
