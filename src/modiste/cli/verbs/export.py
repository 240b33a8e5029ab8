"""`modiste export`: a trained model as a folder for others, with the proof that it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "export"
SHORT = "Write a model as ONNX, with card and certificate."
EXAMPLE = "modiste export runs/fashion-mnist-quick/models/mlp-final --to shipped"
HELP = f"""Write a trained model as a folder for others: ONNX, weights, card, images, certificate.

The whole validation set goes through PyTorch and onnxruntime. If one image gets another class,
nothing is written.

Example:  {EXAMPLE}
"""


def command(
    model: Annotated[
        Path, typer.Argument(help="A run or model folder (STUDY/models/NAME).", metavar="MODEL")
    ],
    to: Annotated[Path, typer.Option("--to", help="The folder to write.", metavar="DIR")],
    epoch: Annotated[
        str | None,
        typer.Option(help="Of a run: the weights of its best or its last epoch.", metavar="EPOCH"),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also in 8 bits, and say what that changes.")
    ] = False,
    golden: Annotated[
        str,
        typer.Option(
            help="Images to ask again: 'validation' ships some, 'noise' ships none.",
            metavar="KIND",
        ),
    ] = "validation",
    licence: Annotated[
        str,
        typer.Option("--licence", "--license", help="Of the model, for its card.", metavar="NAME"),
    ] = "unknown",
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.exporting import export_model
    from modiste.cli.output import print_json, say

    found = export_model(
        model,
        to,
        epoch=epoch,
        int8=int8,
        golden=golden,
        licence=licence,
        data_folder=data,
        tell=lambda words: say(f"{words} ..."),
    )
    if json:
        print_json(found)
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    certificate = found["certificate"]
    parity, accuracy = certificate["parity"], certificate["figures"]["accuracy"]
    low, high = accuracy["interval"]
    print(f"{found['folder']}, digest {found['digest']}")
    print(
        f"{parity['images']:,} validation images: {parity['flips']} other answers than PyTorch's, "
        f"largest difference {parity['largest_difference']:.1e}"
    )
    print(f"validation accuracy {accuracy['value']:.4f} ({low:.4f} to {high:.4f})")
    for name, times in certificate["latency"].items():
        size = certificate["files"][name]["bytes"]
        print(
            f"{name}: {size / 1e3:,.0f} kB, {times['single_ms']['median']:g} ms for one image, "
            f"{times['batch_ms_per_image']:g} ms for each of {times['batch_size']}, one thread"
        )
    if small := certificate.get("int8"):
        change = small["accuracy_change"]
        low, high = change["interval"]
        print(
            f"in 8 bits: {small['flips']:,} other answers, accuracy {change['mean']:+.4f} "
            f"({low:+.4f} to {high:+.4f})"
        )
    if trouble := certificate["test"]["trouble"]:
        print(f"test looks unknown: {trouble}")
    print(f"To whoever receives it: modiste verify DIR --digest {found['digest'][:16]}")
