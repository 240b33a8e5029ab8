"""`modiste reproduce`: train a run again from its record, and say whether the same came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from modiste.train.task import Progress

NAME = "reproduce"
SHORT = "Train a run again: do its numbers come out here?"
EXAMPLE = "modiste reproduce results/fashion-mnist/runs/d97efae8aa5eba15 --epochs 2"
HELP = f"""Train a run again from its record, and say whether the same came out.

The answer is identical (bit for bit), within noise (no further apart than chance puts two
trainings), or different, with what differs here from the record and the likely cause: data,
version, device, threads or processor. Where the study holds no repeats that tell how far a seed
moves the accuracy, chance is the choice of images alone, and the answer says so. The record is
only read. After Ctrl-C, the same command goes on. Exit status 3 means different.

Example:  {EXAMPLE}
"""
DIFFERENT = 3
# On no terminal, a line at most so often.
LINE_SECONDS = 10.0


def command(
    run: Annotated[
        Path, typer.Argument(help="A run folder, or a model folder in its study.", metavar="RUN")
    ],
    epochs: Annotated[
        int | None, typer.Option(help="Train and compare the first epochs only.", metavar="N")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the new run goes.")] = Path("runs/reproduced"),
    threads: Annotated[
        int | None, typer.Option(help="In place of the record's number of threads.", min=1)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="In place of the record's device: cpu or cuda.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.reproduce import reproduce
    from modiste.cli.output import print_json, this_command
    from modiste.cli.progress import stop_on_interrupt
    from modiste.errors import Interrupted

    with stop_on_interrupt() as should_stop, _display() as tell:
        try:
            answer = reproduce(
                run,
                out=out,
                epochs=epochs,
                threads=threads,
                device=device,
                data_folder=data,
                tell=tell,
                should_stop=should_stop,
            )
        except Interrupted:
            command = this_command()
            raise Interrupted(
                f"stopped; everything done is saved. Go on with:\n  {command}"
            ) from None
    if json:
        print_json(answer)
    else:
        _print(answer)
    if answer["verdict"] == "different":
        raise typer.Exit(DIFFERENT)


@contextmanager
def _display() -> Iterator[Callable[[Progress], None]]:
    """Shows how the run stands: a line that changes on a terminal, some lines elsewhere."""
    import time

    from rich.console import Console

    from modiste.cli.output import say

    console = Console(stderr=True)
    told = time.monotonic()

    def line(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            say(_describe(progress))

    if not console.is_terminal:
        yield line
        return
    with console.status("reading the record and the data") as status:
        yield lambda progress: status.update(_describe(progress))


def _describe(progress: Progress) -> str:
    if progress.phase == "fit":
        return f"fitting in one go, {progress.done} s so far"
    epoch = min(progress.epoch + 1, progress.epochs)
    text = f"epoch {epoch} of at most {progress.epochs}, "
    text += f"{'update' if progress.phase == 'train' else 'batch'} {progress.done}/{progress.total}"
    if progress.val_accuracy is not None:
        text += f", validation accuracy {progress.val_accuracy:.4f}"
    return text


def _print(answer: Mapping[str, Any]) -> None:
    from modiste.cli.output import print_columns

    print(_headline(answer))
    print()
    for name, part in answer["parts"].items():
        print(f"{name + ':':10} {_WORDS[name](part)}")
    for row in answer["accuracies"]:
        print(f"{'accuracy:':10} {_accuracy(row)}")
    found = answer["changes"]
    if found:
        print("\nNot as in the record:")
        rows = [(c["name"], _plain(c["recorded"]), _plain(c["here"])) for c in found]
        print_columns(("what", "recorded", "here"), rows, right_from=3)
    else:
        print("\nWhat the record says of versions, machine and data is as it is here.")
    if answer["not_recorded"]:
        print(f"The record does not say: {', '.join(answer['not_recorded'])}.")
    if answer["cause"]:
        print(f"Likely cause: {answer['cause']} ({answer['because']}).")
    for note in answer["notes"]:
        print(note)
    if answer["reproduced"]:
        print(answer["reproduced"])


def _headline(answer: Mapping[str, Any]) -> str:
    num = answer["epochs"]
    first = "the first epoch" if num == 1 else f"the first {num} epochs"
    what = "" if num is None else f" for {first}"
    than = "than chance puts two trainings"
    if any(row["difference"] and row["seed_error"] is None for row in answer["accuracies"]):
        than = "than the choice of images explains"
    return {
        "identical": f"identical{what}: to the last bit",
        "within noise": f"within noise{what}: not the same bits, but no further apart {than}",
        "different": f"different{what}: further apart {than}",
    }[answer["verdict"]]


def _history(part: Mapping[str, Any]) -> str:
    from modiste.report.numbers import plural

    epochs = plural(part["num_compared"], "epoch")
    first = part["first"]
    if first is not None:
        sizes = ", ".join(f"{name} {size:.2g}" for name, size in part["largest"].items())
        return (
            f"from epoch {first['epoch']} on not the same ({first['column']} {first['recorded']!r} "
            f"recorded, {first['here']!r} here); largest differences in {epochs}: {sizes}"
        )
    if not part["is_identical"]:
        return (
            f"{epochs} agree, but {part['num_recorded']} were recorded and there are "
            f"{part['num_here']} here"
        )
    return f"{epochs}, every figure to the last bit"


def _end(part: Mapping[str, Any]) -> str:
    if part["is_identical"]:
        return str(part["here"])
    return f"{part['here']} (recorded: {part['recorded']})"


def _figures(part: Mapping[str, Any]) -> str:
    if part["is_identical"]:
        return f"{part['num_compared']} losses, accuracies and counts, to the last bit"
    return f"{len(part['different'])} of {part['num_compared']} differ"


def _arrays(part: Mapping[str, Any]) -> str:
    total = f"{part['num_values']:,} values"
    if part["is_identical"]:
        return f"{total}, to the last bit"
    if part["max_difference"] is None:
        if part["num_different"] == part["num_values"]:
            return "of another shape, or other values that are not all finite"
        return f"{part['num_different']:,} of {total} differ; not all of them are finite"
    return f"{part['num_different']:,} of {total} differ, by at most {part['max_difference']:.3g}"


def _answers(part: Mapping[str, Any]) -> str:
    if part["is_identical"]:
        return f"{part['num_values']:,}, all the same"
    return f"{part['num_different']:,} of {part['num_values']:,} differ"


_WORDS = {
    "history": _history,
    "end": _end,
    "figures": _figures,
    "logits": _arrays,
    "answers": _answers,
    "weights": _arrays,
}


def _accuracy(row: Mapping[str, Any]) -> str:
    from modiste.report.numbers import plural, points

    name = row["epoch"] if row["epoch"].startswith("epoch") else f"{row['epoch']} epoch"
    text = f"{name}, {row['recorded']:.4f} recorded, {row['here']:.4f} here"
    if row["difference"] == 0:
        return text
    paired = "paired over the images" if row["is_paired"] else "of two samples of images"
    errors = []
    if row["image_error"] is not None:
        errors.append(f"{100 * row['image_error']:.2f} {paired}")
    if row["seed_error"] is not None:
        runs = plural(row["num_seeds"], "training")
        errors.append(f"{100 * row['seed_error']:.2f} from the spread of {runs} over their seeds")
    text += f": {points(row['difference'])} points"
    if not errors:
        return f"{text}; a single image tells nothing of the noise"
    covered = "" if row["seed_error"] is not None else ", images alone"
    return (
        f"{text}, 99 % interval {points(row['low'])} to {points(row['high'])} "
        f"(standard error {' and '.join(errors)}{covered})"
    )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    text = str(value)
    return f"{text[:16]}..." if len(text) == 64 else text
