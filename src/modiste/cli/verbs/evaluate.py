"""`modiste evaluate`: how good a model is, on validation images or, once, on the test set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "evaluate"
SHORT = "How good a model is; with --final, on the sealed test set."
EXAMPLE = "modiste evaluate runs/fashion-mnist-quick/models/mlp-final"
HELP = f"""Evaluate a model, a run, or the final models of a study.

Without --final: what the validation images said. With --final and --reason, the test set is opened
once for all of them together, and the look is written into its ledger for good.

Example:  {EXAMPLE}
"""


def command(
    model: Annotated[Path, typer.Argument(help="A model, run or study folder.", metavar="MODEL")],
    final: Annotated[bool, typer.Option("--final", help="Open the test set.")] = False,
    reason: Annotated[str, typer.Option(help="What the look at the test set is for.")] = "",
    stages: Annotated[
        str | None, typer.Option(help="Of a study: these stages only.", metavar="NAME,...")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.evaluation import evaluate
    from modiste.cli.output import names_in, print_columns, print_json

    names = names_in("--stages", stages)
    found = evaluate(model, final=final, reason=reason, stages=names, data_folder=data)
    if json:
        print_json(found.to_dict())
        return
    rows = [
        _cells(row, epoch) for row in found["runs"] for epoch in ("best", "last") if epoch in row
    ]
    print(f"{found['part']}, {found['num_images']:,} images")
    print_columns(("run", "seed", "epoch", "accuracy", "95 % interval", "loss"), rows)
    for line in found["notes"]:
        print(line)


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
