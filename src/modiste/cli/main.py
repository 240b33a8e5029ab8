"""The command line: one thin file per verb, and one place where errors become messages."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from modiste.cli.output import plain, this_command
from modiste.cli.verbs import (
    audit,
    collect,
    compare,
    dashboard,
    data,
    describe,
    evaluate,
    export,
    frontier,
    imported,
    init,
    leaderboard,
    plan,
    predict,
    report,
    reproduce,
    serve,
    show,
    speedrun,
    study,
    verify,
)
from modiste.errors import ModisteError

VERBS = (
    init,
    plan,
    study,
    leaderboard,
    show,
    compare,
    dashboard,
    report,
    describe,
    evaluate,
    reproduce,
    export,
    verify,
    predict,
    serve,
    collect,
    imported,
    audit,
    speedrun,
    frontier,
    data,
)
HELP = "Find, train, honestly evaluate, report on and ship small image classifiers."
# The line with \b tells click to keep the lines after it as they are.
EXAMPLES = "\b\nExamples:\n" + "\n".join(f"  {verb.EXAMPLE}" for verb in VERBS)

app = typer.Typer(
    help=HELP,
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in VERBS[:-1]:
    app.command(verb.NAME, help=verb.HELP, short_help=verb.SHORT)(verb.command)
app.add_typer(data.app, name=data.NAME, help=data.HELP, short_help=data.SHORT)


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"modiste {version('modiste')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error as well.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and leave.")
    ] = False,
) -> None:
    """Options of every verb."""
    if debug:
        os.environ["MODISTE_DEBUG"] = "1"


def run() -> None:
    """What the command `modiste` calls. Status 0: done; 2: you can fix this; 1: a bug of ours."""
    stdout = sys.stdout
    try:
        app()
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            print(f"modiste: stopped. Go on with:\n  {this_command()}", file=sys.stderr)
        if sys.stdout is not stdout:
            # What typer makes of a reader who has had enough, as in `modiste ... | head`.
            sys.exit(0)
        raise
    except ModisteError as error:
        if os.environ.get("MODISTE_DEBUG"):
            traceback.print_exc()
        # What others wrote may stand in it: names of files, of classes, of steps.
        words = "\n".join(plain(line) for line in str(error).splitlines())
        print(f"modiste: {words}", file=sys.stderr)
        sys.exit(error.exit_status)
    except Exception as error:  # noqa: BLE001 (the last place where it can become a message)
        if os.environ.get("MODISTE_DEBUG"):
            traceback.print_exc()
        print(
            f"modiste: this is a bug of ours, not yours: {type(error).__name__}: {error}\n"
            "Run the same command with --debug before the verb for the traceback, and report it.",
            file=sys.stderr,
        )
        sys.exit(1)
