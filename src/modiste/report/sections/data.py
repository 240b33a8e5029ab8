"""The data: what they are, how they are divided, and both figures of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modiste.errors import StoreError
from modiste.report import own_data, svg
from modiste.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Column,
    Figure,
    Inline,
    Panel,
    Paragraph,
    Ref,
    Table,
    TableRow,
)
from modiste.report.context import Context
from modiste.report.kept_audit import duplicates
from modiste.report.numbers import NONE, count, listing, plural
from modiste.report.section import SECTIONS, Section
from modiste.runs import files
from modiste.search.study import DATA_FACTS

# Files of STUDY/figures as `modiste.report.data_figures` writes them.
_FIGURES = (
    (
        "first-images",
        (
            "The first images of the training part, in their own order, with the names of their "
            "classes."
        ),
        760,
    ),
    ("samples-per-class", "Images of each class in each split.", 560),
)


# Of what was found of images of your own; what was added later may be missing in older studies.
_KEYS = {"bad", "class_names", "name", "num_seen", "parts", "sizes", "source", "test"}


def build(context: Context) -> Sequence[Block]:
    """What the runs record of their data, and the figures as far as they are there."""
    facts = _facts(context)
    blocks: list[Block] = [Paragraph(_words(context, facts))]
    if facts is not None:
        blocks += _own(facts)
    missing = []
    for name, caption, width in _FIGURES:
        path = context.study.folder / "figures" / f"{name}.svg"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            missing.append(path.name)
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path}: cannot be read ({error}).") from None
        panel = Panel(svg.clean(text, name), caption, width)
        blocks.append(Figure(f"figure-{name}", [caption], [panel]))
    if missing:
        blocks.append(
            Paragraph(
                [
                    (
                        f"Not in this study folder, so not shown: {listing(missing)}; they are "
                        "drawn from the images themselves."
                    )
                ],
                "note",
            )
        )
    return [*blocks, *duplicates(context)]


def _facts(context: Context) -> dict[str, Any] | None:
    """What was found of images of your own; none where the set is known by name."""
    path = context.study.folder / DATA_FACTS
    if not path.is_file():
        return None
    found = files.read_json(path)
    if lacking := sorted(_KEYS - found.keys()):
        raise StoreError(
            f"{path}: not what it should be (it lacks {', '.join(lacking)}). Move it away; "
            "`modiste study` writes it again."
        )
    return found


def _own(facts: dict[str, Any]) -> list[Block]:
    """What the images are, what becomes of them, and what was left out."""
    remarks = [f"{text[0].upper()}{text[1:]}." for text in own_data.remarks(facts)]
    blocks: list[Block] = [
        Paragraph([f"{own_data.rule(facts)} {own_data.of_test_part(facts)}"]),
        *([Bullets([[text] for text in remarks])] if remarks else []),
        _seen_table(facts),
        _classes_table(facts),
    ]
    return blocks + ([_bad_table(facts)] if facts["bad"] else [])


def _seen_table(facts: dict[str, Any]) -> Table:
    sizes = {f"{s['width']} × {s['height']}": s["count"] for s in facts["sizes"]}
    named = sum(sizes.values())
    total = facts["num_seen"] - len(facts["bad"])
    if named < total:
        sizes[f"{count(facts['num_sizes'] - len(sizes))} other sizes"] = total - named
    rows = [
        TableRow([Cell(what), Cell(name), Cell(count(number), number)])
        for what, numbers in (
            ("format", facts["formats"]),
            ("mode", facts["modes"]),
            ("size, in pixels", sizes),
        )
        for name, number in numbers.items()
    ]
    return Table(
        "table-seen",
        [
            (
                f"What the scan found: each of {plural(facts['num_seen'], facts['unit'])} was "
                "looked at before any training."
            )
        ],
        [
            Column("what", is_number=False),
            Column("is", is_number=False),
            Column("images"),
        ],
        rows,
        notes=[["A mode is named as Pillow does: L is grey, P has a palette, A is transparency."]],
    )


def _classes_table(facts: dict[str, Any]) -> Table:
    parts = [part for part in ("train", "val", "test") if any(facts["parts"][part])]
    titles = {"train": "train", "val": "validation", "test": "test"}
    if facts["validation"] == "drawn":
        titles["train"] = "train and validation"
    rows = [
        TableRow(
            [
                Cell(name),
                *(
                    Cell(count(facts["parts"][part][label]), facts["parts"][part][label])
                    for part in parts
                ),
            ]
        )
        for label, name in enumerate(facts["class_names"])
    ]
    return Table(
        "table-classes",
        ["Images of each class in each part; copies and what cannot be used are left out."],
        [Column("class", is_number=False), *(Column(titles[part]) for part in parts)],
        rows,
        is_sortable=len(rows) > 2,
    )


def _bad_table(facts: dict[str, Any]) -> Table:
    return Table(
        "table-bad",
        ["Left out, because they cannot be used."],
        [
            Column(facts["unit"], is_number=False),
            Column("why", is_number=False),
            Column("SHA-256", is_number=False),
        ],
        [
            TableRow([Cell(bad["name"]), Cell(bad["why"]), Cell(bad["sha256"][:16] or NONE)])
            for bad in facts["bad"]
        ],
    )


def _words(context: Context, facts: dict[str, Any] | None) -> list[Inline]:
    study = context.study
    names = {row.row.specs[0].data.name for stage in context.stages for row in stage.rows}
    if context.runs:
        names = {context.runs[0].data_name}
    words: list[Inline] = ["The images come from ", Code(", ".join(sorted(names)) or study.name)]
    if facts is not None:
        words = ["The images come from ", Code(facts["name"]), f", read as {facts['source']}"]
    if not context.runs:
        return [*words, "; no run has recorded yet how they were divided."]
    whole = [run for run in context.runs if run.spec.data.folds is None]
    sizes = {(run.metrics["num_train"], run.metrics["num_val"]) for run in whole}
    parts = [
        f"{count(train)} images to train on and {count(val)} to choose by"
        for train, val in sorted(sizes, reverse=True)
    ] + _folds(context)
    if not parts:
        return [*words, "; no run has recorded yet how they were divided."]
    run = context.runs[0]
    height, width, channels = run.layers["input_shape"]
    kind = "grey" if channels == 1 else "colour"
    classes = context.class_names
    words += [
        (
            f": {kind} images of {width} × {height} pixels in {len(classes)} classes"
            f" ({listing(classes)}). They are divided into {listing(parts)}, "
            f"{_how_divided(facts)}."
        )
    ]
    if facts is None or facts["test"]["origin"] != "none":
        words += [
            (
                " A further part, the test set, is sealed: training and choosing cannot reach it, "
                "and every opening is counted ("
            ),
            Ref("final"),
            ").",
        ]
    words += [
        f" {_scaling(context)} The digest of the decoded training images and labels is ",
        Code(study.data_digest[:16]),
        ".",
    ]
    return words


def _how_divided(facts: dict[str, Any] | None) -> str:
    if facts is not None and facts["validation"] == "given":
        return "the validation part that the set came with"
    return "the same share of each class in both"


def _folds(context: Context) -> list[str]:
    """How cross-validation divides them, which holds out a fold of its own each time."""
    sizes = {
        (run.metrics["num_train"], run.metrics["num_val"], run.metrics["last"]["held"]["total"])
        for run in context.runs
        if run.spec.data.folds is not None and run.metrics["status"] == "finished"
    }
    return [
        f"{count(train)} images to train on, {count(val)} to choose by and {count(held)} to judge "
        "by in each fold of cross-validation"
        for train, val, held in sorted(sizes, reverse=True)
    ]


def _scaling(context: Context) -> str:
    kinds = {str(run.layers.get("preprocess", {}).get("scaling", "unit")) for run in context.runs}
    said = {
        "unit": "Pixels are scaled to [0, 1], x / 255.",
        "raw": "Some runs, named so, leave pixels as they are, 0 to 255.",
        "standard": "Pixels are scaled to [0, 1], then by the training images’ mean and standard "
        "deviation.",
    }
    return " ".join(said.get(kind, f"Scaling: {kind}.") for kind in sorted(kinds, reverse=True))


SECTIONS.add("data", Section("Data", 10, build))
