"""Cross-validation in the report: what each point reached on images held out from everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from modiste.evaluate.crossval import cross_validated
from modiste.evaluate.intervals import Interval
from modiste.report.blocks import Block, Cell, Column, Paragraph, Table, TableRow
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import count, plural, proportion, size, spread
from modiste.runs.run import Epoch, Run


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


def folds(context: Context, stage: StageFacts) -> list[Block]:
    """A table of held-out accuracies, and what choosing cost; nothing of a stage without folds."""
    rows = [row for row in stage.ranked if row.row.is_done and not row.broken]
    if stage.stage.spec.folds is None or not rows:
        return []
    epoch = context.epoch
    table = Table(
        f"table-folds-{stage.name}",
        [
            (
                f"Cross-validation: {plural(len(rows[0].runs), 'training')} of each point, each "
                "judged on the images of a fold that it was not fitted, stopped or chosen by."
            )
        ],
        [
            Column("point", is_number=False),
            Column("trainings"),
            Column("accuracy", "held out"),
            Column("95 % interval", "held out"),
            Column("accuracy", "validation, for choosing"),
        ],
        [_row(row, epoch) for row in rows],
        notes=[
            [
                (
                    "± is the standard deviation between trainings. The interval is corrected for "
                    "the images that the trainings share (Nadeau and Bengio); it covers the "
                    "choice of training and held-out images and of seeds."
                )
            ]
        ],
        command=context.command(stage.name),
        is_sortable=len(rows) > 1,
    )
    blocks: list[Block] = [table]
    found = nested(rows, epoch)
    if found is not None:
        blocks.append(Paragraph([_words(rows[0], found, epoch)]))
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
    share = _share(rows[0].runs)
    times = {label: chosen.count(label) for label in dict.fromkeys(chosen)}
    return Nested(scores, cross_validated(scores, share), times)


def held(row: RowFacts, epoch: Epoch) -> list[float]:
    """Held-out accuracies of a row's trainings."""
    return [float(run.metrics[epoch]["held"]["accuracy"]) for run in row.runs]


def _row(row: RowFacts, epoch: Epoch) -> TableRow:
    accuracies = held(row, epoch)
    low, high = cross_validated(accuracies, _share(row.runs))
    chosen_by = row.mean(epoch, "val", "accuracy")
    return TableRow(
        [
            Cell(row.label),
            Cell(count(len(accuracies)), len(accuracies)),
            Cell(spread(fmean(accuracies), stdev(accuracies)), fmean(accuracies)),
            Cell(f"{proportion(low)}–{proportion(high)}", low),
            Cell(proportion(chosen_by), chosen_by),
        ]
    )


def _share(runs: Sequence[Run]) -> float:
    """Held-out images over those that a training was fitted to."""
    metrics = runs[0].metrics
    return float(metrics["last"]["held"]["total"] / metrics["num_train"])


def _words(first: RowFacts, found: Nested, epoch: Epoch) -> str:
    mean, chosen_by = fmean(found.accuracies), first.mean(epoch, "val", "accuracy") or 0.0
    names = ", ".join(f"{label} {times} times" for label, times in found.chosen.items())
    return (
        "The whole procedure, choosing included (nested): the point that stands first on the "
        f"validation images of a fold’s training part reaches {proportion(mean)} on the fold "
        f"itself (95\u00a0% interval {proportion(found.interval.low)} to "
        f"{proportion(found.interval.high)}). The winner’s own validation figure is "
        f"{proportion(chosen_by)}, {size(chosen_by - mean)} points "
        f"{'more' if chosen_by >= mean else 'less'}. Chosen: {names}."
    )
