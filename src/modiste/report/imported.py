"""The report of an imported study: its rows, and what they can and cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modiste.evaluate.intervals import standard_error
from modiste.evaluate.unpaired import may_be_best
from modiste.report import html, markdown
from modiste.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Column,
    Inline,
    Paragraph,
    Remark,
    Remarks,
    SectionText,
    Strong,
    Table,
    TableRow,
    Words,
)
from modiste.report.cuts import show
from modiste.report.explained import with_explanations
from modiste.report.html import Head
from modiste.report.numbers import NONE, count, duration, plural, proportion
from modiste.runs import files
from modiste.search.imported import FILE, Imported, ImportedRow, load_imported

# Rows in the table, settings and further figures each with a column; all are in imported.json.
NUM_ROWS, NUM_SETTINGS, NUM_FIGURES = 100, 8, 5


def write_imported(folder: Path) -> Path:
    """Write FOLDER/report.html and FOLDER/report.md; returns the first.

    Raises:
        StoreError: If the folder holds no imported study, or cannot be written.
    """
    imported = load_imported(folder)
    head = Head(
        f"{imported.tool}: {imported.source}",
        "Report of an imported study",
        f"{plural(len(imported.rows), 'row')} · ranked by {imported.figure}",
        origin=FILE,
    )
    sections = [
        SectionText("In short", "summary", "", _summary(imported)),
        SectionText("Rows", "rows", "1", [_table(imported)]),
        SectionText("What these rows can say", "evidence", "2", _evidence(imported)),
    ]
    sections = with_explanations(sections)
    path = folder / "report.html"
    files.write_bytes(folder / "report.md", files.to_utf8(markdown.render(head, sections)))
    files.write_bytes(path, files.to_utf8(html.render(head, sections)))
    return path


def _summary(imported: Imported) -> Sequence[Block]:
    ranked = imported.ranked
    way = "larger" if imported.direction == "max" else "smaller"
    images = "images of which the source says nothing"
    if imported.scored_on is not None:
        images = f"{imported.scored_on} images"
    if imported.num_images is not None:
        images = f"{count(imported.num_images)} {images}"
    note = (
        f"{plural(len(imported.rows), 'row')}, {count(len(ranked))} of them with a figure to rank "
        f"by: {imported.figure}, the {way} the better, on {images}."
    )
    blocks: list[Block] = [Paragraph(_first(imported, ranked), "lead"), Paragraph([note], "note")]
    if found := imported.findings():
        blocks.append(
            Remarks([Remark(f.code, f.title, f.advice, 0, [("all rows", f.text)]) for f in found])
        )
    return blocks


def _first(imported: Imported, ranked: Sequence[ImportedRow]) -> Words:
    if not ranked:
        return ["None of the rows has a figure to rank by."]
    first = ranked[0]
    figure = f"{_figure(first.figure)}{_plus_minus(imported, first)}"
    words: list[Inline] = [
        Strong(first.label),
        f" stands first of {plural(len(ranked), 'row')}, with {imported.figure} {figure}.",
    ]
    tied = tied_with_first(imported)
    if tied is None:
        text = (
            " How far that can be trusted cannot be told: it takes the number of images behind an "
            "accuracy, and nobody stated one."
        )
    elif len(tied) == 1:
        text = " No other row may be the best one, as far as the choice of images goes."
    else:
        text = (
            f" {plural(len(tied) - 1, 'other row')} cannot be told from it by these images: the "
            f"best one is among the {len(tied)} with a probability of at least 95 %."
        )
    return [*words, text]


def tied_with_first(imported: Imported) -> list[ImportedRow] | None:
    """Rows that may be the best one, with the first; none where their error is not known."""
    if imported.num_images is None:
        return None
    ranked = imported.ranked
    marks = may_be_best([row.figure or 0.0 for row in ranked], imported.num_images)
    return [row for row, is_marked in zip(ranked, marks, strict=True) if is_marked]


def _table(imported: Imported) -> Table:
    ranked = imported.ranked
    competing = {id(row) for row in ranked}
    rest = [row for row in imported.rows if id(row) not in competing]
    ordered = [*ranked, *rest]
    settings = _varying(imported)
    figures = [n for n in _names(row.figures for row in imported.rows) if n != imported.figure]
    shown, figures = settings[:NUM_SETTINGS], figures[:NUM_FIGURES]
    same = len({row.evidence for row in ranked}) <= 1
    columns = [
        Column("row", is_number=False),
        *(Column(name, "settings", is_number=False) for name in shown),
        Column(imported.figure),
        Column("std. error"),
        *(Column(name, "as recorded") for name in figures),
        Column("epochs"),
        Column("time"),
        *([] if same else [Column("evidence", is_number=False)]),
    ]
    tied = {id(row) for row in (tied_with_first(imported) or [])[1:]}
    rows = [
        _line(imported, row, shown, figures, is_tied=id(row) in tied, is_first=row is ordered[0],
              with_evidence=not same)
        for row in ordered[:NUM_ROWS]
    ]  # fmt: skip
    if len(ordered) > NUM_ROWS:
        cells = [
            Cell(f"{count(len(ordered) - NUM_ROWS)} more rows"),
            Cell("in imported.json", span=len(columns) - 1),
        ]
        rows.append(TableRow(cells, is_muted=True, is_rest=True))
    return Table(
        "table-rows",
        [f"{plural(len(imported.rows), 'row')}, best first. Figures are as recorded."],
        columns,
        rows,
        notes=_notes(imported, settings, same=same),
        is_sortable=len(rows) > 1,
    )


def _notes(imported: Imported, settings: Sequence[str], *, same: bool) -> list[Words]:
    notes: list[Words] = []
    ranked = imported.ranked
    if same and ranked:
        notes.append([f"Each figure: {ranked[0].evidence}."])
    if imported.num_images is not None:
        notes.append(
            [
                (
                    "≈ cannot be told from the first row by the error of both, as of independent "
                    "samples; at 95 %, corrected for the number of rows. The standard error "
                    "covers the choice of images, not that of seeds."
                )
            ]
        )
    fixed = {
        name: imported.rows[0].settings.get(name)
        for name in _names(row.settings for row in imported.rows)
        if name not in settings
    }
    if fixed:
        text = ", ".join(f"{name} {show(value)}" for name, value in fixed.items())
        notes.append([f"The same in all rows: {text}."])
    if len(settings) > NUM_SETTINGS:
        notes.append([f"Also varied: {', '.join(settings[NUM_SETTINGS:])}."])
    return notes


def _line(
    imported: Imported,
    row: ImportedRow,
    settings: Sequence[str],
    figures: Sequence[str],
    *,
    is_tied: bool,
    is_first: bool,
    with_evidence: bool,
) -> TableRow:
    error = _error(imported, row)
    note = "" if row.status == "finished" else row.status
    cells = [
        Cell(f"{row.label}{' ≈' if is_tied else ''}", note=note),
        *(_setting(row.settings, name) for name in settings),
        Cell(_figure(row.figure), row.figure, is_strong=is_first and row.figure is not None),
        Cell(proportion(error), error),
        *(Cell(_figure(row.figures.get(name)), row.figures.get(name)) for name in figures),
        Cell(count(row.epochs), row.epochs),
        Cell(duration(row.seconds), row.seconds),
    ]
    if with_evidence:
        cells.append(Cell(row.evidence))
    return TableRow(cells, is_muted=row.status != "finished")


def _setting(settings: dict[str, Any], name: str) -> Cell:
    if name not in settings:
        return Cell(NONE)
    value = settings[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(show(value), float(value) if is_number else None)


def _evidence(imported: Imported) -> Sequence[Block]:
    items: list[Words] = [
        [
            (
                "These are figures that another tool wrote down, not runs of modiste: there are no "
                "predictions, so two rows cannot be compared image by image, and no weights."
            )
        ],
        ["They have no fingerprint, so ", Code("modiste reproduce"), " cannot train them again."],
        *([note] for note in imported.notes),
    ]
    if imported.scored_on is None:
        items.append(["Which images the figure was measured on is not known."])
    return [Bullets(items)]


def _varying(imported: Imported) -> list[str]:
    names = _names(row.settings for row in imported.rows)
    return [
        name
        for name in names
        if len({show(row.settings[name]) for row in imported.rows if name in row.settings}) > 1
        or any(name not in row.settings for row in imported.rows)
    ]


def _names(mappings: Any) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _error(imported: Imported, row: ImportedRow) -> float | None:
    if imported.num_images is None or row.figure is None:
        return None
    return standard_error(row.figure, imported.num_images)


def _plus_minus(imported: Imported, row: ImportedRow) -> str:
    error = _error(imported, row)
    return "" if error is None else f" ± {proportion(error)} (standard error)"


def _figure(value: float | None) -> str:
    """Four digits after the point for what may be a proportion or a loss, else what it takes."""
    if value is None or abs(value) < 100:
        return proportion(value)
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:.4g}"
