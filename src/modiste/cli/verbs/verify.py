"""`modiste verify`: is an exported model whole, safe to run, and the same here as there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "verify"
SHORT = "Check an exported model: hashes, graph, golden images."
EXAMPLE = "modiste verify shipped --digest 5f1c0a77d2e94b10"
HELP = f"""Check an exported model before it is used; torch is not needed.

Sizes and hashes first, then what the ONNX graph holds, whether it is the net that its weights and
configuration describe, and whether the golden images get the expected probabilities here.

Example:  {EXAMPLE}
"""


def command(
    folder: Annotated[Path, typer.Argument(help="What `modiste export` wrote.", metavar="DIR")],
    digest: Annotated[
        str | None,
        typer.Option(help="The folder's digest as its maker told it, or its beginning."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.artifact.extra import need_extra
    from modiste.cli.output import print_json
    from modiste.errors import ModisteError

    need_extra("modiste verify")
    from modiste.artifact.verify import Check, verify

    checks: list[Check] = []
    failed: ModisteError | None = None
    try:
        for check in verify(folder, digest):
            checks.append(check)
            if not json:
                print(f"ok  {check.name}: {check.words}")
    except ModisteError as error:
        failed = error
    if json:
        print_json(
            {
                "schema": 1,
                "folder": str(folder),
                "holds": failed is None,
                "checks": [check._asdict() for check in checks],
                "failed": None if failed is None else str(failed),
            }
        )
    if failed is not None:
        raise failed
    if not json:
        print(f"{folder} is what was exported, and answers here as it did there.")
