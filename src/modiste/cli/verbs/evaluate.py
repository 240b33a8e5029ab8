"""`modiste evaluate`: how good a model is, on validation images or, once, on the test set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "evaluate"
SHORT = "How good a model is; with --final, on the sealed test set."
EXAMPLE = "modiste evaluate runs/fashion-mnist-quick/models/mlp-final"
TOGETHER = "modiste evaluate results/fashion-mnist --stages mlp-final --together"
HELP = f"""Evaluate a model, a run, or the final models of a study.

Without --final: what the validation images said, and what looks at the test set have stored, which
opens nothing. With --final and --reason, the test set is opened once for all of them together, and
the look is written into its ledger for good.

With --together, several runs are taken as one model, by the mean of their probabilities: its
accuracy, loss, Brier score and calibration, and what it adds to the best of them. That opens
nothing; test figures are those of stored looks.

Example:  {EXAMPLE}

Example:  {TOGETHER}
"""


def command(
    model: Annotated[
        list[Path],
        typer.Argument(
            help="A model, run or study folder; several with --together.", metavar="MODEL..."
        ),
    ],
    final: Annotated[bool, typer.Option("--final", help="Open the test set.")] = False,
    reason: Annotated[str, typer.Option(help="What the look at the test set is for.")] = "",
    stages: Annotated[
        str | None, typer.Option(help="Of a study: these stages only.", metavar="NAME,...")
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="As one model: the mean of their probabilities.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.evaluation import evaluate
    from modiste.cli.output import names_in, print_json
    from modiste.errors import SpecError

    names = names_in("--stages", stages)
    if together:
        _need_no_seal(final, reason)
        _together(model, names, json)
        return
    if len(model) > 1:
        raise SpecError(
            f"{len(model)} models were named. Name one, or add --together to evaluate the mean of "
            "their probabilities."
        )
    found = evaluate(model[0], final=final, reason=reason, stages=names, data_folder=data)
    if json:
        print_json(found.to_dict())
        return
    _print(f"{found['part']}, {found['num_images']:,} images", found["runs"])
    for look in found.get("stored", ()):
        print(f"\nstored in {look['file']}, opened {look['opened_at'] or 'once'}: {look['reason']}")
        _print(f"test, {look['num_images']:,} images", look["runs"])
    for line in found["notes"]:
        print(line)


def _print(title: str, runs: list[dict[str, Any]]) -> None:
    from modiste.cli.output import print_columns

    print(title)
    rows = [_cells(row, epoch) for row in runs for epoch in ("best", "last") if epoch in row]
    print_columns(("run", "seed", "epoch", "accuracy", "95 % interval", "loss"), rows)


def _cells(row: dict[str, Any], epoch: str) -> tuple[str, ...]:
    figures = row[epoch]
    low, high = figures["interval"]
    return (
        row["label"],
        str(row["seed"]),
        epoch,
        f"{figures['accuracy']:.4f}",
        f"{low:.4f} to {high:.4f}",
        "-" if figures["loss"] is None else f"{figures['loss']:.4f}",
    )


def _need_no_seal(final: bool, reason: str) -> None:
    from modiste.errors import SealError

    if final or reason:
        raise SealError(
            "--together opens nothing and takes neither --final nor --reason: it shows test "
            "figures where looks have stored the answers of all its runs. Make that look first: "
            'modiste evaluate STUDY --final --reason "...".'
        )


def _together(folders: list[Path], stages: list[str] | None, json: bool) -> None:
    from modiste.api.ensembles import together
    from modiste.cli.output import print_json

    found = together(folders, stages=stages)
    if json:
        print_json(found)
        return
    print(f"{len(found['members'])} runs together, by the mean of their probabilities")
    for name, part in found["parts"].items():
        _print_part(name, part)
    for line in found["notes"]:
        print(line)


def _print_part(name: str, part: dict[str, Any]) -> None:
    from modiste.cli.output import print_columns

    print(f"\n{name}, {part['num_images']:,} images")
    rows = []
    for epoch in ("best", "last"):
        found = part[epoch]
        single = found["best_single"]
        rows.append(("together", epoch, *_figures(found["together"])))
        rows.append(
            (f"best single: {single['label']}, seed {single['seed']}", epoch, *_figures(single))
        )
    print_columns(
        ("model", "epoch", "accuracy", "95 % interval", "loss", "Brier", "calibration error"), rows
    )
    for epoch in ("best", "last"):
        gain = part[epoch]["adds"]["to_the_best_single"]
        accuracy, loss = gain["accuracy"], gain["loss"]
        low, high = (100 * end for end in accuracy["interval"])
        text = (
            f"Added to the best single one, {epoch} epoch: {100 * accuracy['difference']:+.2f} "
            f"points ({low:+.2f} to {high:+.2f})"
        )
        if loss["interval"] is not None:  # not where a loss is infinite
            low, high = loss["interval"]
            text += f", loss {loss['difference']:+.4f} ({low:+.4f} to {high:+.4f})"
        print(text)


def _figures(found: dict[str, Any]) -> tuple[str, ...]:
    from modiste.tables import number

    low, high = found["accuracy"]["interval"]
    return (
        f"{found['accuracy']['value']:.4f}",
        f"{low:.4f} to {high:.4f}",
        *(number(found[key]["value"]) for key in ("loss", "brier", "calibration_error")),
    )
