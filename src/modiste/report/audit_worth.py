"""What an audit's finds are worth to models, and what it saw of the test set."""

from __future__ import annotations

from modiste.counts import UNKNOWN
from modiste.evaluate.audit import Comparison
from modiste.evaluate.worth import Beside, Worth
from modiste.report.audit_found import counts_row, kind_columns, share_with_interval
from modiste.report.audit_record import AuditReport
from modiste.report.blocks import (
    Block,
    Cell,
    Code,
    CodeLine,
    Column,
    Heading,
    Inline,
    Paragraph,
    Strong,
    Table,
    TableRow,
    Words,
)
from modiste.report.numbers import NONE, bound, count, points, proportion

FOUND = {
    "duplicates": "without duplicates",
    "suspects": "without suspects",
    "outliers": "without outliers",
    "all": "without all of these",
}


def worth(report: AuditReport) -> list[Block]:
    """Accuracy of each model with and without the finds."""
    if not report.models:
        words: list[Inline] = [
            "No models are at hand, so nothing is said of what these finds do to an accuracy. ",
            Code("--study STUDY"),
            " names some; their saved answers are enough, nothing is trained.",
        ]
        return [Paragraph(words), *(Paragraph([note], "note") for note in report.notes)]
    about: list[Inline] = [
        "From the saved validation answers of ",
        Code(report.study),
        (
            ": the best finished model of each stage. Each column leaves some images out and "
            "says how far that moves the accuracy, in points, with the 95 % interval of that "
            "difference; it is paired, since both accuracies are of the same answers. Intervals "
            "are about the choice of images, not of seeds."
        ),
    ]
    blocks: list[Block] = [Paragraph(about), _worth_table(report)]
    if any(model.on_duplicates for model in report.models):
        blocks += [Heading("On the duplicates themselves", "beside", 3), _beside_table(report)]
    blocks += [Paragraph([note], "note") for note in report.notes]
    return blocks


def _worth_table(report: AuditReport) -> Table:
    first = report.models[0]
    columns = [Column("model", is_number=False), Column("seeds"), Column("accuracy")]
    columns += [
        Column("points", f"{title} (−{count(first.without[key].removed)})")
        for key, title in FOUND.items()
    ]
    rows = [
        TableRow(
            [
                Cell(model.name),
                Cell(count(model.num_seeds)),
                Cell(
                    proportion(model.accuracy),
                    model.accuracy,
                    note=f"{proportion(model.low)}–{proportion(model.high)}",
                ),
                *(_worth_cell(model.without[key]) for key in FOUND),
            ]
        )
        for model in report.models
    ]
    notes: list[Words] = [
        [
            (
                "Suspects were picked because a model disagrees with their label, and other models "
                "tend to disagree with the same labels. Leaving them out therefore raises any "
                "accuracy, whether the labels are wrong or the images hard."
            )
        ]
    ]
    return Table(
        "table-worth",
        [f"Accuracy on {count(first.num_images)} validation images, and without some of them."],
        columns,
        rows,
        notes=notes,
        is_sortable=len(rows) > 1,
    )


def _worth_cell(found: Worth) -> Cell:
    if found.difference is None:
        return Cell(NONE)
    return Cell(points(found.difference), found.difference, note=interval(found))


def _beside_table(report: AuditReport) -> Table:
    rows = [
        _beside_row(model.name, model.on_duplicates)
        for model in report.models
        if model.on_duplicates is not None
    ]
    return Table(
        "table-beside",
        [
            (
                "Accuracy on validation images with a duplicate in training, and on the others "
                "of the same classes, each class weighted as among the duplicates."
            )
        ],
        [
            Column("model", is_number=False),
            Column("images"),
            Column("on them"),
            Column("on the others"),
            Column("difference, points"),
            Column("95 % interval"),
        ],
        rows,
        notes=[
            [
                (
                    "Not all of the difference comes of having seen a twin: images that look like "
                    "others are easier anyway. What is learnt by heart shows where a model with "
                    "much room gains more from its twins than a linear one."
                )
            ]
        ],
        is_sortable=len(rows) > 1,
    )


def _beside_row(name: str, found: Beside) -> TableRow:
    return TableRow([Cell(name), Cell(count(found.count)), *beside_cells(found)])


def beside_cells(found: Beside) -> list[Cell]:
    """Accuracy on the duplicates, on others of their classes, the difference and its interval."""
    difference = None if found.others is None else found.accuracy - found.others
    between = "" if found.low is None else f"{bound(found.low)} to {bound(found.high)}"
    return [
        Cell(proportion(found.accuracy), found.accuracy),
        Cell(proportion(found.others), found.others),
        Cell(points(difference), difference),
        Cell(between or NONE, found.low),
    ]


# --- the test set -----------------------------------------------------------------------------


def test_set(report: AuditReport) -> list[Block]:
    """What the comparison with test images counted, if there was one."""
    found = report.comparison
    if found is None:
        words: list[Inline] = [
            "The test set was not opened for this audit. ",
            Code('--with-test --reason "..."'),
            (
                " compares it with the rest, and writes that into its ledger: counts of duplicates "
                "come back, and neither accuracies nor labels."
            ),
        ]
        return [Paragraph(words)]
    leaks = sum(found.in_either.values())
    words = [
        (
            "The test set was opened for this audit, to compare its images with the others; its "
            "labels were not used, and nothing but these counts was kept. The ledger has an entry "
            f"of its own kind for it, with the reason: “{report.reason}”. It is no look, since no "
            "accuracy came of it. Of "
        ),
        f"{count(found.num_images)} test images, ",
        Strong(count(leaks)),
        (
            f" ({share_with_interval(leaks, found.num_images)}) "
            f"{'has' if leaks == 1 else 'have'} a duplicate among the "
            f"{count(len(report.audit.images))} others."
        ),
    ]
    again = "The same command would open the test set again, and the ledger would say so:"
    return [
        Paragraph(words),
        *_test_tables(found),
        *_openings(report),
        Paragraph([again], "note"),
        CodeLine(report.test_command),
    ]


def _test_tables(found: Comparison) -> list[Block]:
    columns = kind_columns()
    pairs = (
        ("test and training", found.with_train),
        ("test and validation", found.with_val),
        ("within test", found.within),
    )
    images = (
        ("in training", found.in_train),
        ("in validation", found.in_val),
        ("in either", found.in_either),
    )
    return [
        Table(
            "table-test-pairs",
            ["Pairs of duplicates with test images."],
            [Column("pairs", is_number=False), *columns],
            [counts_row(name, counts) for name, counts in pairs],
        ),
        Table(
            "table-test-images",
            ["Test images with a duplicate, each by the closest that it has."],
            [Column("test images with a duplicate", is_number=False), *columns],
            [counts_row(name, counts) for name, counts in images],
        ),
    ]


def _openings(report: AuditReport) -> list[Block]:
    if report.openings == UNKNOWN:
        return [Paragraph(["The ledger does not add up, so the openings so far are unknown."])]
    rows = [
        TableRow([Cell(str(e["at"])), Cell(str(e["kind"])), Cell(str(e["reason"]))])
        for e in report.openings
    ]
    columns = [Column(title, is_number=False) for title in ("opened", "as", "reason")]
    return [
        Table(
            "table-openings",
            ["Openings of this test set so far, by its ledger. Only looks return accuracies."],
            columns,
            rows,
        )
    ]


def interval(found: Worth) -> str:
    """Of a difference, in points."""
    return f"{bound(found.low)} to {bound(found.high)}"
