"""One model's answers in detail: confusion matrix, recall of each class, worst errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modiste.evaluate.intervals import wilson
from modiste.evaluate.metrics import CountsKK, confusion, precision, recall
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
from modiste.report.numbers import NONE, count, proportion
from modiste.report.quality import Answered, quality, read_arrays, stress_table
from modiste.runs.run import Epoch, Run

# Of the accent colour in the darkest cell: more, and the number in it could not be read.
_DARKEST = 0.6


@dataclass(frozen=True)
class _Answers:
    """Counts of one model's answers at the epoch that ranks, and where its errors lie.

    Attributes:
        names: Of the classes.
        part: ``test`` or ``validation``.
        where: Which images, which epoch, which seed.
        errors: May be missing.
        errors_epoch: Whose errors were stored.
        command: Makes these answers again.
        disagreement: By image id, the share of the other seeds that answer otherwise; none of a
            single seed.
        answered: The answers with their probabilities; none if logits were not kept.
    """

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
    run = row.runs[0]
    answers = _answers(context, stage, row, run)
    return [
        Heading(full_name(stage, row), f"final-{stage.name}"),
        Paragraph(_words(answers)),
        *([] if answers.answered is None else quality(answers.answered)),
        *stress_table(
            stage.name,
            f"{context.epoch} epoch, seed {run.spec.seed}",
            context.study.folder / "figures" / f"stress-{run.fingerprint[:16]}.npz",
            context.command(stage.name),
        ),
        Beside([_matrix(stage.name, answers), _recall(stage.name, answers)]),
        _gallery(stage, row, answers),
    ]


def _answers(context: Context, stage: StageFacts, row: RowFacts, run: Run) -> _Answers:
    """Of the test set, if this run has been shown it; of the validation images otherwise."""
    epoch, names = context.epoch, context.class_names
    key = f"logits_{epoch}_NK"
    part, found = "validation", context.study.answers(run, epoch)
    predicted, labels = found.classes_N, found.labels_N
    stored = context.study.folder / "figures" / f"errors-{run.fingerprint[:16]}.npz"
    errors_epoch, command = epoch, context.command(stage.name)
    val_logits = run.predictions[key] if run.has_predictions else None
    ids = found.image_ids_N
    others = {r: context.study.answers(r, epoch) for r in row.runs}
    alike = [r for r, other in others.items() if np.array_equal(ids, other.image_ids_N)]
    logits, seeds = val_logits, [r.predictions[key] for r in alike if r.has_predictions]
    guesses = [others[r].classes_N for r in alike]
    for look in context.looks:
        path = look.file("predictions", run.fingerprint)
        if path.is_file():
            saved = read_arrays(path)
            part, labels, logits, ids = "test", saved["labels"], saved[key], saved["image_ids"]
            predicted = logits.argmax(axis=1)
            paths = [look.file("predictions", r.fingerprint) for r in row.runs]
            seeds = [read_arrays(each)[key] for each in paths if each.is_file()]
            guesses = [each.argmax(axis=1) for each in seeds]
            stored, errors_epoch = look.file("errors", run.fingerprint), "last"
            command = context.look_command(look)
            break
    counts = confusion(predicted, labels, len(names))
    where = f"{part} images, {epoch} epoch, seed {run.spec.seed}"
    answered = None
    if logits is not None:
        answered = Answered(
            stage.name,
            logits,
            labels,
            part,
            where,
            val_logits,
            found.labels_N,
            seeds,
            command,
        )
    apart = None
    if len(guesses) > 1:
        shares_N = np.mean([guess != predicted for guess in guesses], axis=0)
        shares_N *= len(guesses) / (len(guesses) - 1)  # the shown seed agrees with itself
        apart = dict(zip(ids.tolist(), shares_N.tolist(), strict=True))
    return _Answers(counts, names, part, where, stored, errors_epoch, command, apart, answered)


def _words(answers: _Answers) -> list[Inline]:
    """The hardest class and the commonest confusion."""
    counts, names = answers.counts_KK, answers.names
    recalls = recall(counts)
    present = [k for k in range(len(names)) if counts[k].sum()]
    hardest = min(present, key=lambda k: (recalls[k], k))
    easiest = max(present, key=lambda k: (recalls[k], -k))
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return [f"It makes no error on these {count(int(counts.sum()))} images."]
    pairs = wrong + wrong.T
    one, two = divmod(int(np.triu(pairs).argmax()), len(names))
    share = pairs[one, two] / wrong.sum()
    return [
        (
            f"Of {count(int(counts.sum()))} images it gets {count(int(wrong.sum()))} wrong. "
            f"{names[hardest]} is found least often ({proportion(float(recalls[hardest]))} of its "
            f"images), {names[easiest]} most often ({proportion(float(recalls[easiest]))}). The "
            f"commonest confusion is between {names[one]} and {names[two]}: "
            f"{count(int(pairs[one, two]))} errors, {100 * share:.0f}\u00a0% of all."
        )
    ]


def _matrix(stage: str, answers: _Answers) -> Table:
    counts, names = answers.counts_KK, answers.names
    # By its root, so that rare confusions are seen, too.
    depth_KK = _DARKEST * np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    rows = []
    for k, name in enumerate(names):
        cells = [
            Cell(
                count(int(counts[k, j])),
                is_strong=j == k,
                heat=None if j == k else float(depth_KK[k, j]),
            )
            for j in range(len(names))
        ]
        rows.append(TableRow([Cell(name), *cells]))
    return Table(
        f"table-confusion-{stage}",
        [
            (
                f"Confusion matrix ({answers.where}). Rows: the true class. Columns: what it was "
                "taken for. Right answers bold, errors shaded by their share of the class."
            )
        ],
        [Column("true class", is_number=False), *(Column(name) for name in names)],
        rows,
        command=answers.command,
        is_matrix=True,
    )


def _recall(stage: str, answers: _Answers) -> Table:
    return Table(
        f"table-recall-{stage}",
        [f"Recall of each class with Wilson’s 95 % interval, and precision ({answers.where})."],
        [
            Column("class", is_number=False),
            Column("images"),
            Column("right"),
            Column("recall"),
            Column("95 % interval"),
            Column("precision"),
            Column("most often taken for", is_number=False),
        ],
        [_recall_row(answers, k) for k in range(len(answers.names))],
        command=answers.command,
        is_sortable=True,
    )


def _recall_row(answers: _Answers, k: int) -> TableRow:
    counts = answers.counts_KK
    total, right = int(counts[k].sum()), int(counts[k, k])
    found, kept = float(recall(counts)[k]), float(precision(counts)[k])
    interval = NONE
    if total:
        low, high = wilson(right, total)
        interval = f"{proportion(low)}–{proportion(high)}"
    others = counts[k].copy()
    others[k] = 0
    taken = f"{answers.names[int(others.argmax())]} ({count(int(others.max()))})"
    return TableRow(
        [
            Cell(answers.names[k]),
            Cell(count(total), total),
            Cell(count(right), right),
            Cell(proportion(found), found if total else None),
            Cell(interval),
            Cell(proportion(kept), kept if counts[:, k].any() else None),
            Cell(taken if others.any() else NONE),
        ]
    )


def _gallery(stage: StageFacts, row: RowFacts, answers: _Answers) -> Block:
    found = errors.read(answers.errors, len(answers.names))
    if found is None:
        return Paragraph(["Images of its worst errors are not in this folder."], "note")
    if not len(found.labels):
        return Paragraph(["It made no error, so there is none to show."], "note")
    which = f"{answers.errors_epoch} epoch, " if row.is_net else ""
    where = f"{answers.part} images, {which}seed {row.runs[0].spec.seed}"
    kind = "of highest loss"
    under = "its class, what it was taken for with which probability, and what was left for it"
    if not found.has_probabilities:
        kind, under = "that it was surest of", "its class, and what it was taken for"
    caption = (
        f"{full_name(stage, row)}: the {len(found.labels)} errors {kind} ({where}). Under each "
        f"image {under}."
    )
    return Gallery(
        f"figure-errors-{stage.name}",
        [caption],
        found.pictures(answers.names, answers.disagreement),
    )
