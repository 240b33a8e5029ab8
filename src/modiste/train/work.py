"""The worker: a pure function from a task to an outcome. It writes no file and keeps no secret.

    (RunSpec, checkpoint or none, how far) -> outcome

The same function runs in this process, in a child process and on a cluster; any of them may die
at any moment, because whoever asked holds the checkpoint and asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from modiste.data.load import TrainingData
from modiste.errors import SpecError
from modiste.runs.run import RunRecord
from modiste.spec.parts import Estimator
from modiste.spec.run import RunSpec
from modiste.train import one_go
from modiste.train.loop import Tick
from modiste.train.record import is_out_of_memory, record
from modiste.train.session import Session
from modiste.train.task import Outcome, Progress, Task

# How often a long step is asked whether to stop, and how often progress is told, in seconds.
PATIENCE_SECONDS = 0.05
TELL_SECONDS = 0.5


class Worker:
    """Does tasks, one after another, and remembers the last run only to save time.

    Args:
        load: Gives the data for a spec.
    """

    def __init__(self, load: Callable[[RunSpec], TrainingData]) -> None:
        self._load = load
        self._last: tuple[bytes, Session] | None = None

    def work(
        self,
        task: Task,
        tell: Callable[[Progress], Any] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Do a task until it is finished, the time is up, or somebody wants to stop.

        Args:
            task: What is to be done.
            tell: Called now and then with how the run stands.
            should_stop: Asked now and then; the checkpoint then comes back at once.

        Raises:
            ModisteError: If the spec, data and checkpoint do not belong together.
        """
        began = asked = told = time.monotonic()
        try:
            if isinstance(task.spec.model.params, Estimator):
                return self._in_one_go(task, tell, should_stop)
            session = self._session(task)
            steps = _to_the_end(session)
            while True:
                try:
                    tick = next(steps)
                except StopIteration as end:
                    self._last = None
                    is_cut = (
                        task.spec.train.until is not None and session.state.status != "diverged"
                    )
                    checkpoint = session.save() if is_cut else None
                    return Outcome(task.fingerprint, checkpoint, end.value)
                now = time.monotonic()
                if now - told >= TELL_SECONDS:
                    told = now
                    tell(_progress(task, session, tick))
                if now - asked >= PATIENCE_SECONDS:
                    asked = now
                    # Inference begins anew after a cut, so only updates count as getting on: a
                    # slice that could end anywhere else might never come past a long inference.
                    is_time_up = tick.phase == "train" and now - began >= task.seconds
                    if is_time_up or should_stop():
                        saved = session.save()
                        self._last = saved, session
                        return Outcome(task.fingerprint, checkpoint=saved)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._last = None
            return Outcome(
                task.fingerprint,
                record=record(task.spec, self._load(task.spec), "out_of_memory", str(error)),
            )

    def _in_one_go(
        self, task: Task, tell: Callable[[Progress], Any], should_stop: Callable[[], bool]
    ) -> Outcome:
        told = 0.0

        def listen(seconds: float) -> bool:
            nonlocal told
            if seconds - told >= TELL_SECONDS:
                told = seconds
                tell(Progress(task.fingerprint, 0, 0, "fit", int(seconds), 0, None))
            return should_stop()

        self._last = None
        data = self._load(task.spec)
        try:
            found = one_go.compute(task.spec, data, listen)
        except SpecError as error:  # no such model of so many images; other points may have one
            found = record(task.spec, data, "failed", str(error))
        return Outcome(task.fingerprint, record=found)

    def _session(self, task: Task) -> Session:
        if self._last is not None:
            checkpoint, session = self._last
            if session.spec == task.spec and checkpoint == task.checkpoint:
                return session
            self._last = None
        return Session(task.spec, self._load(task.spec), task.checkpoint)


def _to_the_end(session: Session) -> Generator[Tick, None, RunRecord]:
    yield from session.advance()
    return (yield from session.finish())


def _progress(task: Task, session: Session, tick: Tick) -> Progress:
    history = session.state.history
    return Progress(
        task.fingerprint,
        session.state.epoch,
        task.spec.train.last_epoch,
        tick.phase,
        tick.done,
        tick.total,
        history[-1].val_accuracy if history else None,
    )
