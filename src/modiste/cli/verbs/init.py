"""`modiste init`: look at images of your own, and write a study file for them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from modiste.api.init import Begun

NAME = "init"
SHORT = "Look at images of your own, and write a study file for them."
EXAMPLE = "modiste init pets --minutes 15"
HELP = f"""Look at images of your own, and write a study file for them.

DATA is a folder with a folder for each class (with or without train/, val/ and test/), a CSV file
of paths and labels, a .npz file, or a folder of IDX files. Every image is looked at; whatever
speaks against training is said, with status 2. A set without a test part has one split off and
sealed, in modiste-test.json beside the images (FILE.modiste-test.json for a FILE). The plan fits
into the time that you name.

Example:  {EXAMPLE}
"""


def command(
    path: Annotated[Path, typer.Argument(help="A folder or a file of images.", metavar="DATA")],
    out: Annotated[
        Path | None, typer.Option(help="The study file; NAME.yaml here if not given.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="That the study may take.", min=0.01)] = 15.0,
    size: Annotated[
        str | None,
        typer.Option(help="What images are brought to; proposed if not given.", metavar="HxW"),
    ] = None,
    sizing: Annotated[
        str | None, typer.Option(help="stretch, fit, pad or crop; proposed if not given.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 (grey) or 3 (colour); proposed if not given.")
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(help="Share of each class that is split off to test; 0.2 if not given."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out unreadable files, up to 1 %.")
    ] = False,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Pictures may lie in two parts.")
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option(help="Runs side by side; default one for each core.", metavar="N|here"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.init import init_study
    from modiste.cli.output import print_json, say, workers_in
    from modiste.cli.progress import looking
    from modiste.errors import SpecError

    num_workers = workers_in(workers)
    if num_workers == "ray":
        raise SpecError(
            "--workers ray: the plan is for this machine, and is measured on it. Give a number of "
            "workers, or here."
        )
    with looking() as tell:
        found = init_study(
            path,
            out=out,
            minutes=minutes,
            size=None if size is None else _size(size),
            sizing=sizing,
            channels=channels,
            test_share=test_share,
            skip_bad=skip_bad,
            keep_duplicates=keep_duplicates,
            num_workers=num_workers,
            tell=tell,
            note=say,
        )
    if json:
        print_json(
            {
                "file": str(found.file),
                "sealed": found.sealed and str(found.sealed),
                "seconds": round(found.draft.seconds, 1),
                "fits": found.draft.fits,
                "workers": found.num_workers,
                "notes": list(found.notes),
                "data": {key: value for key, value in found.facts.items() if key != "images"},
            }
        )
        return
    _print(found)


def _print(found: Begun) -> None:
    from modiste.cli.output import duration
    from modiste.cli.verbs.data import print_facts
    from modiste.report import own_data

    print_facts(found.facts)
    print()
    print(own_data.rule(found.facts))
    print(own_data.of_test_part(found.facts))
    for line in found.notes:
        print(line)
    if found.sealed is not None:
        print(f"{found.sealed}: which images those are; keep it with them.")
    fits = "" if found.draft.fits else ", which is more than it was to take"
    print(f"{found.file}: the study; about {duration(found.draft.seconds)} here{fits}. Run it:")
    print(f"  modiste study {shlex.quote(str(found.file))}")


def _size(text: str) -> tuple[int, int]:
    from modiste.errors import SpecError

    try:
        height, width = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise SpecError(f"--size {text}: expected HxW, such as 32x32.") from None
    return height, width
