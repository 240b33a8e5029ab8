"""`modiste data`: look at a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "data"
SHORT = "Look at a data set."
EXAMPLE = "modiste data show fashion-mnist --out figures"
HELP = f"""Look at a data set.

Example:  {EXAMPLE}
"""

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
    name: Annotated[str, typer.Argument(help="A data source, such as fashion-mnist.")],
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("figures"),
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    num_val: Annotated[int, typer.Option(help="Images kept for validation.", min=1)] = 12_000,
    split_seed: Annotated[int, typer.Option(help="Seed of the split.", min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.cli.output import print_json
    from modiste.data.load import divide
    from modiste.data.source import SOURCES
    from modiste.report.data_figures import render
    from modiste.spec.run import DataSpec

    source = SOURCES.get(name)(data)
    images = source.load_train()
    divided = divide(images, DataSpec(name=name, num_val=num_val, split_seed=split_seed))
    paths = render(images, divided.split, out, name=name, test_counts_K=source.test_counts_K)
    if json:
        print_json(
            {
                "name": name,
                "data_digest": divided.digest,
                "class_names": list(images.class_names),
                "train": divided.train.counts(),
                "val": divided.val.counts(),
                "figures": [str(path) for path in paths],
            }
        )
        return
    print(
        f"{name}: {len(divided.train):,} images to train on, {len(divided.val):,} to validate on, "
        f"{images.num_classes} classes; the test set stays closed."
    )
    for path in paths:
        print(path)
