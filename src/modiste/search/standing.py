"""How the rows of a stage stand beside the first one, with the doubt of images and of seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.evaluate.best import Standing, accuracy_interval, standings
from modiste.evaluate.contrast import Pooled, pooled
from modiste.evaluate.intervals import (
    BoolsSN,
    Difference,
    Interval,
    paired_difference,
    standard_error,
)
from modiste.runs.run import Epoch, Run
from modiste.search.row import Row
from modiste.spec.parts import ModelFamily

if TYPE_CHECKING:
    from modiste.search.answers import Answers
    from modiste.search.study import Stage

# Degrees of freedom below which the seeds of one family say too little of their own spread.
FEW_DEGREES = 4
ALL_FAMILIES = ""


class Stood(NamedTuple):
    """A row that is whole.

    Attributes:
        interval: Of its accuracy at the epoch that ranks, at 95 %.
        standing: Beside the stage's first row; none if it answered other images, or was trained
            to another length, as halving does.
    """

    interval: Interval
    standing: Standing | None


def standing(
    stage: Stage,
    epoch: Epoch,
    answers: Callable[[Run, Epoch], Answers],
    seeds: Pooled | None,
) -> dict[int, Stood]:
    """Every row that is finished and did not break, by its id; reads their predictions."""
    ranked = stage.ranked(epoch)
    right = {id(row): _Right.of(row, epoch, answers) for row in stage.rows if _is_whole(row)}
    compared = [row for row in ranked if id(row) in right and row.until == ranked[0].until]
    beside = _standings(compared, right, seeds)
    return {
        name: Stood(accuracy_interval(found.right_SN, seeds), beside.get(name))
        for name, found in right.items()
    }


def spread_for(stage: Stage, spreads: Mapping[str, Pooled]) -> Pooled | None:
    """What `seed_spreads` says of the rows of a stage; none if no seed moves any of them."""
    if not any(isinstance(row.specs[0].model.params, ModelFamily) for row in stage.rows):
        return None  # what is fitted in one go comes out the same for each seed
    families = {row.specs[0].model.family for row in stage.rows}
    return spreads.get(families.pop() if len(families) == 1 else ALL_FAMILIES)


class _Right(NamedTuple):
    """Which images each run of a row got right."""

    ids_N: npt.NDArray[np.int64]
    right_SN: BoolsSN

    @classmethod
    def of(cls, row: Row, epoch: Epoch, answers: Callable[[Run, Epoch], Answers]) -> _Right:
        found = [answers(run, epoch) for run in row.runs]
        return cls(found[0].image_ids_N, is_right(found))


def _is_whole(row: Row) -> bool:
    return row.is_done and all(run.metrics["status"] == "finished" for run in row.runs)


def _standings(
    compared: Sequence[Row], right: Mapping[int, _Right], seeds: Pooled | None
) -> dict[int, Standing]:
    """Of each row that answered the same images as the first; by the row's id."""
    if not compared:
        return {}
    ids_N = right[id(compared[0])].ids_N
    alike = [id(row) for row in compared if np.array_equal(ids_N, right[id(row)].ids_N)]
    return dict(zip(alike, standings([right[i].right_SN for i in alike], seeds), strict=True))


def seed_spreads(stages: Sequence[Stage], epoch: Epoch) -> dict[str, Pooled]:
    """How much a seed moves the validation accuracy, by family, from every repeated point.

    A family that was hardly repeated takes the spread of all of them together. What is fitted in
    one go comes out the same for each seed, and says nothing of that; nor does a run that was cut,
    of those that were not.
    """
    rows = list({row.fingerprints: row for stage in stages for row in stage.rows}.values())
    values = _by_family([row for row in rows if row.until is None], epoch)
    everything = pooled([each for family in values.values() for each in family])
    if everything is None:  # so far, halving let none of the repeated ones up to the end
        values = _by_family(rows, epoch)
        everything = pooled([each for family in values.values() for each in family])
    if everything is None:
        return {}
    own = {family: pooled(each) for family, each in values.items()}
    return {
        ALL_FAMILIES: everything,
        **{
            family: spread if spread is not None and spread.degrees >= FEW_DEGREES else everything
            for family, spread in own.items()
        },
    }


def _by_family(rows: Sequence[Row], epoch: Epoch) -> dict[str, list[list[float]]]:
    """Validation accuracies of each row's seeds that ended well, by family; of nets only."""
    values: dict[str, list[list[float]]] = {}
    for row in rows:
        if isinstance(row.specs[0].model.params, ModelFamily):
            runs = [run for run in row.runs if run.metrics["status"] == "finished"]
            accuracies = [run.metrics[epoch]["val"]["accuracy"] for run in runs]
            values.setdefault(row.specs[0].model.family, []).append(accuracies)
    return values


def lead_over(
    one: Row, two: Row, epoch: Epoch, answers: Callable[[Run, Epoch], Answers]
) -> Difference | None:
    """Accuracy of one row less that of another, on validation images; none if either broke.

    Paired where both answered the same images; otherwise as of two independent samples.
    """
    if any(run.metrics["status"] != "finished" for row in (one, two) for run in row.runs):
        return None
    first, second = ([answers(run, epoch) for run in row.runs] for row in (one, two))
    ids = [found.image_ids_N for found in (*first, *second)]
    if all(np.array_equal(ids[0], other) for other in ids[1:]):
        return paired_difference(is_right(first), is_right(second))
    means = [row.mean(epoch, "val", "accuracy") for row in (one, two)]
    errors = [
        standard_error(value, row.runs[0].metrics[epoch]["val"]["total"])
        for value, row in zip(means, (one, two), strict=True)
    ]
    return Difference(means[0] - means[1], math.hypot(*errors))


def is_right(found: Sequence[Answers]) -> BoolsSN:
    """Which validation images each run of a row got right."""
    return np.stack([answers.classes_N == answers.labels_N for answers in found])
