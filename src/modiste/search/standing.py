"""How the rows of a stage stand beside the first one, with the doubt of images and of seeds.

Whose seeds say how much a seed moves a row is decided here, for tables, ties and claims alike;
docs/decisions/0042-whose-seeds.md says why so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.evaluate.best import Standing, accuracy_interval, standings
from modiste.evaluate.contrast import UNMOVED, Pooled, Seeds, alike, image_scatter, pooled
from modiste.evaluate.doubt import of_accuracy
from modiste.evaluate.intervals import (
    BoolsSN,
    Difference,
    Interval,
    paired_difference,
)
from modiste.runs.run import Epoch, Run
from modiste.search.row import Row
from modiste.spec.parts import ModelFamily

if TYPE_CHECKING:
    from modiste.search.answers import Answers
    from modiste.search.study import Stage, Study

# Degrees of freedom from which on the repeats of a stage alone say how far its seeds lie apart.
FEW_DEGREES = 4

Value = Callable[[Run], float | None]
# What a run said of each validation image; none where that was not kept.
Said = Callable[[Run], "Answers | None"]


@dataclass(frozen=True)
class SeedSpread:
    """How much a seed moves a figure of a row, and by which trainings that is known.

    Attributes:
        pooled: The variance, with its degrees of freedom.
        basis: The repeated points of the row's stage, those of its family in the whole study, or
            the row's own seeds alone, because they scatter more than those of others.
        num_points: Repeated points behind it.
        stages: Of the study, whose repeated points it was found among.
    """

    pooled: Pooled
    basis: Literal["stage", "family", "row"]
    num_points: int
    stages: tuple[str, ...] = field(default=(), compare=False)

    @property
    def num_runs(self) -> int:
        """Trainings of those points: one more than degrees of freedom for each."""
        return self.pooled.degrees + self.num_points


class _Repeated(NamedTuple):
    """A point that was trained more than once, with the figure of each run by its fingerprint.

    `stage` is none of a point of another study; `step` lies between two neighbouring figures.
    """

    stage: str | None
    values: dict[str, float]
    step: float


class SeedSpreads:
    """How much a seed moves a figure, for every row of a study.

    Args:
        stages: Of the study.
        value: The figure of a run; none where it has none.
        others: Stages of another study on the same data. Their points are as comparable as those
            of this one; none of them is a stage of this one, whatever its name.
        step: What lies between two neighbouring figures of a run, as `contrast.pooled` takes it.
        said: Where the accuracy of those answers is in the figure: what a run said. It is read of
            each repeated run once, when a row is first asked for that these runs speak for. What
            differs by image and seed is counted twice without it, and where of any of these runs
            it was not kept: intervals are wider than need be, then.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        value: Value,
        others: Sequence[Stage] = (),
        *,
        step: Callable[[Run], float],
        said: Said | None = None,
    ) -> None:
        self._repeated: dict[str, list[_Repeated]] = {}
        self._said = said
        self._runs: dict[str, Run] = {}
        self._scatters: dict[frozenset[str], float | None] = {}
        own = [(stage, stage.spec.name) for stage in stages]
        for stage, name in [*own, *((stage, None) for stage in others)]:
            for row in stage.rows:
                if not moves_by_seed(row) or is_folded(row):
                    continue
                runs = [run for run in row.runs if run.metrics["status"] == "finished"]
                values = {
                    run.fingerprint: found for run in runs if (found := value(run)) is not None
                }
                if len(values) > 1:
                    self._runs.update({run.fingerprint: run for run in runs})
                    repeated = _Repeated(name, values, step(runs[0]))
                    self._repeated.setdefault(_comparable(row), []).append(repeated)

    def of(self, stage: str, row: Row) -> SeedSpread | None:
        """What is known of one row of that stage; none if no comparable point was repeated.

        A model that is fitted in one go has none either, since no seed moves it.
        """
        if not moves_by_seed(row) or is_folded(row):
            return None
        all_alike = self._repeated.get(_comparable(row), [])
        own_stage = [point for point in all_alike if point.stage == stage]
        found = self._pool(own_stage, "stage", row)
        if found is None or (found.basis == "stage" and found.pooled.degrees < FEW_DEGREES):
            return self._pool(all_alike, "family", row)
        return found

    def _pool(
        self, repeated: Sequence[_Repeated], basis: Literal["stage", "family"], row: Row
    ) -> SeedSpread | None:
        stages = tuple(dict.fromkeys(each.stage for each in repeated if each.stage is not None))
        points, step = _each_run_once(repeated), max((each.step for each in repeated), default=0.0)
        stays = alike([[*point.values()] for point in points])
        for point, is_alike in zip(points, stays, strict=True):
            if not is_alike and not point.keys().isdisjoint(row.fingerprints):
                own = self._pooled([point], step)
                assert own is not None
                return SeedSpread(own, "row", 1, stages)
        kept = [point for point, is_alike in zip(points, stays, strict=True) if is_alike]
        together = self._pooled(kept, step)
        return None if together is None else SeedSpread(together, basis, len(kept), stages)

    def _pooled(self, points: Sequence[dict[str, float]], step: float) -> Pooled | None:
        known = [own for point in points if (own := self._scatter(point)) is not None]
        scatters = known if len(known) == len(points) else None
        return pooled([[*point.values()] for point in points], step, scatters)

    def _scatter(self, point: dict[str, float]) -> float | None:
        """How far the answers to an image differ between its runs; none where it is not known."""
        if self._said is None:
            return None
        names = frozenset(point)
        if names not in self._scatters:
            self._scatters[names] = _scatter([self._said(self._runs[name]) for name in point])
        return self._scatters[names]


def _scatter(said: Sequence[Answers | None]) -> float | None:
    """None where not all were kept, or are of the same images."""
    found = [each for each in said if each is not None]
    if len(found) < len(said):
        return None
    if any(not np.array_equal(each.image_ids_N, found[0].image_ids_N) for each in found):
        return None
    return image_scatter(is_right(found))


def _each_run_once(repeated: Sequence[_Repeated]) -> list[dict[str, float]]:
    """Points that share a run are one: of two stages, or of two studies that are compared."""
    places: dict[str, dict[str, float]] = {}
    for _, values, _ in repeated:
        joined: dict[str, float] = {}
        for name in values:
            joined.update(places.get(name, {}))
        joined.update(values)
        places.update(dict.fromkeys(joined, joined))
    return list({id(point): point for point in places.values()}.values())


def _comparable(row: Row) -> str:
    """Rows with the same word are taken to scatter alike over their seeds.

    They are of one family, trained on the same images in the same scaling, up to the same limit
    of epochs, halving's cuts included. Width, depth, dropout, optimizer and batch size may differ.
    """
    spec = row.specs[0]
    return f"{spec.model.family} {spec.data.to_dict()} {spec.train.epochs} {row.until}"


def moves_by_seed(row: Row) -> bool:
    """Whether another seed gives another model: not where it is fitted in one go."""
    return isinstance(row.specs[0].model.params, ModelFamily)


def is_folded(row: Row) -> bool:
    """Whether its trainings are those of cross-validation, which differ in more than the seed."""
    return row.specs[0].data.folds is not None


def seed_spreads(
    stages: Sequence[Stage],
    epoch: Epoch,
    others: Sequence[Stage] = (),
    *,
    studies: Sequence[Study] = (),
) -> SeedSpreads:
    """How much a seed moves the validation accuracy at that epoch.

    Args:
        stages: Of the study.
        epoch: Of the accuracy.
        others: Stages of another study, as `SeedSpreads` takes them.
        studies: Whose stages these are: they tell what the runs said.
    """
    return SeedSpreads(
        stages,
        lambda run: float(run.metrics[epoch]["val"]["accuracy"]),
        others,
        step=of_an_image,
        said=said_in(studies, epoch),
    )


def said_in(studies: Sequence[Study], epoch: Epoch) -> Said:
    """What a run said at that epoch, by the first of the studies that kept it."""

    def said(run: Run) -> Answers | None:
        holders = (study for study in studies if study.has_answers(run))
        holder = next(holders, None)
        return None if holder is None else holder.answers(run, epoch)

    return said


def of_an_image(run: Run) -> float:
    """The step between two validation accuracies of a run."""
    return float(1 / run.metrics["last"]["val"]["total"])


def spread_for(stage: Stage, spreads: SeedSpreads) -> dict[int, SeedSpread | None]:
    """What is known of each row of a stage, by the row's id."""
    return {id(row): spreads.of(stage.spec.name, row) for row in stage.rows}


def seeds_of(row: Row, spread: SeedSpread | None) -> Seeds:
    """As the statistics take it: a row that no seed moves has no doubt from seeds, either."""
    if not moves_by_seed(row):
        return UNMOVED
    return None if spread is None else spread.pooled


class Stood(NamedTuple):
    """A row that is whole.

    Attributes:
        interval: Of its accuracy at the epoch that ranks, at 95 %; none of folds, whose trainings
            answered different images.
        standing: Beside the stage's first row; none if it does not compete, answered other images,
            or was trained to another length, as halving does.
    """

    interval: Interval | None
    standing: Standing | None


def standing(
    stage: Stage,
    epoch: Epoch,
    answers: Callable[[Run, Epoch], Answers],
    spreads: Mapping[int, SeedSpread | None],
) -> dict[int, Stood]:
    """Every row that is finished and did not break, by its id; reads their predictions.

    Args:
        stage: Whose rows.
        epoch: That ranks.
        answers: What a run said of each validation image.
        spreads: From `spread_for`.
    """
    whole = [row for row in stage.rows if _is_whole(row)]
    right = {id(row): _Right.of(row, epoch, answers) for row in whole if not is_folded(row)}
    seeds = {id(row): seeds_of(row, spreads.get(id(row))) for row in stage.rows}
    ranked = stage.ranked(epoch)
    compared = [row for row in ranked if id(row) in right and row.until == ranked[0].until]
    beside = _standings(compared, right, seeds)
    answer = {id(row): Stood(None, None) for row in whole}
    for row in whole:
        if (found := right.get(id(row))) is not None:
            interval = _interval(row, found, seeds[id(row)])
            answer[id(row)] = Stood(interval, beside.get(id(row)))
    return answer


def own_interval(
    row: Row,
    epoch: Epoch,
    answers: Callable[[Run, Epoch], Answers],
    spread: SeedSpread | None,
) -> Interval | None:
    """The interval that `standing` gives a row, without looking at the others of its stage.

    None of one that is not whole, and of folds.
    """
    if not _is_whole(row) or is_folded(row):
        return None
    return _interval(row, _Right.of(row, epoch, answers), seeds_of(row, spread))


class _Right(NamedTuple):
    """Which images each run of a row got right."""

    ids_N: npt.NDArray[np.int64]
    right_SN: BoolsSN

    @classmethod
    def of(cls, row: Row, epoch: Epoch, answers: Callable[[Run, Epoch], Answers]) -> _Right:
        found = [answers(run, epoch) for run in row.runs]
        return cls(found[0].image_ids_N, is_right(found))


def _interval(row: Row, found: _Right, seeds: Seeds) -> Interval:
    # Of one that no seed moves, one seed says it all, and Wilson's interval is exact.
    own = None if len(row.runs) == 1 and not moves_by_seed(row) else seeds
    return accuracy_interval(found.right_SN, own)


def _is_whole(row: Row) -> bool:
    return row.is_done and all(run.metrics["status"] == "finished" for run in row.runs)


def _standings(
    compared: Sequence[Row], right: Mapping[int, _Right], seeds: Mapping[int, Seeds]
) -> dict[int, Standing]:
    """Of each row that answered the same images as the first; by the row's id."""
    if not compared:
        return {}
    ids_N = right[id(compared[0])].ids_N
    names = [id(row) for row in compared if np.array_equal(ids_N, right[id(row)].ids_N)]
    each = [seeds[name] for name in names]
    # Where no seed moves any of them, images are the only doubt, and McNemar's test is exact.
    is_plain = all(own == UNMOVED for own in each) and all(len(row.runs) == 1 for row in compared)
    known = None if is_plain else each
    return dict(zip(names, standings([right[n].right_SN for n in names], known), strict=True))


def lead_over(
    one: Row, two: Row, epoch: Epoch, answers: Callable[[Run, Epoch], Answers]
) -> Difference | None:
    """Accuracy of one row less that of another, on validation images; covers the images alone.

    Paired where both answered the same images; otherwise as of two independent samples. None if
    either broke, or is cross-validated.
    """
    if any(run.metrics["status"] != "finished" for row in (one, two) for run in row.runs):
        return None
    if is_folded(one) or is_folded(two):
        return None
    first, second = ([answers(run, epoch) for run in row.runs] for row in (one, two))
    ids = [found.image_ids_N for found in (*first, *second)]
    if all(np.array_equal(ids[0], other) for other in ids[1:]):
        return paired_difference(is_right(first), is_right(second))
    means = [row.mean(epoch, "val", "accuracy") for row in (one, two)]
    variances = [
        of_accuracy(value, row.runs[0].metrics[epoch]["val"]["total"]).variance
        for value, row in zip(means, (one, two), strict=True)
    ]
    return Difference(means[0] - means[1], math.sqrt(sum(variances)))


class Shares(NamedTuple):
    """Ids of images in their order, and the share of right answers to each."""

    ids_N: npt.NDArray[np.int64]
    shares_N: npt.NDArray[np.float64]


def is_right(found: Sequence[Answers]) -> BoolsSN:
    """Which validation images each run of a row got right."""
    return np.stack([answers.classes_N == answers.labels_N for answers in found])


def shares(found: Sequence[Answers]) -> Shares:
    """Of those who answered an image, the share that got it right; folds answer different ones."""
    ids_M = np.concatenate([answers.image_ids_N for answers in found])
    right_M = np.concatenate([answers.classes_N == answers.labels_N for answers in found])
    ids_N, places_M, counts_N = np.unique(ids_M, return_inverse=True, return_counts=True)
    return Shares(ids_N, np.bincount(places_M, weights=right_M) / counts_N)
