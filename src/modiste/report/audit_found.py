"""What an audit found, section by section: duplicates, labels, outliers, classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modiste.evaluate.audit import Audit, by_kind
from modiste.evaluate.duplicates import KINDS, NEIGHBOUR, Counts
from modiste.evaluate.intervals import wilson
from modiste.report import audit_pictures as pictures
from modiste.report.audit_record import AuditReport
from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Gallery,
    Inline,
    Paragraph,
    Strong,
    Table,
    TableRow,
)
from modiste.report.numbers import NONE, count, listing, plural, proportion

_NUM_CONFUSED = 12
_MUST_BE_EVEN = 1.5  # the largest class over the smallest, from which on the page remarks on it


def duplicates(report: AuditReport) -> list[Block]:
    """Pairs within and across the parts, and pictures of them."""
    audit = report.audit
    blocks: list[Block] = [
        Paragraph(definition(audit.closeness)),
        _pairs_table(audit),
        _leaks_table(audit),
    ]
    galleries = [
        (
            "figure-conflicts",
            (
                "Duplicates with different labels, the nearest first: at least one label is "
                "wrong, or the classes overlap."
            ),
            pictures.conflicts(audit),
        ),
        (
            "figure-leaks",
            (
                "Duplicates across the split, the nearest first: above, the validation image and "
                "its training image, below them their difference."
            ),
            pictures.leaks(audit),
        ),
        (
            "figure-doubtful",
            (
                "The least near of all pairs that still count: whoever would not call them "
                "duplicates should take a smaller closeness."
            ),
            pictures.doubtful(audit),
        ),
    ]
    return blocks + [Gallery(ident, [text], shown) for ident, text, shown in galleries if shown]


def definition(closeness: float) -> list[Inline]:
    """What is called a duplicate, and what is not found."""
    return [
        (
            "Exact duplicates agree in every pixel, mirrored ones after a reflection from left to "
            "right. Two images are "
        ),
        Strong("near"),
        (
            f" duplicates if they lie at most {closeness:g} times as far from each other as "
            f"either lies from its {_ordinal(NEIGHBOUR)} nearest image, or if they differ by no "
            "more than two grey levels of 255. Distances are root mean square differences of the "
            "pixels, as proportions of their range; so the measure is the neighbourhood, and "
            "things that all look alike are not all called copies. Photographs are hardly ever "
            "published mirrored: where nobody mirrors, the pairs that are near only after a "
            "reflection are look-alikes by chance. Copies that were shifted, turned or cropped "
            "are not found."
        ),
    ]


def _pairs_table(audit: Audit) -> Table:
    train, val = ~audit.is_val_N, audit.is_val_N
    parts = (("within training", train, train), ("within validation", val, val))
    rows = [
        counts_row(name, audit.twins.between(one, two))
        for name, one, two in (*parts, ("across the two", train, val))
    ]
    return Table(
        "table-pairs",
        ["Pairs of duplicates. Of m equal images there are m − 1 pairs."],
        [Column("pairs", is_number=False), *kind_columns()],
        rows,
    )


def _leaks_table(audit: Audit) -> Table:
    same_N = audit.same_label_N(~audit.is_val_N)
    kinds_N = audit.train_twins_N
    groups = (
        ("with the same label as one of them", audit.leaks_N & same_N),
        ("with another label only", audit.leaks_N & ~same_N),
    )
    rows = [counts_row(name, by_kind(kinds_N[chosen])) for name, chosen in groups]
    return Table(
        "table-leaks",
        [
            (
                "Validation images with a duplicate in training, of "
                f"{count(audit.is_val_N.sum())}, each by the closest that it has."
            )
        ],
        [Column("validation images", is_number=False), *kind_columns()],
        rows,
        notes=[
            [
                (
                    "Duplicates of duplicates count, so an image may be listed whose own copy is "
                    "another validation image."
                )
            ]
        ],
    )


def kind_columns() -> list[Column]:
    """A column for each kind of duplicate, and their sum."""
    return [*(Column(kind) for kind in KINDS), Column("in all")]


def counts_row(name: str, counts: Counts) -> TableRow:
    """A row under `kind_columns`."""
    numbers = [counts[kind] for kind in KINDS]
    return TableRow([Cell(name), *(Cell(count(n), n) for n in (*numbers, sum(numbers)))])


# --- labels, outliers, classes ----------------------------------------------------------------


def labels(report: AuditReport) -> list[Block]:
    """Labels that are probably wrong."""
    audit, found = report.audit, report.audit.suspects
    in_val = int((audit.is_suspect_N & audit.is_val_N).sum())
    words: list[Inline] = [
        (
            f"{count(len(found))} labels are suspect, {count(len(found) - in_val)} of them in "
            f"training and {count(in_val)} in validation. A small net, trained on four fifths of "
            "the images with all duplicates of one in the same fifth, said what it takes the "
            f"others for; it is right for {proportion(audit.accuracy)} of them. A label is "
            "suspect if the net gives another class at least the probability that it gives that "
            "class, on average, where the label names it (confident learning; Northcutt, Jiang "
            "and Chuang 2021). That is a reason to look, no verdict: many of these images are "
            "merely hard, or belong to two classes."
        )
    ]
    blocks: list[Block] = [Paragraph(words)]
    if len(found):
        blocks += [
            _confused_table(audit),
            Gallery(
                "figure-suspects",
                ["The most suspect labels: as given, then what the net took the image for."],
                pictures.suspects(audit),
            ),
        ]
    return blocks


def _confused_table(audit: Audit) -> Table:
    names, joint_KK = audit.images.class_names, audit.suspects.joint_KK
    off_KK = np.where(np.eye(len(names), dtype=bool), 0, joint_KK)
    order = np.argsort(-off_KK, axis=None, kind="stable")[:_NUM_CONFUSED]
    given_counts = audit.images.counts()
    rows = [
        TableRow(
            [
                Cell(names[given]),
                Cell(names[taken]),
                Cell(count(off_KK[given, taken]), float(off_KK[given, taken])),
                Cell(share(int(off_KK[given, taken]), given_counts[given])),
            ]
        )
        for given, taken in (divmod(int(cell), len(names)) for cell in order)
        if off_KK[given, taken]
    ]
    return Table(
        "table-suspects",
        ["Suspect labels by the class they name and the class that the image was taken for."],
        [
            Column("label", is_number=False),
            Column("taken for", is_number=False),
            Column("images"),
            Column("of that label"),
        ],
        rows,
        notes=[[f"At most {_NUM_CONFUSED} rows; the other suspects are in audit.json."]],
        is_sortable=True,
    )


def outliers(report: AuditReport) -> list[Block]:
    """Images far from all others."""
    audit = report.audit
    found = audit.outliers_M
    in_val = int(audit.is_val_N[found].sum())
    words: list[Inline] = [
        (
            f"Of each image the distance to its {_ordinal(NEIGHBOUR)} nearest was taken. "
            f"{plural(len(found), 'image')} ({count(in_val)} in validation) "
            f"{'lies' if len(found) == 1 else 'lie'} farther out than {audit.fence:.3f}, the upper "
            "quartile and three times the distance of the quartiles beyond it (Tukey’s far out). "
            "Such images are rare, damaged or out of place; being rare is no fault."
        )
    ]
    blocks: list[Block] = [Paragraph(words)]
    if len(found):
        caption = "The images farthest from all others, with that distance."
        blocks.append(Gallery("figure-outliers", [caption], pictures.outliers(audit)))
    return blocks


def balance(report: AuditReport) -> list[Block]:
    """Images of each class, and the finds among them."""
    audit = report.audit
    names, labels_N = audit.images.class_names, audit.images.labels_N
    selections = {
        "training": ~audit.is_val_N,
        "validation": audit.is_val_N,
        "duplicates": audit.leaks_N,
        "suspects": audit.is_suspect_N,
        "outliers": audit.is_outlier_N,
    }
    counts = {
        key: np.bincount(labels_N[chosen], minlength=len(names)).tolist()
        for key, chosen in selections.items()
    }
    rows = [
        TableRow(
            [
                Cell(name),
                *(Cell(count(counts[key][label]), counts[key][label]) for key in selections),
            ]
        )
        for label, name in enumerate(names)
    ]
    ratios = {key: _ratio(counts[key]) for key in ("training", "validation")}
    words = listing([f"{ratio:.2f} times the {key} images" for key, ratio in ratios.items()])
    said = (
        "The classes are uneven: a plain accuracy is mostly that of the large ones."
        if max(ratios.values()) >= _MUST_BE_EVEN
        else "So a plain accuracy speaks for all classes alike."
    )
    return [
        Paragraph([f"The largest class has {words} of the smallest. {said}"]),
        Table(
            "table-classes",
            ["Images of each class, and what was found among them."],
            [
                Column("class", is_number=False),
                Column("training", "images"),
                Column("validation", "images"),
                Column("validation, duplicate in training", "found"),
                Column("suspect labels", "found"),
                Column("outliers", "found"),
            ],
            rows,
            is_sortable=True,
        ),
    ]


# --- words ------------------------------------------------------------------------------------


def share(part: int, whole: int) -> str:
    """Such as ``0.63 %``."""
    return f"{100 * part / whole:.2f} %" if whole else NONE


def share_with_interval(part: int, whole: int) -> str:
    """Such as ``0.63 %; 95 % interval 0.51 to 0.79 %``."""
    low, high = wilson(part, whole)
    return f"{share(part, whole)}; 95 % interval {100 * low:.2f} to {100 * high:.2f} %"


def _ordinal(number: int) -> str:
    return {10: "tenth"}.get(number, f"{number}th")


def _ratio(counts: Sequence[int]) -> float:
    return max(counts) / max(min(counts), 1)
