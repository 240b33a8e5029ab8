"""The models that the study ends with: their accuracy, their confusions, their worst errors."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modiste.errors import StoreError
from modiste.evaluate.intervals import wilson
from modiste.evaluate.metrics import CountsKK, confusion, precision, recall
from modiste.report import errors, looks
from modiste.report.blocks import (
    Beside,
    Block,
    Cell,
    Column,
    Gallery,
    Heading,
    Inline,
    Paragraph,
    Ref,
    Table,
    TableRow,
    Words,
)
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts, deviation
from modiste.report.numbers import NONE, count, points, proportion, spread
from modiste.report.section import SECTIONS, Section
from modiste.runs.run import Epoch, Run


@dataclass(frozen=True)
class _Answers:
    """Counts of one model's answers at the epoch that ranks, and where its errors lie.

    Attributes:
        part: ``test`` or ``validation``.
        errors: May be missing.
        errors_epoch: Whose errors were stored.
    """

    counts_KK: CountsKK
    part: str
    errors: Path
    errors_epoch: Epoch


def build(context: Context) -> Sequence[Block]:
    """Test figures as far as the test set was opened; validation figures otherwise."""
    blocks: list[Block] = [Paragraph(_words(context))]
    if context.looks:
        blocks += [_looks_table(context), _test_table(context)]
    for stage, row in context.detailed:
        blocks += _detail(context, stage, row)
    return blocks


def _words(context: Context) -> list[Inline]:
    looks_ = "unknown" if context.num_looks is None else count(context.num_looks)
    if not context.looks:
        words: list[Inline] = [
            f"The test set was not opened for this study; looks at it so far: {looks_}. "
        ]
        if context.detailed:
            words.append(
                "What follows is therefore measured on validation images. The same images decided "
                "when a training stopped and, in some stages, which model was taken, so these "
                "figures are likely to be a little too good."
            )
        return words
    return [
        f"The test set was opened {count(len(context.looks))} time(s) for this study; looks at it "
        f"in all, by the ledger: {looks_}. Each opening is for a frozen list of models, decided "
        "before (",
        Ref("table-looks"),
        ").",
    ]


def _looks_table(context: Context) -> Table:
    rows = [
        TableRow(
            [
                Cell(look.opened_at or NONE),
                Cell(look.reason),
                Cell(", ".join(sorted({run.stage for run in look.runs}))),
                Cell(count(len(look.runs))),
                Cell("unknown" if look.number is None else count(look.number)),
            ]
        )
        for look in context.looks
    ]
    return Table(
        "table-looks",
        ["Openings of the test set for this study."],
        [Column("opened", is_number=False), Column("reason", is_number=False),
         Column("stages", is_number=False), Column("models"), Column("looks, with this one")],
        rows,
    )


def _test_table(context: Context) -> Table:
    rows = []
    sizes: set[int] = set()
    for stage, row in _looked_at(context):
        last = looks.scores(list(context.looks), row.row.fingerprints, "last")
        best = looks.scores(list(context.looks), row.row.fingerprints, "best")
        theirs = row.published.test_accuracy if row.published else None
        mean = sum(score.accuracy for score in last) / len(last) if last else None
        sizes |= {score.total for score in last + best}
        is_cut = stage.touches_runs
        rows.append(
            TableRow(
                [
                    Cell(_name(stage, row)),
                    Cell(count(row.parameters), row.parameters),
                    Cell(count(len(last)), len(last)),
                    *_scores(last),
                    *_scores(best),
                    Cell(proportion(theirs), theirs),
                    Cell(
                        points(mean - theirs) if mean is not None and theirs is not None else NONE,
                        is_muted=is_cut,
                        mark="‡" if is_cut else "",
                    ),
                ]
            )
        )
    size = f" on {count(max(sizes))} test images" if sizes else ""
    notes: list[Words] = [
        [
            "Intervals are Wilson’s at 95 %, for the mean of the seeds: they cover the choice of "
            "images, not that of seeds, which is the ± (standard deviation)."
        ]
    ]
    cut = [stage for stage, _ in _looked_at(context) if stage.touches_runs and stage.cut]
    notes += [
        [f"‡ {stage.title}: {stage.cut.text() if stage.cut else ''}; no reproduction."]
        for stage in cut
    ]
    return Table(
        "table-test",
        [f"The final models{size}."],
        [
            Column("model", is_number=False),
            Column("parameters"),
            Column("seeds"),
            Column("accuracy", "test, last epoch"),
            Column("95 % interval", "test, last epoch"),
            Column("accuracy", "test, best epoch"),
            Column("95 % interval", "test, best epoch"),
            Column("accuracy", "published"),
            Column("difference", "published"),
        ],
        rows,
        notes=notes,
        command=context.command(*[stage.name for stage, _ in _looked_at(context)]),
        is_sortable=True,
    )


def _scores(scores: Sequence[looks.Score]) -> list[Cell]:
    if not scores:
        return [Cell(NONE), Cell(NONE)]
    values = [score.accuracy for score in scores]
    mean = sum(values) / len(values)
    low, high = wilson(round(mean * scores[0].total), scores[0].total)
    return [
        Cell(spread(mean, deviation(values)), mean),
        Cell(f"{proportion(low)}–{proportion(high)}", low),
    ]


def _looked_at(context: Context) -> list[tuple[StageFacts, RowFacts]]:
    looked = {run.fingerprint for look in context.looks for run in look.runs}
    return [
        (stage, row)
        for stage in context.stages
        for row in stage.rows
        if looked & set(row.row.fingerprints)
    ]


def _name(stage: StageFacts, row: RowFacts) -> str:
    return stage.title if len(stage.rows) == 1 else f"{stage.title} – {row.label}"


def _detail(context: Context, stage: StageFacts, row: RowFacts) -> list[Block]:
    if not row.runs:
        return []
    run = row.runs[0]
    answers = _answers(context, run)
    names = context.class_names
    where = f"{answers.part} images, {context.epoch} epoch, seed {run.spec.seed}"
    blocks: list[Block] = [
        Heading(_name(stage, row), f"final-{stage.name}"),
        Paragraph(_confusions(answers.counts_KK, names)),
        Beside(
            [
                _matrix(context, stage, answers, names, where),
                _recall(context, stage, answers, names, where),
            ]
        ),
    ]
    found = errors.read(answers.errors, len(names))
    if found is None:
        blocks.append(Paragraph(["Images of its worst errors are not in this folder."], "note"))
    elif len(found.labels):
        blocks.append(
            Gallery(
                f"figure-errors-{stage.name}",
                [f"{_name(stage, row)}: the {len(found.labels)} errors of highest loss "
                 f"({answers.part} images, {answers.errors_epoch} epoch, seed {run.spec.seed}). "
                 "Under each image its class, what it was taken for with which probability, and "
                 "what was left for its class."],
                found.pictures(names),
            )
        )
    return blocks


def _answers(context: Context, run: Run) -> _Answers:
    """Of the test set, if this run has been shown it; of the validation images otherwise."""
    num_classes = len(context.class_names)
    epoch = context.epoch
    for look in context.looks:
        path = look.file("predictions", run.fingerprint)
        if path.is_file():
            logits_NK, labels = _read(path, f"logits_{epoch}_NK")
            counts = confusion(logits_NK.argmax(axis=1), labels, num_classes)
            return _Answers(counts, "test", look.file("errors", run.fingerprint), "last")
    logits_NK, labels = run.predictions[f"logits_{epoch}_NK"], run.predictions["labels"]
    counts = confusion(logits_NK.argmax(axis=1), labels, num_classes)
    stored = context.study.folder / "figures" / f"errors-{run.fingerprint[:16]}.npz"
    return _Answers(counts, "validation", stored, epoch)


def _read(path: Path, logits: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[logits], arrays["labels"]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path}: cannot be read ({error}).") from None


def _confusions(counts_KK: CountsKK, names: Sequence[str]) -> list[Inline]:
    """The hardest class and the commonest confusion, in a sentence each."""
    recalls = recall(counts_KK)
    present = [k for k in range(len(names)) if counts_KK[k].sum()]
    hardest = min(present, key=lambda k: (recalls[k], k))
    easiest = max(present, key=lambda k: (recalls[k], -k))
    wrong = counts_KK - np.diag(np.diag(counts_KK))
    if not wrong.any():
        return ["It makes no error on these images."]
    pairs = wrong + wrong.T
    one, two = divmod(int(np.triu(pairs).argmax()), len(names))
    share = pairs[one, two] / wrong.sum()
    return [
        f"Of {count(int(counts_KK.sum()))} images it gets {count(int(wrong.sum()))} wrong. "
        f"{names[hardest]} is found least often ({proportion(float(recalls[hardest]))} of its "
        f"images), {names[easiest]} most often ({proportion(float(recalls[easiest]))}). The "
        f"commonest confusion is between {names[one]} and {names[two]}: "
        f"{count(int(pairs[one, two]))} errors, {100 * share:.0f}\u00a0% of all."
    ]


def _matrix(
    context: Context, stage: StageFacts, answers: _Answers, names: Sequence[str], where: str
) -> Table:
    counts = answers.counts_KK
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = []
    for k, name in enumerate(names):
        cells = [Cell(name)]
        for j in range(len(names)):
            # Right answers are marked as such; errors are shaded by their share of the class,
            # by its root, so that rare confusions are seen, too.
            heat = None if j == k else 0.6 * float(np.sqrt(rates[k, j]))
            cells.append(Cell(count(int(counts[k, j])), is_strong=j == k, heat=heat))
        rows.append(TableRow(cells))
    return Table(
        f"table-confusion-{stage.name}",
        [f"Confusion matrix ({where}). Rows: the true class. Columns: what it was taken for. "
         "Right answers bold, errors shaded by their share of the class."],
        [Column("", is_number=False), *(Column(name) for name in names)],
        rows,
        command=context.command(stage.name),
        is_matrix=True,
    )


def _recall(
    context: Context, stage: StageFacts, answers: _Answers, names: Sequence[str], where: str
) -> Table:
    counts = answers.counts_KK
    recalls, precisions = recall(counts), precision(counts)
    rows = []
    for k, name in enumerate(names):
        total, right = int(counts[k].sum()), int(counts[k, k])
        interval = NONE
        if total:
            low, high = wilson(right, total)
            interval = f"{proportion(low)}–{proportion(high)}"
        others = counts[k].copy()
        others[k] = 0
        most = names[int(others.argmax())] if others.any() else NONE
        rows.append(
            TableRow(
                [
                    Cell(name),
                    Cell(count(total), total),
                    Cell(count(right), right),
                    Cell(proportion(float(recalls[k])), _number(recalls[k])),
                    Cell(interval),
                    Cell(proportion(float(precisions[k])), _number(precisions[k])),
                    Cell(f"{most} ({count(int(others.max()))})" if others.any() else NONE),
                ]
            )
        )
    return Table(
        f"table-recall-{stage.name}",
        [f"Recall of each class with Wilson’s 95 % interval, and precision ({where})."],
        [
            Column("class", is_number=False),
            Column("images"),
            Column("right"),
            Column("recall"),
            Column("95 % interval"),
            Column("precision"),
            Column("most often taken for", is_number=False),
        ],
        rows,
        command=context.command(stage.name),
        is_sortable=True,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


SECTIONS.add("final", Section("Final models", 50, build))
