"""`modiste serve`: an exported model over HTTP, with a page to try it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "serve"
SHORT = "Answer over HTTP with an exported model; has a page to try it."
EXAMPLE = "modiste serve shipped --port 8000"
HELP = f"""Answer over HTTP with an exported model, and show a page to try it; torch is not needed.

Only this machine can ask. With --host others can, and need the token that is printed once.
SIGTERM and Ctrl-C finish what was accepted. docs/http_api.md describes addresses and limits.

Example:  {EXAMPLE}
"""


def command(
    folder: Annotated[Path, typer.Argument(help="What `modiste export` wrote.", metavar="DIR")],
    host: Annotated[
        str, typer.Option(help="Where to listen; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name by which it may be called; may be repeated."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Answer in 8 bits.")] = False,
    threads: Annotated[
        int, typer.Option(min=1, max=256, help="For the arithmetic of one request.")
    ] = 1,
) -> None:
    from modiste.artifact.extra import need_extra
    from modiste.cli.output import say

    need_extra("modiste serve", "serve")
    from modiste.artifact.model import load_artifact
    from modiste.serve.answers import prepare
    from modiste.serve.server import listen, run

    served = prepare(load_artifact(folder, is_int8=int8, threads=threads), is_int8=int8)
    place = listen(host, port, allow_host or ())
    if place.access.token:
        say("Whoever has the token in this address may ask. It is shown once, and travels in the")
        say("open: let a server with TLS stand before this one where others can listen.")
    run(served, place, started=lambda: say(f"serving {folder} at {place.address}"))
