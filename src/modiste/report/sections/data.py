"""The data: what they are, how they are divided, and both figures of them."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.errors import StoreError
from modiste.report import svg
from modiste.report.blocks import Block, Code, Figure, Inline, Panel, Paragraph, Ref
from modiste.report.context import Context
from modiste.report.numbers import count, listing
from modiste.report.section import SECTIONS, Section

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


def build(context: Context) -> Sequence[Block]:
    """What the runs record of their data, and the figures as far as they are there."""
    blocks: list[Block] = [Paragraph(_words(context))]
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
    return blocks


def _words(context: Context) -> list[Inline]:
    study = context.study
    names = {row.row.specs[0].data.name for stage in context.stages for row in stage.rows}
    words: list[Inline] = ["The images come from ", Code(", ".join(sorted(names)) or study.name)]
    if not context.runs:
        return [*words, "; no run has recorded yet how they were divided."]
    sizes = {(run.metrics["num_train"], run.metrics["num_val"]) for run in context.runs}
    parts = [
        f"{count(train)} images to train on and {count(val)} to choose by"
        for train, val in sorted(sizes, reverse=True)
    ]
    run = context.runs[0]
    height, width, channels = run.layers["input_shape"]
    kind = "grey" if channels == 1 else "colour"
    classes = context.class_names
    words += [
        (
            f": {kind} images of {width} × {height} pixels in {len(classes)} classes"
            f" ({listing(classes)}). They are divided into {listing(parts)}, the same share of "
            "each class in both. A further part, the test set, is sealed: training and choosing "
            "cannot reach it, and every opening is counted ("
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
