"""Several runs as one model: the seeds of each final model, and all final models together."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modiste.evaluate.ensemble import Ensemble, evaluate_together
from modiste.evaluate.intervals import Difference, difference_interval
from modiste.evaluate.summary import Figure, Summary
from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Heading,
    Inline,
    Paragraph,
    Table,
    TableRow,
    Words,
)
from modiste.report.cells import full_name
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import NONE, between, bound, count, listing, plural, points, proportion
from modiste.report.quality import FEW_WRONG
from modiste.report.saved import IntsN, Part, Said, said
from modiste.runs.run import Epoch, Run

_FIGURES = ("accuracy", "loss", "brier", "calibration_error")
_Member = tuple[StageFacts, RowFacts]


@dataclass(frozen=True)
class Group:
    """Runs that are averaged.

    Attributes:
        label: What they are together.
        part: Whose images all of them answered.
        stages: They belong to.
        runs: With the name of each.
        found: What came of it.
    """

    label: str
    part: Part
    stages: tuple[str, ...]
    runs: Sequence[tuple[str, Run]]
    found: Ensemble


def ensembles(context: Context) -> list[Block]:
    """A table and what it says; nothing where no two runs of final models kept their logits."""
    groups, left_out = grouped(context)
    if not groups:
        return []
    return [
        Heading("Runs together", "together"),
        Paragraph(_words(groups)),
        *([Paragraph([_left_out(left_out)], "note")] if left_out else []),
        _table(context, groups),
    ]


def grouped(context: Context) -> tuple[list[Group], list[str]]:
    """The seeds of each final model, then all final models; and who has no part in it, and why."""
    members: list[_Member] = []
    left_out = []
    for stage, row in context.detailed:
        if why := _why_not(context, row):
            left_out.append(f"{full_name(stage, row)} ({why})")
        else:
            members.append((stage, row))
    wanted = [
        (f"{full_name(*pair)}, {plural(len(pair[1].runs), 'seed')}", [pair])
        for pair in members
        if len(pair[1].runs) > 1
    ]
    if len(members) > 1:
        num_runs = sum(len(row.runs) for _, row in members)
        wanted.append(
            (f"all {count(len(members))} final models, {plural(num_runs, 'run')}", members)
        )
    groups = []
    for label, pairs in wanted:
        group = _group(context, label, pairs)
        if group is None:
            left_out.append(f"{label} (they did not answer the same images)")
        else:
            groups.append(group)
    return groups, left_out


def best_single(runs: Sequence[Run], epoch: Epoch) -> int:
    """Which of several runs is the best by validation accuracy, then by validation loss.

    Args:
        runs: With probabilities, measured on the same validation images.
        epoch: Whose figures.
    """
    scores = [run.metrics[epoch]["val"] for run in runs]
    return min(
        range(len(runs)), key=lambda index: (-scores[index]["accuracy"], scores[index]["loss"])
    )


def _why_not(context: Context, row: RowFacts) -> str:
    """Why the seeds of a row cannot be averaged, in a few words; empty if they can."""
    if not row.row.is_done or row.broken:
        return "not finished"
    if any(run.metrics[context.epoch]["val"]["loss"] is None for run in row.runs):
        return "its scores are no probabilities"
    if _complete(context, row, "validation") is None and _complete(context, row, "test") is None:
        return "its logits were not kept"
    return ""


def _complete(context: Context, row: RowFacts, part: Part) -> Said | None:
    """The answers of all seeds to images of that part; none if the logits of one are missing."""
    found = said(context, row, part)
    return found if found is not None and len(found.logits) == len(row.runs) else None


def _group(context: Context, label: str, members: Sequence[_Member]) -> Group | None:
    """Evaluated on test images if all of them were shown those; none if no images are common.

    Those that the best single one is picked by have to be common as well.
    """
    part: Part = "test"
    answers = [_complete(context, row, part) for _, row in members]
    if None in answers:
        part = "validation"
        answers = [_complete(context, row, part) for _, row in members]
    found = [each for each in answers if each is not None]
    runs = [
        (f"{full_name(stage, row)}, seed {run.spec.seed}", run)
        for stage, row in members
        for run in row.runs
    ]
    chosen_by = [
        context.study.answers(run, context.epoch).image_ids_N
        for _, run in runs
        if context.study.has_answers(run)
    ]
    are_common = _are_equal([each.image_ids_N for each in found]) and _are_equal(chosen_by)
    if len(found) < len(members) or not are_common:
        return None
    logits = [each for one in found for each in one.logits.values()]
    best = best_single([run for _, run in runs], context.epoch)
    stages = tuple(stage.name for stage, _ in members)
    ensemble = evaluate_together(logits, found[0].labels_N, best)
    return Group(label, part, stages, runs, ensemble)


def _are_equal(ids: Sequence[IntsN]) -> bool:
    return all(np.array_equal(ids[0], other) for other in ids[1:])


def _words(groups: Sequence[Group]) -> list[Inline]:
    words = (
        "The mean of the probabilities of several runs is a model of its own, at the cost of all "
        "of them."
    )
    for group in groups:
        ours, single = group.found.figures, group.found.best_figures
        over_best, over_mean = group.found.over_best.accuracy, group.found.over_mean.accuracy
        words += (
            f" {group.label[0].upper()}{group.label[1:]}: an accuracy of "
            f"{proportion(ours.accuracy.value)} on {group.part} images, {points(over_best.mean)} "
            f"points against the best single one (95\u00a0% interval {_between(over_best)}: "
            f"{_verdict(over_best)}) and {points(over_mean.mean)} against one of them in the mean "
            f"({_between(over_mean)}); a cross-entropy of {proportion(ours.loss.value)} in place "
            f"of the best single one’s {proportion(single.loss.value)}."
        )
    return [words]


def _verdict(found: Difference) -> str:
    low, high = difference_interval(found)
    if low > 0:
        return "more than the choice of images explains"
    return "it loses right answers" if high < 0 else "these images cannot tell the two apart"


def _left_out(names: Sequence[str]) -> str:
    return f"Without {listing(names)}."


def _table(context: Context, groups: Sequence[Group]) -> Table:
    rows = []
    for group in groups:
        best_name = group.runs[group.found.best][0]
        rows.append(
            TableRow([Cell(group.label), *_cells(group, group.found.figures), *_added(group)])
        )
        single = [Cell(best_name, note="the best single one"), Cell(group.part), Cell("1")]
        rows.append(
            TableRow(
                [*single, *_figures(group.found.best_figures), *[Cell(NONE)] * 3], is_muted=True
            )
        )
    notes: list[Words] = [
        [
            (
                "Below each figure its 95 % interval for the choice of images; those of what is "
                "added are paired. The runs are taken as they are: other seeds would give another "
                "mean. Less is better for cross-entropy and Brier score. The best single one is "
                "that of the highest validation accuracy; on validation images it was picked by "
                "these very images, so what is added to it is understated."
            )
        ]
    ]
    shown = [each for group in groups for each in (group.found.figures, group.found.best_figures)]
    if any(getattr(each, key).interval is None for each in shown for key in _FIGURES):
        notes.append([f"{NONE} in place of an interval: {FEW_WRONG}"])
    if any(group.part == "test" for group in groups):
        notes.append(
            [
                (
                    "Test figures are of answers that a look stored (see above); averaging them "
                    "opened nothing. To pick an ensemble by them would be to choose by test images."
                )
            ]
        )
    return Table(
        "table-together",
        ["Several runs as one model, by the mean of their probabilities."],
        [
            Column("model", is_number=False),
            Column("images", is_number=False),
            Column("runs"),
            Column("accuracy"),
            Column("cross-entropy, nats"),
            Column("Brier score"),
            Column("calibration error"),
            Column("accuracy, points", "added to the best single one"),
            Column("cross-entropy", "added to the best single one"),
            Column("Brier score", "added to the best single one"),
        ],
        rows,
        notes=notes,
        command="\n".join(map(_command, groups)),
    )


def _command(group: Group) -> str:
    """Of one group, for the folder of the report."""
    return shlex.join(
        ["modiste", "evaluate", ".", "--together", "--stages", ",".join(group.stages)]
    )


def _cells(group: Group, figures: Summary) -> list[Cell]:
    return [Cell(group.part), Cell(count(len(group.runs))), *_figures(figures)]


def _figures(figures: Summary) -> list[Cell]:
    return [_figure(getattr(figures, key)) for key in _FIGURES]


def _figure(figure: Figure) -> Cell:
    return Cell(proportion(figure.value), figure.value, note=between(figure.interval))


def _added(group: Group) -> list[Cell]:
    gain = group.found.over_best
    return [
        Cell(points(gain.accuracy.mean), gain.accuracy.mean, note=_between(gain.accuracy)),
        *(
            Cell(_loss(found.mean), found.mean, note=_between_losses(found))
            for found in (gain.loss, gain.brier)
        ),
    ]


def _between(found: Difference) -> str:
    low, high = difference_interval(found)
    return f"{bound(low)} to {bound(high)}"


def _between_losses(found: Difference) -> str:
    if math.isnan(found.mean):
        return ""
    low, high = difference_interval(found)
    return f"{_loss(low)} to {_loss(high)}"


def _loss(difference: float) -> str:
    """A difference of losses or Brier scores, with its sign; a dash if a loss is infinite."""
    if math.isnan(difference):
        return NONE
    text = f"{abs(difference):.4f}"
    if float(text) == 0:
        return text
    return f"{'+' if difference > 0 else '−'}{text}"
