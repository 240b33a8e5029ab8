"""`modiste data`: look at a data set, or at every image of one of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "data"
SHORT = "Look at a data set."
EXAMPLE = "modiste data show fashion-mnist --out figures"
HELP = f"""Look at a data set.

Example:  {EXAMPLE}
"""
SCAN_EXAMPLE = "modiste data scan pets"
NUM_SHOWN = 6

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Look at a data set."""


@app.command(
    "show",
    short_help="First images and samples per class, as figures.",
    help="Draw the first 50 training images with their class names, and the samples of each class "
    f"in each split, as PNG and SVG. The test set is not opened for it.\n\nExample:  {EXAMPLE}",
)
def show(
    name: Annotated[
        str, typer.Argument(help="A data source, such as fashion-mnist, or a folder of images.")
    ],
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("figures"),
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    num_val: Annotated[
        int | None,
        typer.Option(help="Images kept for validation; a fifth, or the part that there is.", min=1),
    ] = None,
    split_seed: Annotated[int, typer.Option(help="Seed of the split.", min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.data import open_data
    from modiste.cli.output import print_json
    from modiste.cli.progress import looking
    from modiste.report.data_figures import render

    with looking() as tell:
        opened = open_data(name, data, tell, num_val=num_val, split_seed=split_seed)
    images, divided = opened.images, opened.divided()
    paths = render(
        images,
        divided.split,
        out,
        name=opened.name,
        test_counts_K=opened.test_counts_K,
    )
    if json:
        print_json(
            {
                "name": opened.name,
                "data_digest": divided.digest,
                "class_names": list(images.class_names),
                "train": divided.train.counts(),
                "val": divided.val.counts(),
                "figures": [str(path) for path in paths],
            }
        )
        return
    print(
        f"{opened.name}: {len(divided.train):,} images to train on, {len(divided.val):,} to "
        f"validate on, {images.num_classes} classes; the test set stays closed."
    )
    for path in paths:
        print(path)


@app.command(
    "scan",
    short_help="Decode every image of a set of your own once, and say what is wrong.",
    help="Decode every image of a folder, a CSV, a .npz or IDX files once, count them by format, "
    "mode and size, list what cannot be used, and leave with status 2 if a study of it would be "
    f"refused.\n\nExample:  {SCAN_EXAMPLE}",
)
def scan(
    name: Annotated[
        str, typer.Argument(help="A folder of class folders, a CSV or .npz file.", metavar="DATA")
    ],
    data: Annotated[Path | None, typer.Option(help="Where a source of that name lies.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out unreadable files, up to 1 %.")
    ] = False,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Pictures may lie in two parts.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.data import scan as look
    from modiste.cli.output import print_json
    from modiste.cli.progress import looking
    from modiste.errors import DataError

    with looking() as tell:
        found = look(name, data, skip_bad=skip_bad, keep_duplicates=keep_duplicates, tell=tell)
    if json:
        print_json(found)
    else:
        print_facts(found)
    if found["trouble"]:
        raise DataError(found["trouble"])


def print_facts(found: dict[str, Any]) -> None:
    """What a scan found, for a person."""
    from modiste.cli.output import print_columns

    for line in lines(found):
        print(line)
    parts = found.get("parts") or found["came"]
    names = [part for part in ("train", "val", "test") if any(parts[part])]
    print_columns(
        ("class", *names),
        [
            (name, *(f"{parts[part][label]:,}" for part in names))
            for label, name in enumerate(found["class_names"])
        ],
    )
    for bad in found["bad"]:
        print(f"cannot be used: {bad['name']}: {bad['why']}")


def lines(found: dict[str, Any]) -> list[str]:
    """The same in lines, but for classes and for what cannot be used."""
    from modiste.report.own_data import counted, remarks, sizes

    answer = [
        (
            f"{found['name']}: {found['num_seen']:,} {found['unit']}s of "
            f"{len(found['class_names'])} classes, found as {found['source']}"
        ),
        f"formats: {counted(found['formats'])}; modes: {counted(found['modes'])}",
        f"sizes: {sizes(found, NUM_SHOWN)}",
    ]
    return answer + remarks(found)
