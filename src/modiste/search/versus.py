"""Two studies side by side: the points they have in common, and how far their rankings agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modiste.evaluate.contrast import Contrast, Seeds, contrast
from modiste.evaluate.rank_agreement import RankAgreement, rank_agreement
from modiste.runs.run import Epoch
from modiste.search.answers import Answers
from modiste.search.row import Row
from modiste.search.standing import SeedSpreads, is_right, seed_spreads, seeds_of
from modiste.search.study import Stage, Study
from modiste.spec.space import identity


@dataclass(frozen=True)
class Pair:
    """A point that both studies have finished.

    Attributes:
        label: As the first study has it.
        same: Runs of the second that are runs of the first, too: equal fingerprints.
        contrast: Accuracy in the first, in the second, and the difference with its interval; of
            runs that are all the same, none.
    """

    label: str
    same: int
    contrast: Contrast


@dataclass(frozen=True)
class StagePair:
    """A stage that both studies have.

    Attributes:
        pairs: Points in common, in the order of the first study's ranking.
        agreement: Of the two rankings of these points; none if there are too few.
        winners: The first row of each, if there is one.
        num_alone: Finished points that only the first has, and only the second.
    """

    name: str
    pairs: tuple[Pair, ...]
    agreement: RankAgreement | None
    winners: tuple[str | None, str | None]
    num_alone: tuple[int, int]


@dataclass(frozen=True)
class Versus:
    """Two studies side by side.

    Attributes:
        differs: Keys of `study.json` that are not the same, each with both values.
        stages: Those that both have.
        only: Names of stages that only the first has, and only the second.
    """

    differs: dict[str, tuple[object, object]]
    stages: tuple[StagePair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]


def versus(one: Study, two: Study) -> Versus:
    """Put two studies side by side.

    Raises:
        StoreError: If a run cannot be read.
    """
    keys = ("name", "profile", "seed", "data_digest", "versions")
    pairs = {key: (getattr(one, key), getattr(two, key)) for key in keys}
    pairs["rank_epoch"] = one.spec.rank_epoch, two.spec.rank_epoch
    mine, theirs = one.stages(), two.stages()
    names = [stage.spec.name for stage in mine], [stage.spec.name for stage in theirs]
    spreads = seed_spreads([*mine, *theirs], one.spec.rank_epoch)
    stages = [
        _stages(one, two, stage, theirs[names[1].index(stage.spec.name)], spreads)
        for stage in mine
        if stage.spec.name in names[1]
    ]
    return Versus(
        {key: pair for key, pair in pairs.items() if pair[0] != pair[1]},
        tuple(stages),
        (
            tuple(name for name in names[0] if name not in names[1]),
            tuple(name for name in names[1] if name not in names[0]),
        ),
    )


def _stages(one: Study, two: Study, mine: Stage, theirs: Stage, spreads: SeedSpreads) -> StagePair:
    epochs = one.spec.rank_epoch, two.spec.rank_epoch
    ours, others = (_good(s, e) for s, e in zip((mine, theirs), epochs, strict=True))
    known = {_name(row): row for row in others}
    rows = [(row, known[_name(row)]) for row in ours if _name(row) in known]
    name = mine.spec.name
    first = [row.mean(epochs[0], "val", "accuracy") for row, _ in rows]
    second = [row.mean(epochs[1], "val", "accuracy") for _, row in rows]
    return StagePair(
        mine.spec.name,
        tuple(
            _pair(one, two, pair, epochs, [seeds_of(row, spreads.of(name, row)) for row in pair])
            for pair in rows
        ),
        rank_agreement(first, second),
        (ours[0].label if ours else None, others[0].label if others else None),
        (len(ours) - len(rows), len(others) - len(rows)),
    )


def contrast_of(study: Study, one: Row, two: Row, seeds: Sequence[Seeds]) -> Contrast:
    """Accuracy of one finished row of a study less that of another, with its interval.

    Args:
        study: Whose rows.
        one: A row.
        two: Another one.
        seeds: How much a seed moves each of them.
    """
    epochs = study.spec.rank_epoch, study.spec.rank_epoch
    return _pair(study, study, (one, two), epochs, seeds).contrast


def _good(stage: Stage, epoch: Epoch) -> list[Row]:
    return [
        row
        for row in stage.ranked(epoch)
        if not math.isnan(row.mean(epoch, "val", "accuracy")) and row.until is None
    ]


def _name(row: Row) -> str:
    return identity(row.settings) if row.settings else row.label


def _pair(
    one: Study,
    two: Study,
    rows: tuple[Row, Row],
    epochs: tuple[Epoch, Epoch],
    seeds: Sequence[Seeds],
) -> Pair:
    figures = [
        [run.metrics[epoch]["val"]["accuracy"] for run in row.runs]
        for row, epoch in zip(rows, epochs, strict=True)
    ]
    same = len(set(rows[0].fingerprints) & set(rows[1].fingerprints))
    if same == len(rows[0].fingerprints) == len(rows[1].fingerprints):
        found = contrast([figures[0]], [figures[1]], None)
    else:
        answers = [
            [study.answers(run, epoch) for run in row.runs]
            for study, row, epoch in zip((one, two), rows, epochs, strict=True)
        ]
        (ids_N, first_N), (others_N, second_N) = map(_shares, answers)
        if one.data_digest == two.data_digest and np.array_equal(ids_N, others_N):
            found = contrast([figures[0]], [figures[1]], seeds, first_N - second_N)
        else:  # images that are in both make the difference surer than this says
            found = contrast([figures[0]], [figures[1]], seeds, image_shares=(first_N, second_N))
    return Pair(rows[0].label, same, found)


def _shares(
    side: Sequence[Answers],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Ids of images, and for each the share of seeds that got it right; folds one after another."""
    ids = [answers.image_ids_N for answers in side]
    if all(np.array_equal(ids[0], each_N) for each_N in ids):
        return ids[0], is_right(side).mean(axis=0)
    right = [is_right([answers])[0].astype(np.float64) for answers in side]
    return np.concatenate(ids), np.concatenate(right)
