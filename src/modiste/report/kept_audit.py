"""The audit of its data that a study keeps, in STUDY/audit, and what its report says of it.

    audit.json    every find, by the id of its image
    across.npz    the nearest pairs of duplicates across the split, as images
    audit.html, audit.md

Worth is worked out from the finds and the answers that the study has now, so it is that of the
models in its tables, whenever the audit was made.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.errors import StoreError
from modiste.evaluate.audit import Audit
from modiste.evaluate.duplicates import CLOSENESS, KINDS, Counts
from modiste.evaluate.study_finding import Leaks
from modiste.evaluate.worth import Measured, measure
from modiste.report.audit_found import definition, share_with_interval
from modiste.report.audit_pictures import NUM_SHOWN, pair_picture, pixels_of
from modiste.report.audit_worth import beside_cells, interval
from modiste.report.blocks import (
    Block,
    Cell,
    Code,
    Column,
    Gallery,
    Heading,
    Inline,
    Paragraph,
    Picture,
    Strong,
    Table,
    TableRow,
)
from modiste.report.cells import full_name
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.leaks import exact_in, remark_on
from modiste.report.numbers import bound, count, listing, plural, points, proportion
from modiste.report.saved import read_arrays
from modiste.runs import files
from modiste.search.standing import is_right

FOLDER = "audit"
RECORD = "audit.json"
PAIRS = "across.npz"


@dataclass(frozen=True)
class Kept:
    """What `audit.json` says of duplicates between training and validation images.

    Attributes:
        folder: Where it lies.
        data: The source, as it was named.
        digest: Of the images.
        division: What decided which image is where, as far as the record says.
        num_train, num_val: Images.
        closeness: What counted as near.
        pairs: Across the split, by kind.
        same_label, other_label: Validation images with a duplicate in training, by the kind of
            the closest; the latter have only such with another label.
        ids: Of these validation images.
        across: Of each pair across the split, the nearest first: kind, distance, ids and labels.
    """

    folder: Path
    data: str
    digest: str
    division: Mapping[str, int]
    num_train: int
    num_val: int
    closeness: float
    pairs: Counts
    same_label: Counts
    other_label: Counts
    ids: frozenset[int]
    across: Sequence[Mapping[str, Any]]


def across_arrays(audit: Audit) -> dict[str, npt.NDArray[Any]]:
    """The nearest pairs across the split, for `PAIRS`: images P x 2 x H x W (x 3), ids P x 2."""
    twins, is_val_N = audit.twins, audit.is_val_N
    chosen = np.flatnonzero(is_val_N[twins.first_P] != is_val_N[twins.second_P])[:NUM_SHOWN]
    ends_P2 = np.stack([twins.first_P[chosen], twins.second_P[chosen]], axis=1)
    images = [[pixels_of(audit.images, position) for position in ends] for ends in ends_P2]
    height, width = audit.images.images_NCHW.shape[2:]
    empty = np.empty((0, 2, height, width), np.uint8)
    return {
        "images": np.array(images, np.uint8) if images else empty,
        "ids": audit.images.ids_N[ends_P2],
    }


def read(folder: Path) -> Kept | None:
    """The record in a study's folder; none if it keeps none.

    Raises:
        StoreError: If it cannot be read, or is not what an audit leaves.
    """
    path = folder / FOLDER / RECORD
    if not path.is_file():
        return None
    value = files.read_json(path)
    try:
        found = value["duplicates"]
        leaks = found["val_with_duplicate_in_train"]
        return Kept(
            folder=path.parent,
            data=str(value["data"]),
            digest=str(value["data_digest"]),
            division={"num_val": int(value["num_val"]), "split_seed": int(value["split_seed"])},
            num_train=int(value["num_train"]),
            num_val=int(value["num_val"]),
            closeness=float(found["closeness"]),
            pairs=_counts(found["num_pairs"]["across"]),
            same_label=_counts(leaks["same_label"]),
            other_label=_counts(leaks["other_label"]),
            ids=frozenset(int(number) for number in leaks["ids"]),
            across=[pair for pair in found["pairs"] if len(set(pair["parts"])) == 2],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not what an audit leaves ({error!r}). Make it again.") from None


def duplicates(context: Context) -> list[Block]:
    """How many near duplicates cross the split, how that was found, and what they are worth.

    Without an audit, what every study knows of equal images.

    Raises:
        StoreError: If what is there is about other images than the study's.
    """
    kept = read(context.study.folder)
    if kept is None:
        known = exact_in(context.study)
        return [*known, _no_audit(context, is_near=bool(known))] if context.runs else known
    if kept.digest != context.study.data_digest:
        raise StoreError(
            f"{kept.folder}: an audit of other images (data digest {kept.digest[:12]}) than the "
            f"study's ({context.study.data_digest[:12]}). Move it away, or audit the study's data."
        )
    models, left_out = _measured(context, kept)
    blocks: list[Block] = [
        Heading("Duplicates across the split", "duplicates"),
        Paragraph(_found(kept)),
        Paragraph(definition(kept.closeness)),
    ]
    if models:
        blocks += [Paragraph(_worth(kept, models)), _table(context, kept, models, left_out)]
    if pictures := _pictures(kept):
        caption = (
            f"The nearest {count(len(pictures))} of {plural(len(kept.across), 'pair')} of "
            "duplicates across the split: above, the validation image and its training image, "
            "below them their difference. Under them the kind and the distance."
        )
        blocks.append(Gallery("figure-across", [caption], pictures))
    if kept.ids:
        blocks.append(remark_on(_leaks(kept, models)))
    return blocks


def _leaks(kept: Kept, models: Sequence[Measured]) -> Leaks:
    """As the finding about them takes it."""
    moved = [
        abs(found.difference) for model in models
        if (found := model.without["duplicates"]).difference is not None
    ]  # fmt: skip
    kind = "an exact, mirrored or near"
    return Leaks(len(kept.ids), kept.num_val, kind, max(moved, default=None))


def _no_audit(context: Context, *, is_near: bool) -> Paragraph:
    """Nobody looked: that is said, and how one would."""
    study = context.study
    command = ["modiste", "audit", context.runs[0].spec.data.name]
    if study.data_place is not None:
        command += ["--data", str(study.data_place)]
    command += ["--study", study.out]
    kind = "mirrored or near duplicates" if is_near else "duplicates"
    words: list[Inline] = [
        f"Whether validation images have {kind} among the training images was not looked into; ",
        Code(shlex.join(command)),
        " does that, and its findings then stand here.",
    ]
    return Paragraph(words, "note")


def _found(kept: Kept) -> list[Inline]:
    leaks = len(kept.ids)
    if not leaks:
        return [
            (
                f"None of {count(kept.num_val)} validation images has an exact, mirrored or near "
                "duplicate among the training images."
            )
        ]
    by_kind = {kind: kept.same_label[kind] + kept.other_label[kind] for kind in KINDS}
    kinds = [f"{count(by_kind[kind])} {kind}" for kind in KINDS if by_kind[kind]]
    absent = [kind for kind in KINDS if not kept.pairs[kind]]
    others = sum(kept.other_label.values())
    labels = f"{count(others)} of them with another label only" if others else "with the same label"
    none = f" No pair across the split is {' or '.join(absent)}." if absent else ""
    return [
        f"Of {count(kept.num_val)} validation images, ",
        Strong(count(leaks)),
        (
            f" ({share_with_interval(leaks, kept.num_val)}) "
            f"{'has' if leaks == 1 else 'have'} a duplicate among the {count(kept.num_train)} "
            f"training images: {listing(kinds)}, each by the closest that it has, {labels}.{none}"
        ),
    ]


def _measured(context: Context, kept: Kept) -> tuple[list[Measured], list[str]]:
    """What the duplicates are worth to the models of the study; and who was divided otherwise."""
    models, left_out = [], []
    for stage, row in _models(context):
        name = full_name(stage, row)
        answers = [context.study.answers(run, context.epoch) for run in row.runs]
        first = answers[0]
        data = row.row.specs[0].data
        is_alike = all(getattr(data, key) == value for key, value in kept.division.items())
        ids = set(first.image_ids_N.tolist())
        if not is_alike or len(ids) != kept.num_val or not kept.ids <= ids:
            left_out.append(name)
            continue
        leaks_N = np.isin(first.image_ids_N, list(kept.ids))
        found = {"duplicates": leaks_N}
        models.append(measure(name, is_right(answers), first.labels_N, found, leaks_N))
    return models, left_out


def _models(context: Context) -> list[tuple[StageFacts, RowFacts]]:
    """What stands in the first table, and the best net of each family, each once, with answers."""
    ended = [(stage, row) for stage, row in context.finals if row is not None]
    nets = [(stage, row) for stage, row in context.best_of_families if row.is_net]
    unique: dict[tuple[str, ...], tuple[StageFacts, RowFacts]] = {}
    for stage, row in [*ended, *nets]:
        if row.row.is_done and row.runs and not row.broken:
            unique.setdefault(row.row.fingerprints, (stage, row))
    return [
        (stage, row)
        for stage, row in unique.values()
        if all(context.study.has_answers(run) for run in row.runs)
    ]


def _worth(kept: Kept, models: Sequence[Measured]) -> list[Inline]:
    moves = [
        found.difference for model in models
        if (found := model.without["duplicates"]).difference is not None
    ]  # fmt: skip
    if not kept.ids or not moves:
        return ["So they are worth nothing to any accuracy here."]
    low, high = min(moves), max(moves)
    largest = max(
        max(abs(found.low or 0.0), abs(found.high or 0.0))
        for model in models
        for found in (model.without["duplicates"],)
    )
    between = bound(low) if bound(low) == bound(high) else f"{bound(low)} to {bound(high)}"
    return [
        (
            f"What they are worth: left out, they move the validation accuracies of "
            f"{plural(len(models), 'model')} by {between} points; by the 95\u00a0% intervals "
            f"below, by no more than {100 * largest:.2f} points for any of them."
        )
    ]


def _table(
    context: Context, kept: Kept, models: Sequence[Measured], left_out: Sequence[str]
) -> Table:
    rows = []
    for model in models:
        without = model.without["duplicates"]
        cells = [
            Cell(model.name),
            Cell(count(model.num_seeds)),
            Cell(proportion(model.accuracy), model.accuracy),
            Cell(proportion(without.accuracy), without.accuracy),
            Cell(points(without.difference), without.difference),
            Cell(interval(without), without.low),
        ]
        on = model.on_duplicates
        rows.append(TableRow([*cells, *([] if on is None else beside_cells(on))]))
    columns = [
        Column("model", is_number=False),
        Column("seeds"),
        Column("of all", "validation accuracy"),
        Column("without the duplicates", "validation accuracy"),
        Column("points", "difference"),
        Column("95 % interval", "difference"),
    ]
    if kept.ids:
        columns += [
            Column(f"on the {count(len(kept.ids))}", "accuracy on the duplicates themselves"),
            Column("on others of their classes", "accuracy on the duplicates themselves"),
            Column("points", "accuracy on the duplicates themselves"),
            Column("95 % interval", "accuracy on the duplicates themselves"),
        ]
    notes: list[list[Inline]] = [
        [
            (
                "Intervals cover the choice of images, not that of seeds; nothing was trained "
                "again without the duplicates. Images that look like others are easier anyway, so "
                "not all of the difference on the duplicates comes of having seen a twin. Others "
                "of their classes: each class weighted as among the duplicates."
            )
        ]
    ]
    if left_out:
        notes.append([f"Validated on other images, so not here: {listing(left_out)}."])
    return Table(
        "table-duplicates",
        ["What duplicates across the split are worth."],
        columns,
        rows,
        notes=notes,
        command=_command(kept, context.study.out),
        is_sortable=len(rows) > 1,
    )


def _command(kept: Kept, study: str) -> str:
    words = ["modiste", "audit", kept.data, "--study", study]
    if kept.closeness != CLOSENESS:
        words += ["--closeness", f"{kept.closeness:g}"]
    return shlex.join(words)


def _pictures(kept: Kept) -> list[Picture]:
    """The nearest pairs, as far as their images were kept.

    Raises:
        StoreError: If the images are not those of the record.
    """
    path = kept.folder / PAIRS
    if not path.is_file() or not kept.across:
        return []
    arrays = read_arrays(path)
    damaged = StoreError(f"{path}: not the pairs of {RECORD} beside it. Make the audit again.")
    if not {"images", "ids"} <= set(arrays) or len(arrays["images"]) != len(arrays["ids"]):
        raise damaged
    answer = []
    for images, ids, pair in zip(arrays["images"], arrays["ids"], kept.across, strict=False):
        if ids.tolist() != pair["ids"] or images.dtype != np.uint8:
            raise damaged
        order = [pair["parts"].index(part) for part in ("val", "train")]
        one, two = (images[end] for end in order)
        answer.append(
            pair_picture(
                (one, two),
                str(pair["kind"]),
                float(pair["distance"]),
                [str(pair["labels"][end]) for end in order],
                (f"validation {pair['ids'][order[0]]}", f"training {pair['ids'][order[1]]}"),
            )
        )
    return answer


def _counts(value: Mapping[str, Any]) -> Counts:
    return {kind: int(value[kind]) for kind in KINDS}
