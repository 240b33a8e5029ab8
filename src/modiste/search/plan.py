"""What a study will take: time and disk, as a function of its runs and the pace of their work.

Nothing here reads, runs or measures anything: `survey` says what the runs are, `probe` how fast
they go.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

from modiste.search.kinds import Kind, Pace, pace_of, pace_of_epochs
from modiste.search.survey import PlannedRun, Survey

Source = Literal["finished", "published", "limit"]

# A parameter is a float32. A run keeps those of two epochs; a checkpoint holds both, with up to
# three vectors of an optimizer, and two checkpoints of each run under way are kept.
WEIGHTS_BYTES, CHECKPOINTS_BYTES = 2 * 4, 2 * 5 * 4
# JSON files of a run folder, and a line of its history.
RUN_BYTES, EPOCH_BYTES = 10_000, 110
# A logit is a float32; those of the best and the last epoch are kept, and hardly compress.
LOGIT_BYTES = 2 * 4
# A position in the file of a division, as text; and figures, tables and the report.
POSITION_BYTES, REPORT_BYTES = 6, 3_000_000


class Epochs(NamedTuple):
    """How many epochs a run is expected to take, and what tells so: ``limit`` if it is that."""

    number: int
    source: Source


class Time(NamedTuple):
    """How long a run takes, in seconds; at most, if it goes to its limit of epochs."""

    expected: float
    most: float


@dataclass(frozen=True)
class StageForecast:
    """One line of a plan.

    Attributes:
        num_runs, num_finished, num_todo: Of the runs that no earlier stage has.
        shared: Runs that are counted in an earlier stage, by its name.
        seconds, most_seconds: Of its runs to do, one after another, where that can be told.
        num_unknown: Runs to do of which nobody can tell how long they take.
        is_guessed: It waits for a winner, in whose place stands the best point so far.
    """

    name: str
    num_runs: int
    num_finished: int
    num_todo: int
    shared: dict[str, int]
    seconds: float
    most_seconds: float
    num_unknown: int
    is_guessed: bool


@dataclass(frozen=True)
class Forecast:
    """How long a study will take.

    Attributes:
        stages: In order.
        num_workers: Threads in all.
        seconds, most_seconds: Until the last run has ended.
        epochs_from: Runs of nets to do, by what tells how many epochs they take.
        pace_from: Runs to do, by what tells how fast they go: ``finished`` runs, ``measured``,
            or ``flops`` of work that was.
    """

    stages: tuple[StageForecast, ...]
    num_workers: int
    seconds: float
    most_seconds: float
    epochs_from: dict[str, int]
    pace_from: dict[str, int]


@dataclass(frozen=True)
class Disk:
    """Bytes of a study folder, at most.

    Attributes:
        now: Of the runs that it holds already.
        end: When all is finished, with the weights that are kept.
        peak: Before the weights of all others are dropped, with checkpoints.
    """

    now: int
    end: int
    peak: int


# --- time -----------------------------------------------------------------------------------------


def forecast(survey: Survey, measured: Mapping[Kind, Pace], num_workers: int) -> Forecast:
    """How long the runs that are not finished will take.

    Args:
        survey: The runs.
        measured: How fast kinds of work go here; finished runs of a kind tell it better.
        num_workers: Threads in all.
    """
    runs = survey.runs.values()
    finished = paces_of_finished(runs)
    paces = {**measured, **finished}
    epochs = expected_epochs(runs)
    times = {
        run.fingerprint: time
        for run in survey.todo
        if (time := time_of(run, epochs[run.fingerprint].number, paces, runs)) is not None
    }
    expected = {name: time.expected for name, time in times.items()}
    most = {name: time.most for name, time in times.items()}
    timed = [survey.runs[name] for name in times]
    return Forecast(
        stages=tuple(_stages(survey, times)),
        num_workers=num_workers,
        seconds=until_the_end(survey, expected, num_workers),
        most_seconds=until_the_end(survey, most, num_workers),
        epochs_from=dict(Counter(str(epochs[run.fingerprint].source) for run in timed if run.kind)),
        pace_from=dict(Counter(_pace_from(run, finished, measured) for run in timed)),
    )


def expected_epochs(runs: Collection[PlannedRun]) -> dict[str, Epochs]:
    """How many epochs each run takes: as many as the runs most like it, on average.

    Most like it are the same on another seed, then those of its stage with its optimizer, then
    those of its family with its optimizer, then those of its family. Of runs equally alike the
    finished ones tell, or else the published ones. Where there are none, or nothing stops a run
    early, it goes to its limit.

    Returns:
        By fingerprint.
    """
    alike: dict[tuple[Source, Hashable], list[tuple[int, int]]] = defaultdict(list)
    for run in runs:
        limit = run.spec.train.last_epoch
        for likeness in _likenesses(run):
            if run.done and run.done.is_good:
                alike["finished", likeness].append((run.done.epochs, limit))
            if run.published_epochs:
                alike["published", likeness].append((run.published_epochs, limit))
    return {run.fingerprint: _epochs(run, alike) for run in runs}


def _epochs(
    run: PlannedRun, alike: Mapping[tuple[Source, Hashable], Sequence[tuple[int, int]]]
) -> Epochs:
    limit = run.spec.train.last_epoch
    sources: tuple[Source, ...] = ("finished", "published")
    for likeness in _likenesses(run) if run.spec.train.early_stopping else ():
        for source in sources:
            # One that went to a lower limit does not tell when it would have stopped.
            numbers = [
                number
                for number, its_limit in alike.get((source, likeness), ())
                if number < its_limit or its_limit >= limit
            ]
            if numbers:
                mean = min(limit, round(fmean(numbers)))
                return Epochs(mean, source if mean < limit else "limit")
    return Epochs(limit, "limit")


def _likenesses(run: PlannedRun) -> tuple[Hashable, ...]:
    """What runs that are alike have in common, the most alike first."""
    spec = run.spec.to_dict()
    del spec["seed"]
    family, optimizer = run.spec.model.family, run.spec.train.optimizer.name
    return json.dumps(spec), (run.stage, optimizer, family), (optimizer, family), (family,)


def paces_of_finished(runs: Iterable[PlannedRun]) -> dict[Kind, Pace]:
    """The mean pace of each kind of work that was finished on this kind of processor."""
    found: dict[Kind, list[Pace]] = defaultdict(list)
    for run in runs:
        done = run.done
        if run.kind and done and done.is_from_here and done.epochs and done.seconds:
            per_epoch = done.seconds / done.epochs
            pace = pace_of_epochs(run.kind, run.num_train, run.num_val, per_epoch)
            found[run.kind].append(pace)
    return {kind: Pace(*map(fmean, zip(*paces, strict=True))) for kind, paces in found.items()}


def time_of(
    run: PlannedRun, epochs: int, paces: Mapping[Kind, Pace], runs: Iterable[PlannedRun]
) -> Time | None:
    """How long a run takes that goes so many epochs.

    A model that is fitted in one go takes as long as finished runs of its family did.

    Returns:
        None where nothing tells.
    """
    if run.kind is None:
        family = run.spec.model.family
        took = [
            t.done.seconds
            for t in runs
            if t.done and not t.misfit and t.spec.model.family == family
        ]
        return Time(fmean(took), max(took)) if took else None
    pace = pace_of(run.kind, paces)
    if pace is None:
        return None
    num_updates = -(-run.num_train // run.kind.batch_size)
    epoch = num_updates * pace.per_update + run.num_val * pace.per_image_inferred
    # At the end all images go through the net of the best epoch, and of the last; of a run that is
    # cut, the validation images do.
    num_inferred = run.num_val + (run.num_train if run.spec.train.until is None else 0)
    end = 2 * num_inferred * pace.per_image_inferred
    numbers = (max(0, number - run.begun) for number in (epochs, run.spec.train.last_epoch))
    # A limit of time ends training after the epoch in which it is reached.
    limit = math.inf
    if run.spec.train.max_seconds is not None:
        limit = run.spec.train.max_seconds + epoch
    return Time(*(min(number * epoch, limit) + end for number in numbers))


def _pace_from(
    run: PlannedRun, finished: Mapping[Kind, Pace], measured: Mapping[Kind, Pace]
) -> str:
    if run.kind is None or run.kind in finished:
        return "finished"
    return "measured" if run.kind in measured else "flops"


def _stages(survey: Survey, times: Mapping[str, Time]) -> Iterable[StageForecast]:
    home: dict[str, str] = {}
    for part in survey.parts:
        names = dict.fromkeys(part.fingerprints)
        shared = Counter(home[name] for name in names if name in home)
        own = [name for name in names if name not in home]
        home |= dict.fromkeys(own, part.name)
        todo = [name for name in own if not survey.runs[name].is_over]
        timed = [times[name] for name in todo if name in times]
        yield StageForecast(
            part.name,
            num_runs=len(own),
            num_finished=sum(survey.runs[name].done is not None for name in own),
            num_todo=len(todo),
            shared=dict(shared),
            seconds=sum(time.expected for time in timed),
            most_seconds=sum(time.most for time in timed),
            num_unknown=len(todo) - len(timed),
            is_guessed=part.is_guessed,
        )


def until_the_end(survey: Survey, seconds: Mapping[str, float], num_workers: int) -> float:
    """When the last run ends, if runs are handed out as the driver does.

    The longest first, by FLOPs, as long as their threads fit; those of a stage as soon as the
    stages that it needs are finished. Runs that `seconds` does not name take no time.
    """
    waiting = _Waiting(survey, seconds)
    running: list[tuple[float, str]] = []
    clock, used = 0.0, 0
    while waiting.ready or running:
        while waiting.ready and (not running or used + waiting.ready[0][1] <= num_workers):
            _, threads, name = heapq.heappop(waiting.ready)
            used += threads
            heapq.heappush(running, (clock + seconds[name], name))
        clock, name = heapq.heappop(running)
        used -= survey.runs[name].spec.threads
        waiting.end(name)
    return clock


class _Waiting:
    """Runs that have not begun.

    Attributes:
        ready: Those that wait for nothing but a worker, as a heap: place in the driver's order,
            threads, fingerprint.
    """

    def __init__(self, survey: Survey, names: Collection[str]) -> None:
        todo = [run for run in survey.todo if run.fingerprint in names]
        ordered = enumerate(sorted(todo, key=lambda run: -run.flops))
        self._waiting = {t.fingerprint: (at, t.spec.threads, t.fingerprint) for at, t in ordered}
        self._parts = [part.fingerprints for part in survey.parts]
        # How many runs of others a part waits for, and which parts wait for a run.
        self._missing: list[int] = []
        self._waited_for_by: dict[str, list[int]] = defaultdict(list)
        self.ready: list[tuple[int, int, str]] = []
        runs_of = {part.name: part.fingerprints for part in survey.parts}
        for number, part in enumerate(survey.parts):
            needed = {name for other in part.needs for name in runs_of.get(other, ())}
            needed &= self._waiting.keys()
            self._missing.append(len(needed))
            for name in needed:
                self._waited_for_by[name].append(number)
        for number, count in enumerate(self._missing):
            if not count:
                self._let_go(number)

    def end(self, name: str) -> None:
        """A run has ended: parts that waited for no other may begin."""
        for number in self._waited_for_by[name]:
            self._missing[number] -= 1
            if not self._missing[number]:
                self._let_go(number)

    def _let_go(self, number: int) -> None:
        for name in self._parts[number]:
            if name in self._waiting:
                heapq.heappush(self.ready, self._waiting.pop(name))


# --- disk -----------------------------------------------------------------------------------------


def disk_of(survey: Survey, num_workers: int, arrays_bytes: int) -> Disk:
    """What the study folder holds of these runs, at most.

    Args:
        survey: The runs.
        num_workers: Runs under way at once, each with its checkpoints.
        arrays_bytes: Of the decoded images, of which a copy lies there.
    """
    epochs = expected_epochs(survey.runs.values())
    asked, todo = survey.asked, survey.todo
    weights = {run.fingerprint: _weights_bytes(run) for run in asked}
    rest = sum(_rest_bytes(run, epochs[run.fingerprint].number) for run in asked)
    rest += arrays_bytes + REPORT_BYTES
    divisions = {run.spec.data.model_copy(update={"scaling": "unit"}): run for run in asked}
    rest += sum(POSITION_BYTES * (t.num_train + t.num_val) for t in divisions.values())
    kept: set[str] = set()
    for part in survey.parts:
        # Nobody knows which points will be the best; no others could take more.
        rows = sorted(part.rows, key=lambda row: -sum(weights[name] for name in row))
        kept.update(name for row in rows[: part.keep_weights] for name in row)
        if part.is_final:
            rest += max(weights[name] for name in part.fingerprints) // 2
    for name in dict.fromkeys(name for part in survey.parts for name in part.lower):
        run = survey.runs[name]
        rest += _rest_bytes(run, epochs[name].number)
    checkpoints = sorted((_checkpoints_bytes(run) for run in todo), reverse=True)
    return Disk(
        now=sum(t.done.kept_bytes + t.done.weights_bytes for t in asked if t.done),
        end=rest + sum(weights[name] for name in kept),
        peak=rest + sum(weights.values()) + sum(checkpoints[:num_workers]) + _parked(survey),
    )


def _parked(survey: Survey) -> int:
    """Checkpoints of trials that wait to be let up: one of each, all of a stage at the most."""
    parked = 0
    for part in survey.parts:
        if part.lower and any(survey.runs[name].done is None for name in part.fingerprints):
            parked += sum(_checkpoints_bytes(survey.runs[name]) // 2 for name in part.fingerprints)
    return parked


def _weights_bytes(run: PlannedRun) -> int:
    if run.done:
        return run.done.weights_bytes
    if run.spec.train.until is not None:
        return 0
    return WEIGHTS_BYTES * run.kind.parameters if run.kind else 0


def _checkpoints_bytes(run: PlannedRun) -> int:
    return CHECKPOINTS_BYTES * run.kind.parameters if run.kind else 0


def _rest_bytes(run: PlannedRun, epochs: int) -> int:
    if run.done:
        return run.done.kept_bytes
    return RUN_BYTES + EPOCH_BYTES * epochs + LOGIT_BYTES * run.num_classes * run.num_val
