"""`modiste predict`: what a model says of image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "predict"
SHORT = "Classify image files."
EXAMPLE = "modiste predict runs/fashion-mnist-quick/models/mlp-final shoe.png"
HELP = f"""Classify image files (PNG, JPEG and others) with a saved model.

Example:  {EXAMPLE}
"""


def command(
    model: Annotated[Path, typer.Argument(help="A model or run folder.", metavar="MODEL")],
    images: Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE...")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    import numpy as np

    from modiste.cli.output import print_json
    from modiste.data.decode import decode
    from modiste.export.model import load_model

    loaded = load_model(model)
    pixels = np.stack([decode(path, loaded.rule) for path in images])
    answers = []
    for path, shares in zip(images, loaded.probabilities(pixels), strict=True):
        best = int(shares.argmax())
        answers.append(
            {
                "image": str(path),
                "class": loaded.class_names[best],
                "probability": float(shares[best]),
                "probabilities": {
                    name: float(share)
                    for name, share in zip(loaded.class_names, shares, strict=True)
                },
            }
        )
    if json:
        print_json({"model": str(model), "predictions": answers})
        return
    for answer in answers:
        print(f"{answer['image']}: {answer['class']} ({answer['probability']:.3f})")
        shares = answer["probabilities"]
        assert isinstance(shares, dict)
        ranked = sorted(shares.items(), key=lambda item: -item[1])
        print("   " + ", ".join(f"{name} {share:.3f}" for name, share in ranked[:4]))
