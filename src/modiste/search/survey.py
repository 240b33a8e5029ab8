"""What a study consists of: its runs, each once, with what is known of the finished ones."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modiste.data.types import ImageSet
from modiste.errors import SpecError
from modiste.models.layers import misfit
from modiste.runs.environment import environment
from modiste.runs.run import Epoch, Run
from modiste.search import published as publication
from modiste.search import trial_log
from modiste.search.asked import Asked, needed
from modiste.search.kinds import Kind, kind_of
from modiste.search.row import Row
from modiste.search.study import Stage, Study
from modiste.spec.match import holds
from modiste.spec.run import RunSpec
from modiste.spec.settings import layered
from modiste.spec.space import identity
from modiste.spec.study import Found, inherited


@dataclass(frozen=True)
class Done:
    """What is known of a run that has ended.

    Attributes:
        is_good: It came to a good end.
        is_from_here: It was computed on this kind of processor.
        kept_bytes, weights_bytes: On the disk: without its weights, and of them.
    """

    epochs: int
    seconds: float
    is_good: bool
    is_from_here: bool
    kept_bytes: int
    weights_bytes: int


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study.

    Attributes:
        stage: The first that has it.
        num_train, num_val, num_classes: Images and classes.
        kind: What kind of work it is; none if its model is fitted in one go.
        published_epochs: How long the publication trained it, where that says so.
        done: What is known of it, if it has ended.
        begun: Epochs that a finished beginning of it has behind it.
        misfit: Why its model does not fit the images; empty if it does. It will fail at once.
    """

    stage: str
    spec: RunSpec
    fingerprint: str
    num_train: int
    num_val: int
    num_classes: int
    kind: Kind | None
    published_epochs: int | None = None
    done: Done | None = None
    begun: int = 0
    misfit: str = ""

    @property
    def is_over(self) -> bool:
        return self.done is not None or bool(self.misfit)

    @property
    def flops(self) -> int:
        """Of all epochs up to the limit, forward; more than any of what is fitted in one go."""
        if self.kind is None:
            return sys.maxsize
        return self.kind.flops * self.num_train * (self.spec.train.last_epoch - self.begun)


@dataclass(frozen=True)
class AskedStage:
    """A stage, as far as its points are asked for.

    Attributes:
        rows: Fingerprints of these points, one for each seed.
        needs: Stages whose results it begins with.
        is_guessed: It waits for a winner, in whose place stands the best point so far, or the
            first one; or it searches,
            and its points, or how far each will go, are not all known.
        keep_weights: Points that keep their weights.
        is_final: Its winner is saved as a model.
        is_exported: That model is exported as well.
        lower: Fingerprints of the beginnings that its trials leave behind.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    needs: tuple[str, ...] = ()
    is_guessed: bool = False
    keep_weights: int = 3
    is_final: bool = False
    is_exported: bool = False
    lower: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> list[str]:
        return [name for row in self.rows for name in row]


@dataclass(frozen=True)
class Survey:
    """The runs of a study.

    Attributes:
        parts: What is asked for, in order.
        runs: By fingerprint, the runs of all stages: what is finished tells of what is not.
        left: Stages that will not be run, because one that they need has points left.
    """

    parts: tuple[AskedStage, ...]
    runs: Mapping[str, PlannedRun]
    left: tuple[str, ...] = ()

    @property
    def asked(self) -> list[PlannedRun]:
        """Every run that is asked for, once."""
        names = dict.fromkeys(name for part in self.parts for name in part.fingerprints)
        return [self.runs[name] for name in names]

    @property
    def todo(self) -> list[PlannedRun]:
        """Those of them that are to be trained yet."""
        return [run for run in self.asked if not run.is_over]

    @property
    def misfits(self) -> list[PlannedRun]:
        """Those that will fail before they begin."""
        return [run for run in self.asked if run.misfit and run.done is None]


def survey(
    study: Study, images: ImageSet, asked: Asked, *, most_foreseen: int | None = None
) -> Survey:
    """What a study consists of, as far as it is known by now.

    Args:
        study: Nothing of it need be on the disk.
        images: All that may be trained on.
        asked: Which points are to be run.
        most_foreseen: See `with_guesses`.
    """
    published = publication.read(study.published)
    runs: dict[str, PlannedRun] = {}
    parts, left = [], []
    lacking: dict[str, list[Row]] = {}
    for stage in with_guesses(study, most_foreseen):
        name, needs = stage.spec.name, study.spec.needs(stage.spec)
        below = {id(trial.row): trial.rungs[:-1] for trial in stage.trials}
        for row in (*stage.rows, *stage.lower):
            for run in _planned(name, row, images, below.get(id(row), ())):
                known = runs.get(run.fingerprint, run)
                found = publication.find(published, name, run.spec)
                epochs = (found.epochs or found.epochs_about) if found else None
                runs[run.fingerprint] = replace(
                    known, published_epochs=known.published_epochs or epochs
                )
        rows: list[Row] = []
        others: list[Row] = []
        for row in stage.chosen:
            (rows if asked.includes(name, row.specs[0]) else others).append(row)
        lacking[name] = [row for row in others if not row.is_done]
        if stage.waits_for and any(
            holds(row.specs[0].to_dict(), needed(study.spec, stage.spec, other))
            for other in needs
            for row in lacking[other]
        ):
            lacking[name] = stage.chosen
            left += [name] if rows else []
        elif rows:
            parts.append(
                AskedStage(
                    name,
                    tuple(row.fingerprints for row in rows),
                    needs,
                    is_guessed=bool(stage.waits_for) or stage.is_foreseen,
                    keep_weights=stage.spec.keep_weights,
                    is_final=stage.spec.is_final,
                    is_exported=stage.spec.is_exported,
                    lower=tuple(name for row in stage.lower for name in row.fingerprints),
                )
            )
    return Survey(tuple(parts), runs, tuple(left))


def with_guesses(study: Study, most_foreseen: int | None = None) -> list[Stage]:
    """Every stage with its rows; for a winner that is not known yet stands the best so far.

    A search has all the trials that it will have, each as far up as it may come: the first ones
    stand for those that will be let up, and evenly spread points for what will be learnt. Where
    nothing has ended well, the first points stand for the best ones.

    Args:
        study: Nothing of it need be on the disk.
        most_foreseen: So many points at most that a search has not chosen yet, of each value that
            it compares; all if not given.
    """
    answer: list[Stage] = []
    found: dict[str, Found] = {}
    for stage in study.stages():
        if stage.spec.search is not None:
            answer.append(_foreseen(study, stage, found, most_foreseen))
        else:
            answer.append(_guessed(study, stage, found) if stage.waits_for else stage)
        rows = _best_first(answer[-1], study.spec.rank_epoch)
        base = answer[-1].inherited
        first = tuple((row.label, layered(base, row.settings)) for row in rows)
        found[stage.spec.name] = study.hands_on(stage) or Found(first)
    return answer


def _best_first(stage: Stage, epoch: Epoch) -> list[Row]:
    """Rows that ended well, as they rank, before the others in their order."""
    ranked = stage.ranked(epoch)
    good = [row for row in ranked if not math.isnan(row.mean(epoch, "val", "correct"))]
    is_good = {id(row) for row in good}
    return [*good, *(row for row in stage.chosen or stage.rows if id(row) not in is_good)]


def _guessed(study: Study, stage: Stage, found: Mapping[str, Found]) -> Stage:
    rows = study.rows(stage.spec, found)
    return replace(stage, rows=rows, inherited=inherited(stage.spec, found))


def _foreseen(study: Study, stage: Stage, found: Mapping[str, Found], most: int | None) -> Stage:
    search = stage.spec.searched(study.profile)
    assert search is not None
    if stage.is_done or stage.skipped:
        return stage
    base = inherited(stage.spec, found)
    chosen = trial_log.read(study.folder, stage.spec.name, search, base)
    known = [len(points) for points in chosen]
    for number, group in enumerate(search.groups()):
        tried = {identity(point) for point in chosen[number]}
        space = search.space(group)
        end = search.num_trials(group)
        for at in range(known[number], end if most is None else min(end, known[number] + most)):
            point = search.method.propose(space, at, tried, ())
            chosen[number].append(point)
            tried.add(identity(point))
    trials = study.climbed(stage.spec, found, chosen, foresees=True)
    last = max(search.num_trials(group) for group in search.groups()) - 1
    return replace(
        stage,
        rows=tuple(trial.row for trial in trials),
        trials=tuple(trials),
        num_to_come=0,
        is_foreseen=bool(search.halving) or search.method.num_needed(last) > 0,
        inherited=base,
    )


def _planned(stage: str, row: Row, images: ImageSet, below: Sequence[Row]) -> list[PlannedRun]:
    """The runs of a row, with what is known of them and of the beginnings of the same trial."""
    runs = {run.fingerprint: run for run in row.runs}
    planned = []
    for number, (spec, fingerprint) in enumerate(zip(row.specs, row.fingerprints, strict=True)):
        begun = [
            int(run.metrics["epochs"])
            for lower in below
            for run in lower.runs
            if run.fingerprint == lower.fingerprints[number]
        ]
        num_left = _num_to_fit(spec, images)
        kind, why = _kind(spec, images)
        planned.append(
            PlannedRun(
                stage,
                spec,
                fingerprint,
                num_train=min(spec.data.num_train or num_left, num_left),
                num_val=spec.data.num_val,
                num_classes=images.num_classes,
                kind=kind,
                misfit=why,
                done=_done(runs[fingerprint]) if fingerprint in runs else None,
                begun=max(begun, default=0),
            )
        )
    return planned


def _num_to_fit(spec: RunSpec, images: ImageSet) -> int:
    """Images that are neither validated on nor held out, to within one for each class."""
    num_left = len(images) - spec.data.num_val
    if spec.data.folds is None:
        return num_left
    return len(images) - len(images) // spec.data.folds - spec.data.num_val


def _kind(spec: RunSpec, images: ImageSet) -> tuple[Kind | None, str]:
    """The kind of work that a run is, or why there is no such model for the images."""
    given = images.shape_CHW, images.num_classes
    try:
        kind = kind_of(spec, *given)
    except SpecError as error:
        return None, str(error)
    return kind, "" if kind is not None else misfit(spec.model.params, *given)


def _done(run: Run) -> Done:
    sizes = {path.name: path.stat().st_size for path in run.folder.iterdir()}
    weights_bytes = sizes.pop("model.safetensors", 0)
    return Done(
        epochs=int(run.metrics["epochs"]),
        seconds=float(run.metrics["seconds"]),
        is_good=run.metrics["status"] == "finished",
        is_from_here=run.environment.get("cpu") == environment()["cpu"],
        kept_bytes=sum(sizes.values()),
        weights_bytes=weights_bytes,
    )
