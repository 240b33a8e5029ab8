"""`modiste speedrun`: how accurate a frozen recipe is, and how long it takes here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "speedrun"
SHORT = "Train a frozen recipe: its accuracy, and its time."
EXAMPLE = "modiste speedrun mlp --runs 3"
HELP = f"""Train a frozen recipe several times: accuracy, and seconds from arrays to answers.

RECIPE is one that comes with modiste (--list names them) or a YAML file. Figures are of validation
images; with --final the test set is opened, once and counted, for all runs together, whose seeds
follow from the recipe's file. Seconds stand beside a part of Keras's epoch of the reference CNN,
where Keras is installed.

Example:  {EXAMPLE}
"""


def command(
    recipe: Annotated[str, typer.Argument(help="A name or a YAML file.", metavar="RECIPE")] = "cnn",
    runs: Annotated[int, typer.Option(help="How many trainings.", min=1)] = 5,
    final: Annotated[
        bool, typer.Option("--final", help="Open the test set, once and counted.")
    ] = False,
    reason: Annotated[str, typer.Option(help="What that look is for.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Where the runs of a look and the look itself go.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="A CSV file that gets a line for the look.")
    ] = None,
    no_keras: Annotated[
        bool, typer.Option("--no-keras", help="Do not measure Keras beside it.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Name the recipes, and train none.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.cli.output import print_json

    if list_:
        _list(json=json)
        return
    from modiste.api.speedrun import speedrun
    from modiste.cli.progress import stop_on_interrupt

    with stop_on_interrupt(), _status() as tell:  # nobody asks, so the first word ends it
        found = speedrun(
            recipe,
            runs=runs,
            final=final,
            reason=reason,
            out=out,
            log=log,
            with_keras=not no_keras,
            data_folder=data,
            tell=tell,
        )
    if json:
        print_json(found)
        return
    for line in lines(found):
        print(line)


def _list(*, json: bool) -> None:
    from modiste.cli.output import print_columns, print_json
    from modiste.recipes.files import every_recipe

    files = list(every_recipe())
    if json:
        print_json({file.name: {**file.recipe.to_dict(), "sha256": file.sha256} for file in files})
        return
    rows = [(file.name, file.recipe.title, f"{file.recipe.goal:.4f}") for file in files]
    print_columns(("recipe", "for", "goal"), rows, right_from=2)


@contextmanager
def _status() -> Iterator[Callable[[int, int, str], None]]:
    """A line that changes, on a terminal; elsewhere nothing."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda lap, laps, what: None
        return
    with console.status("reading the images") as status:
        yield lambda lap, laps, what: status.update(f"run {lap + 1} of {laps}: {what}")


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The answer for a person."""
    from statistics import fmean

    from modiste.report.numbers import plural

    accuracy, seconds = found["accuracy"], found["seconds"]
    part = "test" if found["part"] == "test" else "validation"
    yield f"{found['recipe']}: {found['title']}"
    yield (
        f"{found['parameters']:,} parameters, {plural(found['epochs'], 'epoch')} on "
        f"{found['num_train']:,} images, {plural(found['threads'], 'thread')}"
    )
    text = f"{part} accuracy {accuracy['mean']:.4f}, mean of {plural(len(found['runs']), 'run')}"
    if accuracy["low"] is not None:
        text += (
            f" (95 % interval over runs {accuracy['low']:.4f} to {accuracy['high']:.4f}, standard "
            f"deviation {accuracy['standard_deviation']:.4f})"
        )
    yield text
    reached = "reached" if found["reached"] else "not reached"
    size = f" with at most {most:,} parameters" if (most := found["max_parameters"]) else ""
    yield f"goal {found['goal']:.4f}{size}: {reached} on {part} images"
    yield (
        f"{seconds['median']:.1f} s, median of {seconds['least']:.1f} to {seconds['most']:.1f}, "
        "from arrays in memory to the logits of up to 10,000 images"
    )
    if not found["keras_epoch_seconds"]:
        yield "Keras not measured beside it: it is not installed (the extra 'peers'), or left out."
    else:
        yield (
            f"{found['keras_epochs']:.3f} of one epoch of the reference CNN in Keras "
            f"({fmean(found['keras_epoch_seconds']):.0f} s, from parts of it)"
        )
    if found["part"] == "test":
        yield f"Looks at this test set so far: {found['looks']}."
