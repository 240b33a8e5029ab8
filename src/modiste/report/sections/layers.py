"""Layer tables of the models that the study is about."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from modiste.models.layers import describe
from modiste.report.blocks import Beside, Block, Cell, Column, Paragraph, Table, TableRow, Words
from modiste.report.cells import full_name
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import count, plural
from modiste.report.section import SECTIONS, Section
from modiste.spec.published import PublishedRow

_COLUMNS = (
    Column("layer", is_number=False),
    Column("output"),
    Column("parameters"),
    Column("multiply-adds × 2"),
)


def build(context: Context) -> Sequence[Block]:
    """One table for each final model and for each model whose layer table was published."""
    tables: list[Table] = []
    seen: set[str] = set()
    stages: list[str] = []
    for stage, row in _wanted(context):
        layers = _layers(context, row)
        key = repr(layers["layers"]) if layers else ""
        if layers and layers["layers"] and key not in seen:
            seen.add(key)
            stages.append(stage.name)
            tables.append(_table(stage, row, layers, stages.count(stage.name)))
    if not tables:
        return [Paragraph(["No model of which a layer table is wanted has been trained yet."])]
    return [
        Paragraph(
            [
                (
                    "The name of a layer says what it is: units and activation of a dense layer; "
                    "filters, kernel, stride, padding, dilation and activation of a convolution; "
                    "window, stride and padding of a pooling. Shapes are height × width × "
                    "channels. Parameters include the moving statistics of batch normalisation."
                )
            ]
        ),
        Beside(tables),
    ]


def _wanted(context: Context) -> list[tuple[StageFacts, RowFacts]]:
    finals = {id(row) for _, row in context.finals if row is not None}
    return [
        (stage, row)
        for stage in context.stages
        for row in stage.rows
        if row.is_net
        and (id(row) in finals or (row.published and row.published.parameters is not None))
    ]


def _layers(context: Context, row: RowFacts) -> dict[str, Any] | None:
    """As the run recorded it; of a model that was not trained, for the same kind of images."""
    for run in row.row.runs:
        return run.layers
    for run in context.runs:
        height, width, channels = run.layers["input_shape"]
        shape_CHW = (channels, height, width)
        return describe(row.row.specs[0].model.params, shape_CHW, len(context.class_names))
    return None


def _table(stage: StageFacts, row: RowFacts, layers: dict[str, Any], number: int) -> Table:
    rows = [
        TableRow(
            [
                Cell(layer["name"]),
                Cell(" × ".join(count(n) for n in layer["output_shape"])),
                Cell(count(layer["parameters"])),
                Cell(count(layer["flops"])),
            ]
        )
        for layer in layers["layers"]
    ]
    total, trainable = layers["parameters"]["total"], layers["parameters"]["trainable"]
    rows.append(
        TableRow(
            [
                Cell("all", is_strong=True),
                Cell(""),
                Cell(count(total), is_strong=True),
                Cell(count(layers["flops_forward"]), is_strong=True),
            ]
        )
    )
    shape = " × ".join(str(n) for n in layers["input_shape"])
    words = (
        f"{full_name(stage, row)}: {plural(len(layers['layers']), 'layer')} for images of {shape}"
    )
    if trainable != total:
        words += f"; {count(trainable)} of the {count(total)} parameters are trained"
    untrained = "" if row.row.runs else " Not trained here."
    caption: Words = [f"{words}.{_published(row.published, total, trainable)}{untrained}"]
    command = _command(row, layers["input_shape"], layers["layers"][-1]["output_shape"][-1])
    # No stage has a dot in its name, so none has this one.
    ident = f"table-layers-{stage.name}" + (f".{number}" if number > 1 else "")
    return Table(ident, caption, _COLUMNS, rows, command=command)


def _command(row: RowFacts, shape_HWC: Sequence[int], num_classes: int) -> str:
    model = row.row.specs[0].model
    words = ["modiste", "describe", model.family]
    for key, value in model.params.identity().items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{key}={text}"]
    if list(shape_HWC) != [28, 28, 1]:
        words += ["--shape", "x".join(map(str, shape_HWC))]
    if num_classes != 10:
        words += ["--classes", str(num_classes)]
    return shlex.join(words)


def _published(row: PublishedRow | None, total: int, trainable: int) -> str:
    if row is None or row.parameters is None:
        return ""
    theirs = row.parameters
    is_same = theirs.total == total and theirs.trainable in (None, trainable)
    if is_same:
        return " The published table counts the same."
    return f" The published table counts {count(theirs.total)}, which is not the same."


SECTIONS.add("layers", Section("Layers", 40, build))
