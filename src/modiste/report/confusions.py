"""One model's answers in detail: confusions, precision and recall of each class, worst errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modiste.evaluate.metrics import CountsKK, confusion, recall
from modiste.evaluate.per_class import ClassFigures, per_class
from modiste.evaluate.summary import Figure
from modiste.report import errors
from modiste.report.blocks import (
    Beside,
    Block,
    Cell,
    Column,
    Gallery,
    Heading,
    Inline,
    Paragraph,
    Table,
    TableRow,
)
from modiste.report.cells import full_name
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import NONE, between, count, plural, proportion
from modiste.report.quality import Answered, quality
from modiste.report.saved import Said, said, shown_part
from modiste.runs.run import Epoch, Run

# Of the accent colour in the darkest cell: more, and the number in it could not be read.
_DARKEST = 0.6
# Classes beyond which a matrix could not be read; the commonest confusions stand in its place.
_MOST = 30
_COMMONEST = 30


@dataclass(frozen=True)
class _Answers:
    """Counts of one run's answers at the epoch that ranks, and where its errors lie.

    Attributes:
        run: The one that is shown.
        names: Of the classes.
        part: ``test`` or ``validation``.
        where: Which images, which epoch, which seed.
        errors: May be missing.
        errors_epoch: Whose errors were stored.
        command: Makes these answers again, or shows what was stored of them.
        disagreement: By image id, the share of the other seeds that answer otherwise; none of a
            single seed.
        answered: The answers with their probabilities; none if logits were not kept.
    """

    run: Run
    counts_KK: CountsKK
    names: Sequence[str]
    part: str
    where: str
    errors: Path
    errors_epoch: Epoch
    command: str
    disagreement: Mapping[int, float] | None
    answered: Answered | None


def detail(context: Context, stage: StageFacts, row: RowFacts) -> list[Block]:
    """Everything about the answers of a row's first run."""
    heading = Heading(full_name(stage, row), f"final-{stage.name}")
    found = said(context, row, shown_part(context, row))
    if found is None:
        return [heading, Paragraph(["Its answers were not kept, so nothing is said of them."])]
    answers = _answers(context, stage, row, found)
    return [
        heading,
        Paragraph(_words(context, row, answers)),
        *([] if answers.answered is None else quality(answers.answered)),
        _confusions(stage.name, answers),
        _classes(stage.name, answers),
        _gallery(stage, row, answers),
    ]


def _answers(context: Context, stage: StageFacts, row: RowFacts, found: Said) -> _Answers:
    """Of the test set, if this run has been shown it; of the validation images otherwise."""
    epoch, names = context.epoch, context.class_names
    shown = next(iter(found.classes))
    run = next(run for run in row.runs if run.fingerprint == shown)
    predicted, labels_N = found.classes[shown], found.labels_N
    where = f"{found.part} images, {epoch} epoch, seed {run.spec.seed}"
    stored, errors_epoch = context.study.folder / "figures" / f"errors-{shown[:16]}.npz", epoch
    command = context.command(stage.name)
    if found.look is not None:
        stored, errors_epoch = found.look.file("errors", shown), "last"
        command = context.stored_command(found.look)
    answered = None
    if shown in found.logits and run.metrics[epoch]["val"]["loss"] is not None:
        answered = _answered(context, stage, run, found, where, command)
    apart = None
    if len(found.classes) > 1:
        guesses = list(found.classes.values())
        shares_N = np.mean([guess != predicted for guess in guesses], axis=0)
        shares_N *= len(guesses) / (len(guesses) - 1)  # the shown seed agrees with itself
        apart = dict(zip(found.image_ids_N.tolist(), shares_N.tolist(), strict=True))
    return _Answers(
        run,
        confusion(predicted, labels_N, len(names)),
        names,
        found.part,
        where,
        stored,
        errors_epoch,
        command,
        apart,
        answered,
    )


def _answered(
    context: Context, stage: StageFacts, run: Run, found: Said, where: str, command: str
) -> Answered:
    kept = run.predictions if run.has_predictions else None
    return Answered(
        stage.name,
        found.logits[run.fingerprint],
        found.labels_N,
        found.part,
        where,
        None if kept is None else kept[f"logits_{context.epoch}_NK"],
        np.empty(0, np.int64) if kept is None else kept["labels"],
        command,
    )


def _words(context: Context, row: RowFacts, answers: _Answers) -> list[Inline]:
    """Which run is shown, the hardest class and the commonest confusion."""
    counts, names = answers.counts_KK, answers.names
    which = "It"
    if row.is_net:
        which = f"Its run with seed {answers.run.spec.seed}"
        if len(row.runs) > 1:
            which += f" (the first of its {len(row.runs)}, whatever its figures)"
        which += f", with the weights of the {context.epoch} epoch,"
    wrong = counts - np.diag(np.diag(counts))
    images = f"{count(int(counts.sum()))} {answers.part} images"
    if not wrong.any():
        return [f"{which} makes no error on {images}."]
    recalls = {k: float(found) for k, found in enumerate(recall(counts)) if counts[k].sum()}
    pairs = wrong + wrong.T
    one, two = divmod(int(np.triu(pairs).argmax()), len(names))
    share = pairs[one, two] / wrong.sum()
    return [
        (
            f"{which} gets {count(int(wrong.sum()))} of {images} wrong; all of this part is about "
            f"that one run. {_found(names, recalls)} The commonest confusion is between "
            f"{names[one]} and {names[two]}: {plural(int(pairs[one, two]), 'error')}, "
            f"{100 * share:.0f}\u00a0% of all."
        )
    ]


def _found(names: Sequence[str], recalls: Mapping[int, float]) -> str:
    """Which class is found least and which most often; not told apart where they print alike."""
    hardest = min(recalls, key=lambda k: (recalls[k], k))
    easiest = max(recalls, key=lambda k: (recalls[k], -k))
    least, most = proportion(recalls[hardest]), proportion(recalls[easiest])
    if len(recalls) == 1:
        return f"{names[hardest]} is the only class there, and {least} of its images are found."
    if least == most:
        return f"Every class is found equally often ({least} of its images)."
    return (
        f"{names[hardest]} is found least often ({least} of its images), {names[easiest]} most "
        f"often ({most})."
    )


def _confusions(stage: str, answers: _Answers) -> Block:
    if len(answers.names) > _MOST:
        return _commonest(stage, answers)
    return Beside([_matrix(stage, answers), _rates(stage, answers)])


def _commonest(stage: str, answers: _Answers) -> Block:
    counts, names = answers.counts_KK, answers.names
    wrong_KK = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong_KK, axis=None, kind="stable")[:_COMMONEST]
    rows = []
    for true, taken in (divmod(int(cell), len(names)) for cell in order):
        number, total = int(wrong_KK[true, taken]), int(counts[true].sum())
        if number:
            share = 100 * number / total
            cells = [Cell(names[true]), Cell(names[taken]), Cell(count(number), number)]
            rows.append(TableRow([*cells, Cell(f"{share:.1f}", share)]))
    if not rows:
        return Paragraph([f"No class was taken for another ({answers.where})."], "note")
    which = "only confusion" if len(rows) == 1 else f"{len(rows)} commonest confusions"
    return Table(
        f"table-confusion-{stage}",
        [f"The {which} ({answers.where})."],
        [
            Column("true class", is_number=False),
            Column("taken for", is_number=False),
            Column("images"),
            Column("per cent of the class"),
        ],
        rows,
        command=answers.command,
        is_sortable=True,
    )


def _matrix(stage: str, answers: _Answers) -> Table:
    counts = answers.counts_KK
    return _square(
        f"table-confusion-{stage}",
        (
            f"Confusion matrix, counts ({answers.where}). Rows: the true class. Columns: what it "
            "was taken for. Right answers bold, errors shaded by their share of the class."
        ),
        answers,
        [[count(int(number)) for number in row] for row in counts],
        answers.command,
    )


def _rates(stage: str, answers: _Answers) -> Table:
    counts = answers.counts_KK
    shares_KK = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return _square(
        f"table-rates-{stage}",
        (
            f"The same as rates ({answers.where}): of each true class, per cent of its images "
            "that were taken for each. A row adds up to 100; bold is recall."
        ),
        answers,
        [[f"{share:.1f}" for share in row] for row in shares_KK],
    )


def _square(
    ident: str, caption: str, answers: _Answers, texts: Sequence[Sequence[str]], command: str = ""
) -> Table:
    counts, names = answers.counts_KK, answers.names
    # By its root, so that rare confusions are seen, too.
    depth_KK = _DARKEST * np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    rows = []
    for k, name in enumerate(names):
        cells = [
            Cell(
                texts[k][j],
                is_strong=j == k,
                heat=None if j == k else float(depth_KK[k, j]),
            )
            for j in range(len(names))
        ]
        rows.append(TableRow([Cell(name), *cells]))
    return Table(
        ident,
        [caption],
        [Column("true class", is_number=False), *(Column(name) for name in names)],
        rows,
        command=command,
        is_matrix=True,
    )


def _classes(stage: str, answers: _Answers) -> Table:
    found = per_class(answers.counts_KK)
    return Table(
        f"table-classes-{stage}",
        [f"Recall, precision and F1 of each class ({answers.where})."],
        [
            Column("class", is_number=False),
            Column("of it", "images"),
            Column("taken for it", "images"),
            Column("right", "images"),
            Column("value", "recall"),
            Column("95 % interval", "recall"),
            Column("value", "precision"),
            Column("95 % interval", "precision"),
            Column("value", "F1"),
            Column("95 % interval", "F1"),
            Column("most often taken for", is_number=False),
        ],
        [_class_row(answers, k, figures) for k, figures in enumerate(found)],
        notes=[
            [
                (
                    "Recall: of its images, the share that was found. Precision: of what was taken "
                    "for it, the share that belongs to it. F1: their harmonic mean. Intervals are "
                    "Wilson’s, that of F1 by way of the share of right answers among all images "
                    "of the class or taken for it; they cover the choice of images, each by "
                    "itself."
                )
            ]
        ],
        command=answers.command,
        is_sortable=True,
    )


def _class_row(answers: _Answers, k: int, figures: ClassFigures) -> TableRow:
    others = answers.counts_KK[k].copy()
    others[k] = 0
    taken = f"{answers.names[int(others.argmax())]} ({count(int(others.max()))})"
    return TableRow(
        [
            Cell(answers.names[k]),
            *(Cell(count(n), n) for n in (figures.images, figures.answered, figures.right)),
            *_figure(figures.recall),
            *_figure(figures.precision),
            *_figure(figures.f1),
            Cell(taken if others.any() else NONE),
        ]
    )


def _figure(figure: Figure | None) -> list[Cell]:
    if figure is None:
        return [Cell(NONE), Cell(NONE)]
    low = None if figure.interval is None else figure.interval.low
    return [
        Cell(proportion(figure.value), figure.value),
        Cell(between(figure.interval), low),
    ]


def _gallery(stage: StageFacts, row: RowFacts, answers: _Answers) -> Block:
    found = errors.read(answers.errors, len(answers.names))
    if found is None:
        return Paragraph(["Images of its worst errors are not in this folder."], "note")
    if not len(found.labels):
        return Paragraph(["It made no error, so there is none to show."], "note")
    which = f"{answers.errors_epoch} epoch, " if row.is_net else ""
    where = f"{answers.part} images, {which}seed {answers.run.spec.seed}"
    kind = "of highest loss"
    under = "its class, what it was taken for with which probability, and what was left for it"
    more = "the probabilities of its surest classes"
    if answers.disagreement is not None:
        more += " and how many of the other seeds answer otherwise"
    if not found.has_probabilities:
        kind, under = "that it was surest of", "its class, and what it was taken for"
        more = "its number"
    caption = (
        f"{full_name(stage, row)}: the {plural(len(found.labels), 'error')} {kind} ({where}). "
        f"Under each image {under}; unfolded, {more}."
    )
    return Gallery(
        f"figure-errors-{stage.name}",
        [caption],
        found.pictures(answers.names, answers.disagreement),
    )
