"""The command line: one thin file per verb, and one place where errors become messages."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from typing import Annotated, NoReturn

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
# What a place answers that has no room left.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What one may not enter, or no disk could hold.
_OUT_OF_REACH = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})
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
    _escape_letters()
    try:
        _write_out()
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
        if isinstance(error, OSError) and error.errno in _FULL:
            _say_full(error)
        if isinstance(error, OSError) and error.errno in _OUT_OF_REACH and error.filename:
            where = plain(os.fsdecode(error.filename))
            print(f"modiste: {where}: cannot be reached ({error.strerror}).", file=sys.stderr)
            sys.exit(2)
        _say_bug(error)


def _escape_letters() -> None:
    """Letters that an output cannot show become escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _write_out() -> None:
    """Run the verb, and write what it printed to the end: only then is it done."""
    try:
        app()
    except SystemExit as end:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has had enough
            _drop_output()
            sys.exit(0 if end.code is None else end.code)
        raise


def _drop_output() -> None:
    """What cannot be written shall not be tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _say_full(error: OSError) -> NoReturn:
    if error.filename is None:
        _drop_output()
    where = error.filename or "the output"
    print(f"modiste: {where}: cannot be written ({error.strerror}).", file=sys.stderr)
    print("Make room, or write elsewhere; what was finished is kept.", file=sys.stderr)
    sys.exit(2)


def _say_bug(error: Exception) -> NoReturn:
    if os.environ.get("MODISTE_DEBUG"):
        traceback.print_exc()
    print(
        f"modiste: this is a bug of ours, not yours: {type(error).__name__}: {error}\n"
        "Run the same command with --debug before the verb for the traceback, and report it.",
        file=sys.stderr,
    )
    sys.exit(1)
