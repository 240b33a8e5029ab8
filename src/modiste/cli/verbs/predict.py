"""`modiste predict`: what a model says of image files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from modiste.artifact.classify import Classifier

NAME = "predict"
SHORT = "Classify image files, or folders of them."
EXAMPLE = "modiste predict shipped shoe.png more-images/"
HELP = f"""Classify image files (PNG, JPEG, BMP, GIF, WEBP) with an exported or a saved model.

An exported model (modiste export) needs no torch, and warns of images unlike those that it was
trained on. Folders are looked through to the bottom for files that are called like images.

Example:  {EXAMPLE}
"""


def command(
    model: Annotated[
        Path, typer.Argument(help="An exported folder, or a model or run folder.", metavar="MODEL")
    ],
    images: Annotated[list[str], typer.Argument(help="Files or folders.", metavar="IMAGE...")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row for each image.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after a file that is no image, and name it.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Of an exported model: answer in 8 bits.")
    ] = False,
) -> None:
    from modiste.artifact.classify import classify
    from modiste.cli.answers import print_csv, print_lines, print_object
    from modiste.errors import SpecError

    if json and csv:
        raise SpecError("--json and --csv: choose one.")
    # As a path it would be the folder where this is called, with all images in it.
    if not all(images):
        raise SpecError("IMAGE: an empty name. Is a variable of the shell not set?")
    loaded = _load(model, int8)
    with _bar(list(map(Path, images)), is_wanted=json or not sys.stdout.isatty()) as paths:
        answers = classify(loaded, paths, is_skipping=skip_bad)
        if json:
            print_object(answers, loaded.class_names, model)
        elif csv:
            print_csv(answers, loaded.class_names)
        else:
            print_lines(answers, loaded.class_names)


def _load(folder: Path, is_int8: bool) -> Classifier:
    """An exported model through onnxruntime; any other through torch."""
    from modiste.artifact.folder import is_exported
    from modiste.errors import SpecError

    if is_exported(folder):
        from modiste.artifact.extra import need_extra

        need_extra("an exported model")
        from modiste.artifact.model import load_artifact

        return load_artifact(folder, is_int8=is_int8)
    if is_int8:
        raise SpecError(
            f"--int8: {folder} is no exported model; `modiste export --int8` makes one."
        )
    from modiste.api.saved import need_images
    from modiste.export.model import load_model

    model = load_model(folder)
    need_images(folder)
    return model


@contextmanager
def _bar(images: Sequence[Path], is_wanted: bool) -> Iterator[Iterator[Path]]:
    """The image files, with a bar on stderr where that is a terminal and stdout shows nothing."""
    from rich.console import Console
    from rich.progress import Progress

    from modiste.artifact.classify import image_files

    console = Console(stderr=True)
    if not (is_wanted and console.is_terminal):
        yield image_files(images)
        return
    total = sum(1 for _ in image_files(images))
    # Not redirected: what is printed meanwhile belongs to stdout, wherever that leads.
    with Progress(console=console, transient=True, redirect_stdout=False) as progress:
        yield iter(progress.track(image_files(images), total=total, description="images"))
