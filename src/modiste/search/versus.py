"""Two studies side by side: the points they have in common, and how far their rankings agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modiste.evaluate.contrast import Contrast, Seeds, contrast
from modiste.evaluate.crossval import fold_difference
from modiste.evaluate.rank_agreement import RankAgreement, rank_agreement
from modiste.runs.run import Epoch
from modiste.search.answers import Answers
from modiste.search.row import Row
from modiste.search.standing import SeedSpreads, is_folded, seed_spreads, seeds_of, shares
from modiste.search.study import Stage, Study
from modiste.spec.space import identity


@dataclass(frozen=True)
class Pair:
    """A point that both studies have finished.

    Attributes:
        label: As the first study has it.
        same: Runs of the second that are runs of the first, too: equal fingerprints.
        contrast: Accuracy in the first, in the second, and the difference with its interval; of
            runs that are all the same, none. Of cross-validated points the interval is that of
            `fold_difference`, whose error is not told apart; none where their divisions differ.
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
    mine, theirs = one.stages(), two.stages()
    names = [stage.spec.name for stage in mine], [stage.spec.name for stage in theirs]
    pairs["rank_epoch"] = epochs = one.spec.rank_epoch, two.spec.rank_epoch
    # Trainings on other images, and figures of other epochs, scatter otherwise.
    is_alike = one.data_digest == two.data_digest and epochs[0] == epochs[1]
    spreads = (
        seed_spreads(mine, epochs[0], theirs if is_alike else (), studies=(one, two)),
        seed_spreads(theirs, epochs[1], mine if is_alike else (), studies=(two, one)),
    )
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


def _stages(
    one: Study, two: Study, mine: Stage, theirs: Stage, spreads: tuple[SeedSpreads, SeedSpreads]
) -> StagePair:
    epochs = one.spec.rank_epoch, two.spec.rank_epoch
    ours, others = (_good(s, e) for s, e in zip((mine, theirs), epochs, strict=True))
    known = {_name(row): row for row in others}
    rows = [(row, known[_name(row)]) for row in ours if _name(row) in known]
    first = [row.mean(epochs[0], "val", "accuracy") for row, _ in rows]
    second = [row.mean(epochs[1], "val", "accuracy") for _, row in rows]
    name = mine.spec.name

    def compared(pair: tuple[Row, Row]) -> Pair:
        def seeds() -> list[Seeds]:
            both = zip(pair, spreads, strict=True)
            return [seeds_of(row, own.of(name, row)) for row, own in both]

        return _pair(one, two, pair, epochs, seeds)

    return StagePair(
        name,
        tuple(compared(pair) for pair in rows),
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
    return _pair(study, study, (one, two), epochs, lambda: seeds).contrast


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
    seeds: Callable[[], Sequence[Seeds]],
) -> Pair:
    """`seeds` says how much a seed moves each row; it is asked only where there is an interval."""
    figures = [
        [run.metrics[epoch]["val"]["accuracy"] for run in row.runs]
        for row, epoch in zip(rows, epochs, strict=True)
    ]
    same = len(set(rows[0].fingerprints) & set(rows[1].fingerprints))
    if same == len(rows[0].fingerprints) == len(rows[1].fingerprints):
        return Pair(rows[0].label, same, contrast([figures[0]], [figures[1]], None))
    answers = [
        [study.answers(run, epoch) for run in row.runs]
        for study, row, epoch in zip((one, two), rows, epochs, strict=True)
    ]
    first, second = map(shares, answers)
    is_same_data = one.data_digest == two.data_digest
    if any(map(is_folded, rows)):
        found = contrast([figures[0]], [figures[1]], None)
        if is_same_data and _are_paired(*answers):
            differences_N = first.shares_N - second.shares_N
            ratio = _share_left_out(rows[0])
            low, high = fold_difference(figures[0], figures[1], differences_N, ratio)
            found = replace(found, low=low, high=high)
    elif is_same_data and np.array_equal(first.ids_N, second.ids_N):
        differences_N = first.shares_N - second.shares_N
        found = contrast([figures[0]], [figures[1]], seeds(), differences_N)
    else:  # images that are in both make the difference surer than this says
        own = first.shares_N, second.shares_N
        found = contrast([figures[0]], [figures[1]], seeds(), image_shares=own)
    return Pair(rows[0].label, same, found)


def _are_paired(one: Sequence[Answers], two: Sequence[Answers]) -> bool:
    """Whether two rows are as many trainings, each of which answered the images of the other's."""
    return 1 < len(one) == len(two) and all(
        np.array_equal(mine.image_ids_N, theirs.image_ids_N)
        for mine, theirs in zip(one, two, strict=True)
    )


def _share_left_out(row: Row) -> float:
    """Validation images over those that a training was fitted to."""
    metrics = row.runs[0].metrics
    return float(metrics["num_val"] / metrics["num_train"])
