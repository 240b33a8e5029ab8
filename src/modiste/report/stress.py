"""Images made worse on purpose: what is left of the accuracy of each final model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.errors import StoreError
from modiste.evaluate.intervals import difference_interval, paired_difference, wilson
from modiste.report.blocks import Block, Cell, Column, Heading, Paragraph, Table, TableRow
from modiste.report.cells import full_name
from modiste.report.context import Context
from modiste.report.numbers import NONE, bound, count, listing, points, proportion
from modiste.report.saved import read_arrays

_ARRAYS = {"right_RN", "names", "amounts", "units"}


@dataclass(frozen=True)
class Stressed:
    """One model on images as they are, and made worse.

    Attributes:
        name: Of the model.
        right_RN: Right or wrong for each image; a row for images as they are, then one for each
            way of making them worse.
        changes: Kind and amount of each of these ways.
    """

    name: str
    right_RN: npt.NDArray[np.bool_]
    changes: tuple[tuple[str, str], ...]


def stressed(context: Context) -> list[Block]:
    """All final models under the same changes; nothing where that was not measured."""
    found: dict[tuple[object, ...], list[Stressed]] = {}
    stages: list[str] = []
    missing: list[str] = []
    for stage, row in context.detailed:
        name = full_name(stage, row)
        model = read(context.study.folder / "figures", row.runs[0].fingerprint, name)
        if model is None:
            missing.append(name)
        else:
            # What was measured by another version may have been changed in other ways.
            found.setdefault((model.changes, model.right_RN.shape), []).append(model)
            stages.append(stage.name)
    if not found:
        return []
    command = context.command(*stages)
    return [
        Heading("Images made worse", "stress"),
        Paragraph([_words(context, missing), *map(_turned_round, found.values())]),
        *(
            table(f"table-stress{n or ''}", group, command)
            for n, group in enumerate(found.values())
        ),
    ]


def _words(context: Context, missing: Sequence[str]) -> str:
    augmented = [
        full_name(stage, row)
        for stage, row in context.detailed
        if row.is_net and row.row.specs[0].train.augment
    ]
    trained = "None of these models saw changed images in training."
    if augmented:
        trained = f"In training, changed images were seen by {listing(augmented)}."
    left_out = f" Not measured: {listing(missing)}." if missing else ""
    return (
        f"What is left of an accuracy where images are not as they were in training. {trained} Of "
        f"each model, the run with the first seed, {context.epoch} epoch.{left_out}"
    )


def _turned_round(models: Sequence[Stressed]) -> str:
    """Where a model that is not the best on images as they are is the best on changed ones.

    Of each change the largest amount; only where the choice of images explains neither order.
    """
    rights = np.stack([model.right_RN for model in models])  # P x (1 + changes) x images
    shares = rights.mean(axis=2)
    best = int(shares[:, 0].argmax())
    worst_of = {kind: row for row, (kind, _) in enumerate(models[0].changes, start=1)}
    turned = []
    for kind, row in worst_of.items():
        other = int(shares[:, row].argmax())
        before = paired_difference(rights[best, [0]], rights[other, [0]])
        gain = paired_difference(rights[other, [row]], rights[best, [row]])
        if other != best and all(difference_interval(each)[0] > 0 for each in (before, gain)):
            turned.append(
                f"{kind} {models[0].changes[row - 1][1]} ({models[other].name}, "
                f"{proportion(shares[other, row])} against {proportion(shares[best, row])})"
            )
    if not turned:
        return ""
    return (
        f" On images as they are, {models[best].name} is the best of these; it is not under "
        f"{listing(turned)}."
    )


def read(folder: Path, fingerprint: str, name: str) -> Stressed | None:
    """What was stored for a run; none if nothing was.

    Raises:
        StoreError: If it cannot be read, or is not what was stored.
    """
    path = folder / f"stress-{fingerprint[:16]}.npz"
    if not path.is_file():
        return None
    arrays = read_arrays(path)
    if _ARRAYS - set(arrays) or len(arrays["right_RN"]) != len(arrays["names"]) + 1:
        raise StoreError(f"{path}: its arrays do not belong together. Remove it and try again.")
    return Stressed(name, arrays["right_RN"], tuple(_changes(arrays)))


def table(ident: str, models: Sequence[Stressed], command: str) -> Table:
    """One row for each change, which all of the models underwent; two columns for each model."""
    first = models[0]
    columns = [Column("change", is_number=False), Column("amount", is_number=False)]
    for model in models:
        columns += [Column("accuracy", model.name), Column("lost, points", model.name)]
    rows = []
    for index, (kind, amount) in enumerate((("as they are", ""), *first.changes)):
        cells = [Cell(kind), Cell(amount)]
        for model in models:
            cells += _cells(model.right_RN[index], model.right_RN[0], is_worse=index > 0)
        rows.append(TableRow(cells))
    return Table(
        ident,
        [f"Images made worse: {count(first.right_RN.shape[1])} of the validation images."],
        columns,
        rows,
        notes=[
            [
                (
                    "Shift: in one of four directions, black comes in. Noise: normal, its "
                    "standard deviation as a share of 0 to 255. Blur: Gaussian, by its standard "
                    "deviation. Contrast: what is left of it. Lost: accuracy on images as they "
                    "are less that on these, in points. Below each figure its 95 % interval for "
                    "the choice of images (Wilson’s; that of the loss is paired)."
                )
            ]
        ],
        command=command,
    )


def _changes(arrays: dict[str, npt.NDArray[Any]]) -> list[tuple[str, str]]:
    return [
        (str(kind), _amount(float(amount), str(unit)))
        for kind, amount, unit in zip(
            arrays["names"], arrays["amounts"], arrays["units"], strict=True
        )
    ]


def _amount(amount: float, unit: str) -> str:
    if amount == 1 and unit == "pixels":
        unit = "pixel"
    return f"{amount:g} {unit}"


def _cells(
    right_N: npt.NDArray[np.bool_], before_N: npt.NDArray[np.bool_], *, is_worse: bool
) -> list[Cell]:
    share = float(right_N.mean())
    low, high = wilson(int(right_N.sum()), len(right_N))
    cells = [Cell(proportion(share), share, note=f"{proportion(low)}–{proportion(high)}")]
    if not is_worse:
        return [*cells, Cell(NONE)]
    lost = paired_difference(before_N[np.newaxis], right_N[np.newaxis])
    low, high = difference_interval(lost)
    between = f"{bound(low)} to {bound(high)}"
    return [*cells, Cell(points(lost.mean), lost.mean, note=between)]
