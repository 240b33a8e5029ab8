"""`modiste describe`: the layer table of a net."""

from __future__ import annotations

from typing import Annotated

import typer

NAME = "describe"
SHORT = "Layer table, parameters and FLOPs of a net."
EXAMPLE = "modiste describe mlp --set 'hidden=[768]' --set dropout=0.3"
HELP = f"""Print the layer table, parameter counts and FLOPs of a net.

Keys of --set begin at the family's hyperparameters.

Example:  {EXAMPLE}
"""


def command(
    family: Annotated[str, typer.Argument(help="A model family, such as mlp or cnn.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter.")
    ] = None,
    shape: Annotated[
        str, typer.Option(help="Height x width x channels of an image.", metavar="HxWxC")
    ] = "28x28x1",
    classes: Annotated[int, typer.Option(help="How many classes.", min=2)] = 10,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.cli.output import print_columns, print_json
    from modiste.errors import SpecError
    from modiste.models.layers import table
    from modiste.spec.files import parse_override
    from modiste.spec.parts import MODELS, with_preset
    from modiste.spec.run import ModelSpec
    from modiste.spec.settings import assign

    cls = MODELS.get(family)
    values = with_preset(cls, {}, "keras")
    for text in settings or ():
        override = parse_override(text)
        key = override.key.removeprefix("model.params.")
        values = assign(values, {key: override.value})
    try:
        height, width, channels = (int(part) for part in shape.lower().split("x"))
        is_shape = min(height, width, channels) >= 1
    except ValueError:
        is_shape = False
    if not is_shape:
        raise SpecError(f"--shape {shape}: expected HxWxC, such as 28x28x1.")
    net = ModelSpec(family=family, params=cls.parse(values, "model.params")).net
    shape_CHW = (channels, height, width)
    found = table(net.layers(shape_CHW, classes), shape_CHW)
    if json:
        print_json(found)
        return
    rows = [
        (
            row["name"],
            " x ".join(map(str, row["output_shape"])),
            f"{row['parameters']:,}",
            f"{row['flops']:,}",
        )
        for row in found["layers"]
    ]
    print_columns(("layer", "output", "parameters", "FLOPs"), rows)
    counts = found["parameters"]
    print(
        f"\n{counts['total']:,} parameters, {counts['trainable']:,} trainable; "
        f"{found['flops_forward']:,} FLOPs for one image (2 x multiply-adds)"
    )
