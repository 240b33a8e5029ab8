"""Cross-validation in the report: what each point reached on images held out from everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from modiste.evaluate.best import Standing
from modiste.evaluate.crossval import cross_validated, fold_standings
from modiste.evaluate.distributions import t_quantile
from modiste.evaluate.intervals import Interval
from modiste.report.blocks import Block, Cell, Column, Paragraph, Table, TableRow
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import (
    NONE,
    bound,
    count,
    plural,
    points,
    proportion,
    size,
    spread,
    times,
)
from modiste.runs.run import Epoch
from modiste.search.held import held_share, num_held
from modiste.search.standing import shares


@dataclass(frozen=True)
class Nested:
    """The whole procedure judged: choose by validation within each fold, score on the fold.

    Attributes:
        accuracies: One of each fold and repeat.
        interval: Of their mean, at 95 %.
        chosen: Labels of the points that were chosen, with how often.
    """

    accuracies: Sequence[float]
    interval: Interval
    chosen: dict[str, int]


@dataclass(frozen=True)
class Scored:
    """A cross-validated row with its held-out accuracies, one of each training.

    Attributes:
        standing: Beside the row that stands first on held-out images; none of a single row.
        num_images: That were held out from any of its trainings.
    """

    row: RowFacts
    accuracies: Sequence[float]
    standing: Standing | None
    num_images: int

    @property
    def mean(self) -> float:
        return fmean(self.accuracies)

    @property
    def interval(self) -> Interval:
        """Of that, at 95 %."""
        return cross_validated(self.accuracies, held_share(self.row.runs), self.num_images)


def scored(context: Context, stage: StageFacts) -> list[Scored]:
    """The finished rows of a stage with folds, the highest held-out accuracy first.

    Those that halving cut earlier than the winner are no rivals of it.
    """
    rows = [row for row in stage.ranked if row.row.is_done and not row.broken]
    if not stage.is_folded or not rows:
        return []
    rows = [row for row in rows if row.row.until == rows[0].row.until]
    epoch = context.epoch
    accuracies = [held(row, epoch) for row in rows]
    found: list[Standing | None] = [None] * len(rows)
    if len(rows) > 1:
        right_PN = [
            shares([context.study.held_answers(run, epoch) for run in row.runs]).shares_N
            for row in rows
        ]
        found = [*fold_standings(accuracies, right_PN, held_share(rows[0].runs))]
    answer = [
        Scored(row, own, standing, num_held(row.runs))
        for row, own, standing in zip(rows, accuracies, found, strict=True)
    ]
    return sorted(answer, key=lambda each: -each.mean)


def folds(context: Context, stage: StageFacts) -> list[Block]:
    """A table of held-out accuracies, and what choosing cost; nothing of a stage without folds."""
    epoch = context.epoch
    rows = scored(context, stage)
    if not rows:
        return []
    first = rows[0].row
    held_out = first.runs[0].metrics["last"]["held"]["total"]
    num_fitted = first.runs[0].metrics["num_train"]
    table = Table(
        f"table-folds-{stage.name}",
        [
            (
                f"Cross-validation: {plural(len(first.runs), 'training')} of each point "
                f"({first.trainings}), each judged on the {count(held_out)} images of a fold that "
                f"it was not fitted, stopped or chosen by. Fitted were {count(num_fitted)} images."
            )
        ],
        [
            Column("point", is_number=False),
            Column("trainings"),
            Column("accuracy", "held out"),
            Column("95 % interval", "held out"),
            Column("behind the first, points", "held out"),
            Column("95 % interval", "of that"),
            Column("accuracy", "validation, for choosing"),
        ],
        [_row(each, epoch, is_first=each is rows[0]) for each in rows],
        notes=[
            [
                (
                    "± is the standard deviation between trainings, which differ in the images "
                    "that they were fitted to and judged on: folds are no seeds. A stage without "
                    "folds fits more images, so its accuracies are no match. Intervals are "
                    "corrected for the images that the trainings share (Nadeau and Bengio), and "
                    "never narrower than those of the images alone; they "
                    "cover the choice of training and held-out images and what chance does to "
                    "a training. Differences are paired fold by fold; “≈” marks points that "
                    "cannot be told from the first by them (one-sided, at 5 %, all points allowed "
                    "for)."
                )
            ]
        ],
        command=context.command(stage.name),
        is_sortable=len(rows) > 1,
    )
    blocks: list[Block] = [table]
    ranked = sorted((each.row for each in rows), key=lambda row: row.rank or 0)
    found = nested(ranked, epoch)
    if found is not None:
        blocks.append(Paragraph([_words(ranked[0], found, epoch)]))
    return blocks


def nested(rows: Sequence[RowFacts], epoch: Epoch) -> Nested | None:
    """In each fold the best point by its validation images, scored on the held-out ones.

    None where there is nothing to choose between.
    """
    if len(rows) < 2:
        return None
    scores, chosen = [], []
    for runs in zip(*(row.row.runs for row in rows), strict=True):
        best = max(range(len(rows)), key=lambda i: runs[i].metrics[epoch]["val"]["correct"])
        scores.append(float(runs[best].metrics[epoch]["held"]["accuracy"]))
        chosen.append(rows[best].label)
    share = held_share(rows[0].runs)
    how_often = {label: chosen.count(label) for label in dict.fromkeys(chosen)}
    interval = cross_validated(scores, share, num_held(rows[0].runs))
    return Nested(scores, interval, how_often)


def held(row: RowFacts, epoch: Epoch) -> list[float]:
    """Held-out accuracies of a row's trainings."""
    return [float(run.metrics[epoch]["held"]["accuracy"]) for run in row.runs]


def _row(scored: Scored, epoch: Epoch, *, is_first: bool) -> TableRow:
    accuracies, standing = scored.accuracies, scored.standing
    low, high = scored.interval
    chosen_by = scored.row.mean(epoch, "val", "accuracy")
    behind, doubt = Cell(NONE), Cell(NONE)
    if standing is not None and not is_first:
        half = standing.standard_error * t_quantile(0.975, len(accuracies) - 1)
        behind = Cell(points(-standing.difference), -standing.difference)
        ends = -standing.difference - half, -standing.difference + half
        doubt = Cell(f"{bound(ends[0])} to {bound(ends[1])}")
    is_tied = standing is not None and standing.may_be_best and not is_first
    return TableRow(
        [
            Cell(f"{scored.row.label}{' ≈' if is_tied else ''}"),
            Cell(scored.row.trainings, len(accuracies)),
            Cell(spread(scored.mean, stdev(accuracies)), scored.mean, is_strong=is_first),
            Cell(f"{proportion(low)}–{proportion(high)}", low),
            behind,
            doubt,
            Cell(proportion(chosen_by), chosen_by),
        ]
    )


def _words(first: RowFacts, found: Nested, epoch: Epoch) -> str:
    mean, chosen_by = fmean(found.accuracies), first.mean(epoch, "val", "accuracy") or 0.0
    names = ", ".join(f"{label} {times(number)}" for label, number in found.chosen.items())
    return (
        "The whole procedure, choosing included (nested): the point that stands first on the "
        f"validation images of a fold’s training part reaches {proportion(mean)} on the fold "
        f"itself (95\u00a0% interval {proportion(found.interval.low)} to "
        f"{proportion(found.interval.high)}). The winner’s own validation figure is "
        f"{proportion(chosen_by)}, {size(chosen_by - mean)} points "
        f"{'more' if chosen_by >= mean else 'less'}. Chosen: {names}."
    )
