"""The driver of a study: hands out runs, stores what comes back, and only then counts it done."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from modiste.data.load import divide, save_arrays
from modiste.data.types import ImageSet
from modiste.errors import SpecError
from modiste.models.layers import describe
from modiste.runs import files
from modiste.runs.run import Run, RunRecord, write_run
from modiste.search.asked import Asked, asked_for
from modiste.search.budget import Budget, Clock, left_out
from modiste.search.choosing import choose
from modiste.search.closing import close, reopen
from modiste.search.decision import write_decision
from modiste.search.pool import Death, Event, Pool, Start, Trouble, Workers, raise_trouble
from modiste.search.remains import remains
from modiste.search.row import Row
from modiste.search.stopwatch import measure
from modiste.search.study import Stage, Study
from modiste.search.survey import with_guesses
from modiste.search.timeline import Ending, Timeline
from modiste.search.weights import DROPPED, GONE, missing, needed
from modiste.search.work_folder import Lock, WorkFolder
from modiste.spec.run import RunSpec
from modiste.spec.study import Override
from modiste.train.checkpoint import is_within
from modiste.train.record import record
from modiste.train.task import Outcome, Progress, Task

# A worker comes back with a checkpoint this often: what a crash can cost, in seconds.
SLICE_SECONDS = 15.0
# Deaths of workers on one run, with no checkpoint between them, before it is given up.
DEATHS_ALLOWED = 3
WAIT_SECONDS = 0.2


class Watcher(Protocol):
    """Somebody who wants to see a study go on, such as a progress display."""

    def planned(self, stages: Sequence[Stage]) -> None:
        """What there is to do, and what of it is finished; told at every change."""

    def progress(self, progress: Progress) -> None:
        """How a run under way stands."""

    def finished(self, stage: Stage, row: Row, run: Run) -> None:
        """A run has ended and is stored; its stage is given as it was when the run began."""

    def note(self, text: str) -> None:
        """Something a person should know, such as a worker that died."""


@dataclass(frozen=True)
class _Todo:
    """A run that is to be done.

    Attributes:
        whole: Fingerprint of the run that it is the beginning of, or its own: whose checkpoints
            it goes on from.
        order: What is done first: the least.
        is_again: It is finished, and is trained again for its weights, which were dropped.
    """

    stage: Stage
    row: Row
    spec: RunSpec
    fingerprint: str
    whole: str
    order: tuple[float, ...]
    is_again: bool = False


class Driver:
    """Drives one study from one process.

    Args:
        study: Where results go.
        images: All images that may be trained on.
        num_workers: Threads in all, unless the workers know: runs go on side by side as long as
            theirs fit.
        watcher: Is told what happens.
        should_stop: Asked all the time; work under way is then saved and the driver returns.
        slice_seconds: How often a run is saved.
        only: Run only the points that agree with each of these, in the stages they speak of; the
            others are left for another time.
        budget: When all of it has to have ended, the report included; it may take any time if not
            given.
        start: Starts the workers; children of this process if not given.
    """

    def __init__(  # noqa: PLR0913 (each is an option of the verb)
        self,
        study: Study,
        images: ImageSet,
        num_workers: int,
        watcher: Watcher,
        should_stop: Callable[[], bool] = lambda: False,
        slice_seconds: float = SLICE_SECONDS,
        only: Sequence[Override] = (),
        budget: Budget | None = None,
        *,
        start: Start | None = None,
    ) -> None:
        self._study = study
        self._images = images
        self._num_workers = num_workers
        self._watcher = watcher
        self._should_stop = should_stop
        self._slice_seconds = slice_seconds
        self._only = only
        self._work = WorkFolder(study.folder / "work")
        self._under_way: dict[str, _Todo] = {}
        self._divided: set[tuple[str, ...]] = set()  # rows whose division is written
        self._checkpoints: dict[str, bytes | None] = {}
        self._deaths: dict[str, int] = {}
        # By fingerprint: asked for again and again, and the same each time.
        self._wholes: dict[str, str] = {}
        self._costs: dict[str, tuple[int, str]] = {}
        self._timeline = Timeline(study.folder)
        self._budget = budget
        self._start = start
        self._closed: set[str] = set()
        self._tried_again: set[str] = set()
        self._is_stopping = False

    def run(self, stages: Iterable[str] | None = None) -> bool:
        """Run what is not finished of these stages (all, if not given) and of those they need.

        Returns:
            True if everything asked for is finished, or closed by the budget; False if somebody
            stopped it.

        Raises:
            SpecError: If no point of these stages agrees with `only`, or no worker can ever have
                room for one of them.
            StoreError: If another process drives this study, or the folder cannot be written.
        """
        asked = asked_for(self._study.spec, stages, self._only)
        with Lock(self._work.folder / "lock"):
            self._sweep()
            if self._only:
                asked.check(with_guesses(self._study))
            reopen(self._study.folder, asked.stages)
            clock = self._clock(asked)
            arrays = self._work.folder / "data"
            try:
                save_arrays(self._images, arrays)
            except OSError as error:
                raise files.cannot_write(arrays, error) from None
            with (self._start or Pool)(arrays, self._study.data_digest) as pool:
                self._need_room(pool, asked)
                return self._drive(pool, asked, clock)

    def _need_room(self, pool: Workers, asked: Asked) -> None:
        """Before anything is trained, see that none of it would wait for ever."""
        if pool.num_threads is None:
            return
        specs = [
            row.specs[0]
            for stage in with_guesses(self._study)
            for row in stage.chosen
            if not row.is_done and asked.includes(stage.spec.name, row.specs[0])
        ]
        specs += [item.spec for item in self._again(self._study.stages(), asked)]
        if specs:
            pool.need_room(specs)

    def _drive(self, pool: Workers, asked: Asked, clock: Clock | None) -> bool:
        while True:
            found = self._read(asked)
            self._save_splits(found)
            self._decide(found, asked.stages)
            self._watcher.planned(asked.seen(found))
            todo = self._todo(found, asked)
            if not todo and not pool.running:
                if not self._should_stop():
                    self._say_what_remains(found, asked)
                return not self._is_stopping
            if not self._keep_busy(pool, todo, found, clock):
                return False

    def _say_what_remains(self, stages: Sequence[Stage], asked: Asked) -> None:
        for text in remains(self._study, stages, asked):
            self._watcher.note(text)

    def _keep_busy(
        self, pool: Workers, todo: list[_Todo], stages: Sequence[Stage], clock: Clock | None
    ) -> bool:
        """Hand out work until a run or a stage has ended; False once all were asked to stop."""
        while True:
            if self._should_stop() and not self._is_stopping:
                self._is_stopping = True
                pool.stop()
            if not self._is_stopping:
                if clock is not None and self._close(clock, stages, pool):
                    return True
                if self._fill(pool, todo):
                    return True
            if not pool.running:
                return False
            ended = [self._handle(event, pool) for event in pool.events(WAIT_SECONDS)]
            if any(ended):
                return True

    def _read(self, asked: Asked) -> list[Stage]:
        """All stages as they stand, with the points that their searches choose by now."""
        while True:
            found = self._study.stages()
            searching = [stage for stage in found if stage.spec.name in asked.stages]
            for stage in searching:
                self._measure(stage)
            # What is chosen may have been run before, and then more can be chosen at once.
            if not any(choose(self._study, stage, asked) for stage in searching):
                return found

    def _clock(self, asked: Asked) -> Clock | None:
        if self._budget is None:
            return None
        return Clock(self._study, self._images, asked, self._budget, self._num_workers)

    def _close(self, clock: Clock, stages: Sequence[Stage], pool: Workers) -> bool:
        """Close what has no more time; True if a stage was closed that was open before."""
        assert self._budget is not None
        names = clock.due(stages)
        late = [stage for stage in stages if stage.spec.name in names]
        for stage in late:
            what = left_out(stage)
            self._watcher.note(
                f"{stage.spec.name}: closed by the budget of time"
                + (f"; it leaves out {what}." if what else ".")
            )
        if not late:
            return False
        self._closed.update(names)
        close(self._study.folder, self._budget.seconds, names)
        pool.stop([name for name, item in self._under_way.items() if item.stage.spec.name in names])
        return True

    def _measure(self, stage: Stage) -> None:
        """How long an image takes, where a search weighs that."""
        if stage.spec.search is not None and "latency" in stage.spec.search.goals:
            for row in (*stage.rows, *stage.lower):
                for run in row.runs[:1]:
                    measure(self._study.folder, run)

    def _sweep(self) -> None:
        """Remove what a driver that was killed left behind, and set aside damaged runs."""
        runs = self._study.folder / "runs"
        for path in runs.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)
        for path, error in files.damaged(runs):
            aside = files.set_aside(path, self._study.folder / "damaged")
            self._watcher.note(f"{error} So it lies in {aside} now.")
        self._work.forget_stored(runs)

    def _save_splits(self, stages: Sequence[Stage]) -> None:
        """The indices of each division, for whoever wants to check it."""
        rows = [row for stage in stages for row in stage.chosen]
        new = [row for row in rows if row.fingerprints not in self._divided]
        self._divided.update(row.fingerprints for row in new)
        runs = [spec for row in new for spec in row.specs]
        for spec in dict.fromkeys(run.data.model_copy(update={"scaling": "unit"}) for run in runs):
            words: list[object] = [spec.num_val, spec.split_seed]
            words += [spec.num_train] if spec.num_train else []
            if spec.folds is not None:
                words += ["fold", spec.fold, "of", spec.folds]
            path = self._study.folder / f"split-{'-'.join(map(str, words))}.json"
            if path.exists():
                continue
            try:
                divide(self._images, spec, self._study.data_digest).split.save(path)
            except OSError as error:
                raise files.cannot_write(path, error) from None

    def _todo(self, stages: Sequence[Stage], asked: Asked) -> list[_Todo]:
        """Runs that nobody works on, each fingerprint once.

        Given points the longest first, so that no core idles at the end behind a long run that
        began late; then those of searches, a bracket after the other and what is up before what is
        below it. Which run comes first changes no result.
        """
        todo: dict[str, _Todo] = {}
        for number, stage in enumerate(stages):
            if stage.is_closed:
                continue
            places = {id(trial.row): trial for trial in stage.trials if not trial.row.is_done}
            for row in stage.chosen:
                if row.is_done or not asked.includes(stage.spec.name, row.specs[0]):
                    continue
                done = {run.fingerprint for run in row.runs}
                for spec, fingerprint in zip(row.specs, row.fingerprints, strict=True):
                    if fingerprint in done or fingerprint in self._under_way:
                        continue
                    trial = places.get(id(row))
                    order: tuple[float, ...]
                    if trial is None:
                        order = 0, -self._cost(spec, fingerprint)[0]
                    else:
                        order = 1, number, trial.bracket, -len(trial.rungs), trial.number
                    if self._budget is not None:  # what comes later may not come at all
                        order = (number, *order)
                    whole = self._whole(spec, fingerprint)
                    item = _Todo(stage, row, spec, fingerprint, whole, order)
                    todo.setdefault(fingerprint, item)
        for item in self._again(stages, asked):
            todo.setdefault(item.fingerprint, item)
        return sorted(todo.values(), key=lambda item: item.order)

    def _again(self, stages: Sequence[Stage], asked: Asked) -> Iterator[_Todo]:
        """Runs of final models that have lost their weights, unless time is short."""
        for stage in stages if self._budget is None else ():
            row, runs = missing(self._study, stage) or (None, [])
            if row is None or not asked.includes(stage.spec.name, row.specs[0]):
                continue
            for run in runs:
                if run.fingerprint not in (self._under_way.keys() | self._tried_again):
                    order = 0.0, -float(self._cost(run.spec, run.fingerprint)[0])
                    whole = self._whole(run.spec, run.fingerprint)
                    yield _Todo(stage, row, run.spec, run.fingerprint, whole, order, is_again=True)

    def _whole(self, spec: RunSpec, fingerprint: str) -> str:
        """The fingerprint of the run that one is the beginning of."""
        if fingerprint not in self._wholes:
            found = spec.whole.fingerprint(self._study.data_digest, self._study.versions)
            self._wholes[fingerprint] = found
        return self._wholes[fingerprint]

    def _cost(self, spec: RunSpec, fingerprint: str) -> tuple[int, str]:
        """FLOPs for one image and one pass, times the most epochs it may take.

        What is fitted in one go comes before all others: nobody knows how long it takes. So does
        what does not fit the images, which takes no time.

        Returns:
            That, and why there can be no such model for these images; empty if there can.
        """
        if fingerprint not in self._costs:
            images, flops, why = self._images, None, ""
            try:
                found = describe(spec.model.params, images.shape_CHW, images.num_classes)
                flops = found["flops_forward"]
            except SpecError as error:
                why = str(error)
            cost = sys.maxsize if flops is None else int(flops) * spec.train.last_epoch
            self._costs[fingerprint] = cost, why
        return self._costs[fingerprint]

    def _fill(self, pool: Workers, todo: list[_Todo]) -> bool:
        """Start runs, in order, as long as their threads fit; one run always does.

        Returns:
            Whether one has ended instead: its point does not fit the images. Where all points are
            known beforehand, nobody gets here with such a one; of a search, or of a stage that
            takes a winner over, it is a row that failed, and the others go on.
        """
        num_threads = pool.num_threads or self._num_workers
        while todo:
            used = sum(self._under_way[name].spec.threads for name in pool.running)
            if pool.running and used + todo[0].spec.threads > num_threads:
                return False
            item = todo.pop(0)
            self._under_way[item.fingerprint] = item
            if reason := self._cost(item.spec, item.fingerprint)[1]:
                self._fail(item, reason.rstrip("."))
                return True
            self._checkpoints[item.fingerprint] = self._begun(item)
            self._timeline.begin(item.fingerprint)
            if item.is_again:
                self._watcher.note(
                    f"{item.stage.spec.name}, {item.row.label}, seed {item.spec.seed}: trained "
                    "again, because its weights were dropped."
                )
            self._submit(pool, item)
        return False

    def _begun(self, item: _Todo) -> bytes | None:
        """A checkpoint to go on from; one from beyond the end of a run that is cut is none."""
        checkpoint = self._work.load(item.whole)
        is_usable = checkpoint is not None and is_within(checkpoint, item.spec.train.until)
        return checkpoint if is_usable else None

    def _submit(self, pool: Workers, item: _Todo) -> None:
        checkpoint = self._checkpoints[item.fingerprint]
        pool.submit(Task(item.spec, item.fingerprint, checkpoint, self._slice_seconds))

    def _handle(self, event: Event, pool: Workers) -> bool:
        """Take in what a worker says; True if a run has ended."""
        if isinstance(event, Progress):
            self._watcher.progress(event)
            return False
        item = self._under_way[event.fingerprint]
        if isinstance(event, Trouble):
            raise_trouble(event)
        if isinstance(event, Outcome) and event.record is None:
            # One that is fitted in one go has nothing to go on from, and begins anew.
            if event.checkpoint is not None:
                self._work.save(item.whole, event.checkpoint)
                self._checkpoints[item.fingerprint] = event.checkpoint
                self._deaths.pop(item.fingerprint, None)
            return self._give_up_or_go_on(item, pool)
        if isinstance(event, Death):
            self._watcher.note(f"{item.stage.spec.name}, {item.row.label}: {event}.")
            if not event.had_begun:  # it says nothing of the run; the pool counts such ends
                return self._give_up_or_go_on(item, pool)
            deaths = self._deaths[item.fingerprint] = self._deaths.get(item.fingerprint, 0) + 1
            if deaths < DEATHS_ALLOWED or self._is_stopping:
                return self._give_up_or_go_on(item, pool)
            self._fail(item, f"{event}, {deaths} times with no checkpoint between")
            return True
        assert isinstance(event, Outcome)
        self._store(item, event)
        return True

    def _give_up_or_go_on(self, item: _Todo, pool: Workers) -> bool:
        """Hand a run out again, unless somebody stops; True if its stage was closed meanwhile."""
        if self._is_stopping:
            self._note_end(item, "stopped")
            return False
        if item.stage.spec.name in self._closed:
            self._note_end(item, "stopped")
            del self._under_way[item.fingerprint]
            return True
        self._submit(pool, item)
        return False

    def _fail(self, item: _Todo, reason: str) -> None:
        """Give a run up, for good."""
        data = divide(self._images, item.spec.data, self._study.data_digest)
        self._store(item, Outcome("", record=record(item.spec, data, "failed", reason)))

    def _store(self, item: _Todo, outcome: Outcome) -> None:
        assert outcome.record is not None
        self._note_end(item, "finished")
        folder = self._study.run_folder(item.fingerprint)
        if item.is_again:
            self._put_back(item, outcome.record)
        else:
            write_run(outcome.record, folder)
        if outcome.checkpoint is None:
            self._work.forget(item.whole)
        else:  # it was cut, and may be let up
            self._work.save(item.whole, outcome.checkpoint, depth=1)
        del self._under_way[item.fingerprint]
        self._checkpoints.pop(item.fingerprint, None)
        self._watcher.finished(item.stage, item.row, Run(folder))

    def _put_back(self, item: _Todo, record: RunRecord) -> None:
        """Weights that were dropped, if they are the same again; the record stays as it was."""
        run = Run(self._study.run_folder(item.fingerprint))
        status, reason = record.metrics["status"], record.metrics["reason"]
        self._tried_again.add(item.fingerprint)
        has_ended = status in ("finished", "diverged")  # else another time may go better
        if not has_ended or not run.put_weights_back(record.weights, GONE):
            why = "with another processor, or another build of torch, they are others"
            self._watcher.note(
                f"{item.stage.spec.name}, {item.row.label}, seed {item.spec.seed}: its weights "
                f"did not come back ({why if status == 'finished' else reason})."
            )

    def _note_end(self, item: _Todo, ending: Ending) -> None:
        threads = item.spec.threads
        self._timeline.end(item.fingerprint, item.stage.spec.name, item.row.label, threads, ending)

    def _decide(self, stages: Sequence[Stage], wanted: frozenset[str]) -> None:
        """Write down what finished stages decided, and drop the weights nobody will ask for."""
        kept = needed(self._study, stages)
        for stage in stages:
            self._let_go(stage)
        for stage in stages:
            if stage.spec.name not in wanted or not stage.is_decided or not stage.chosen:
                continue
            write_decision(self._study, stage)
            for run in [run for row in stage.chosen for run in row.runs]:
                if run.fingerprint not in kept and run.has_weights:
                    run.drop_weights(DROPPED)

    def _let_go(self, stage: Stage) -> None:
        """Forget how to go on with trials that were not let up, once that is certain."""
        is_over = stage.is_done
        if not is_over and not stage.lower:  # nobody has been let up yet, so nobody was left
            return
        highest: dict[tuple[int, int], int] = {}
        for trial in stage.trials:
            place = trial.group, trial.bracket
            highest[place] = max(highest.get(place, 0), len(trial.rungs))
        busy = {item.whole for item in self._under_way.values()}
        for trial in stage.trials:
            is_left = len(trial.rungs) < highest[trial.group, trial.bracket] or is_over
            # A whole training has left none; one that is done again for its weights is not over.
            if trial.top.is_done and is_left and trial.top.until is not None:
                for spec, fingerprint in zip(trial.top.specs, trial.top.fingerprints, strict=True):
                    if (whole := self._whole(spec, fingerprint)) not in busy:
                        self._work.forget(whole)
