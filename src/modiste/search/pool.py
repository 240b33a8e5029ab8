"""Child processes that work: started, fed, watched, and replaced when they die."""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol, Self

from modiste.data.load import TrainingData, divide, map_arrays
from modiste.data.types import ImageSet
from modiste.errors import ModisteError, SpecError, StoreError, first_sentence
from modiste.search.children import Child, start
from modiste.spec.run import DataSpec, RunSpec
from modiste.train.task import Outcome, Progress, Sample, Task

# Children in a row that end before they can take a task, until no more are started.
STARTS_ALLOWED = 3


@dataclass(frozen=True)
class Ready:
    """The first word of a child: whatever ends it from now on, it could be started."""


@dataclass(frozen=True)
class Death:
    """A worker that ended in the middle of a task: killed, out of memory, or a broken library.

    Attributes:
        exit_code: Of a child of this process.
        reason: Of one elsewhere.
        had_begun: Whether it had taken the task. If not, its end says nothing of the task.
    """

    fingerprint: str
    exit_code: int | None
    reason: str = ""
    had_begun: bool = True

    def __str__(self) -> str:
        if self.reason:
            return f"the worker was lost ({self.reason})"
        when = "" if self.had_begun else " at its start"
        return f"the worker process {_ended(self.exit_code)}{when}"


def _ended(code: int | None) -> str:
    if code is None:
        return "ended, and so did the process that would have heard how"
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        name = known.get(-code, f"signal {-code}")  # real-time signals have no names
        hint = " (the kernel does so when memory runs out)" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    return f"ended with status {code}"


@dataclass(frozen=True)
class Trouble:
    """An exception in a child: a mistake in the spec (`is_ours` false), or a bug."""

    fingerprint: str
    text: str
    is_ours: bool


Load = Callable[[RunSpec], TrainingData]
Event = Progress | Outcome | Sample | Death | Trouble


class Works(Protocol):
    """What a child does with its tasks: a `Worker` trains, a `Prober` measures."""

    def work(
        self, task: Task, tell: Callable[[Progress], Any], should_stop: Callable[[], bool]
    ) -> Outcome | Sample:
        """Do a task, asking now and then whether to stop."""


class Workers(Protocol):
    """Who does the tasks of a study: children of this process, itself, or a cluster.

    A task that was submitted ends with one event that is no `Progress`: an `Outcome`, a `Death`
    or a `Trouble`. Nobody else keeps its checkpoint, so any worker may be lost at any moment.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    @property
    def num_threads(self) -> int | None:
        """For how many there is room in all; none if whoever drives has to say."""

    @property
    def running(self) -> list[str]:
        """Fingerprints of the runs under way."""

    def need_room(self, specs: Sequence[RunSpec]) -> None:
        """Find out whether each of these runs can ever begin, and finds there what it needs.

        Raises:
            SpecError: If one cannot; says how much room there is, or what is to be asked for.
        """

    def submit(self, task: Task) -> None:
        """Hand a task to a worker; another one is started if none is idle.

        Raises:
            StoreError: If none can be started.
        """

    def stop(self, fingerprints: Collection[str] | None = None) -> None:
        """Ask workers to come back with a checkpoint at once: those at these runs, or all."""

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        """What the workers have to say, waiting at most so long for the first word.

        Raises:
            StoreError: If they are lost, and none can be started in their place.
        """


# Starts workers, given a folder written by `save_arrays` and the digest of its images.
Start = Callable[[Path, str], Workers]


def training(load: Load) -> Works:
    """A worker that trains. It is imported where it works: who drives others needs no torch."""
    from modiste.train.work import Worker

    return Worker(load)


class Pool:
    """Child processes, each of which works on one task at a time.

    One that ends at its start is no fault of its task, so that the task may be handed out again;
    but where several in a row do, none can be started, and nothing is waited for.

    Args:
        arrays: A folder written by `save_arrays`; children map it, so images exist once.
        data_digest: Of those images.
        worker: Makes a child's worker, given what loads the data for a spec.
    """

    def __init__(
        self, arrays: Path, data_digest: str, worker: Callable[[Load], Works] = training
    ) -> None:
        self._arrays = arrays
        self._digest = data_digest
        self._worker = worker
        self._idle: list[Child] = []
        self._busy: dict[Connection, tuple[Child, str]] = {}
        self._failed_starts = 0  # since a child was ready the last time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        everyone = [*self._idle, *(child for child, _ in self._busy.values())]
        for child in everyone:
            child.connection.close()  # it ends by itself
        for child in everyone:
            if not child.join(2.0):
                child.kill()

    @property
    def num_threads(self) -> None:
        return None

    @property
    def running(self) -> list[str]:
        """Fingerprints of the runs under way."""
        return [fingerprint for _, fingerprint in self._busy.values()]

    def need_room(self, specs: Sequence[RunSpec]) -> None:
        """There always is: threads share cores if they have to."""

    def submit(self, task: Task) -> None:
        """Hand a task to an idle child, or to a new one."""
        while True:
            child = self._idle.pop() if self._idle else self._start()
            try:
                child.connection.send(task)
            except OSError:  # it died while it had nothing to do, or at its start
                child.join(5.0)
                self._note_end(child)
                continue
            self._busy[child.connection] = child, task.fingerprint
            return

    def stop(self, fingerprints: Collection[str] | None = None) -> None:
        """Ask children to come back with a checkpoint at once: those at these runs, or all."""
        for connection, (_, fingerprint) in self._busy.items():
            if fingerprints is not None and fingerprint not in fingerprints:
                continue
            with contextlib.suppress(OSError):  # its death is the next event
                connection.send("stop")

    def kill(self) -> None:
        """End every child now, whatever it is doing."""
        for child in [*self._idle, *(child for child, _ in self._busy.values())]:
            child.kill()

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        """What the children have to say, waiting at most so long for the first word."""
        for ready in wait(list(self._busy), timeout_seconds):
            assert isinstance(ready, Connection)
            child, fingerprint = self._busy[ready]
            try:
                event: Event | Ready = ready.recv()
            except (EOFError, OSError):
                del self._busy[ready]
                child.join(5.0)
                self._note_end(child)
                yield Death(fingerprint, child.exit_code, had_begun=child.is_ready)
                continue
            if isinstance(event, Ready):
                child.is_ready = True
                self._failed_starts = 0
                continue
            if not isinstance(event, Progress):
                del self._busy[ready]
                if _is_given_up(event):
                    child.kill()
                else:
                    self._idle.append(child)
            yield event

    def _note_end(self, child: Child) -> None:
        """Give up once several children in a row have ended at their start."""
        self._failed_starts += not child.is_ready
        if self._failed_starts >= STARTS_ALLOWED:
            text = _cannot_start(self._failed_starts, child.exit_code)
            raise StoreError(text) from None  # the pipe that broke tells nobody anything

    def _start(self) -> Child:
        return start(_serve, self._arrays, self._digest, self._worker)


def _is_given_up(event: Event) -> bool:
    """Whether a child has left a work that nothing interrupts, and which goes on inside it."""
    return isinstance(event, Outcome) and event.record is None and event.checkpoint is None


def _cannot_start(count: int, exit_code: int | None) -> str:
    """Why there are no children, and what to do."""
    text = f"no worker process can be started: {count} in a row ended at their start. "
    text += f"The last one {_ended(exit_code)}. Nothing is stored of it, and all else is saved. "
    here = '`--workers here` (num_workers="here" in Python) needs no worker process.'
    if (script := _script_without_guard()) is not None:
        return (
            f"{text}Each of them runs {script} again, up to this very call, because the script has "
            f'no `if __name__ == "__main__":`. Put what it does below such a line. Or {here}'
        )
    if exit_code is not None and exit_code < 0:
        return f"{text}Make room, ask for fewer --workers, or do without: {here}"
    return f"{text}What it printed says why. Mend that, or do without: {here}"


def _script_without_guard() -> Path | None:
    """The script that a child would run again as a whole; none if it has a guard, or is none."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:
        return None  # typed in, or a module that was named with -m
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return None if "__main__" in text else Path(file)


def _serve(
    connection: Connection,
    arrays: Path,
    data_digest: str,
    make: Callable[[Load], Works] = training,
) -> None:
    """A child's life: take a task, work, answer; end when the driver is gone."""
    worker = make(loader(map_arrays(arrays), data_digest))
    try:
        connection.send(Ready())
        while True:
            task = connection.recv()
            if isinstance(task, Task):
                connection.send(_answer(worker, task, connection))
    except (EOFError, OSError):  # nobody is there to be answered
        return


def loader(images: ImageSet, data_digest: str) -> Load:
    """Gives the data for a spec, and keeps the last division that it made."""
    divided: dict[DataSpec, TrainingData] = {}

    def load(spec: RunSpec) -> TrainingData:
        if spec.data not in divided:
            divided.clear()
            divided[spec.data] = divide(images, spec.data, data_digest)
        return divided[spec.data]

    return load


def _answer(worker: Works, task: Task, connection: Connection) -> Event:
    def should_stop() -> bool:
        return connection.poll() and connection.recv() == "stop"

    try:
        return answer(lambda: worker.work(task, connection.send, should_stop), task.fingerprint)
    except (EOFError, OSError) as error:  # if it is the driver that is gone, so is who hears this
        return Death(task.fingerprint, None, first_sentence(error))


def answer(work: Callable[[], Outcome | Sample], fingerprint: str) -> Outcome | Sample | Trouble:
    """What a worker gives back; an exception travels as words."""
    try:
        return work()
    except (EOFError, OSError):
        raise
    except ModisteError as error:
        return Trouble(fingerprint, str(error), is_ours=False)
    except Exception:  # noqa: BLE001 (goes to the driver, which raises it)
        return Trouble(fingerprint, traceback.format_exc(), is_ours=True)


def raise_trouble(trouble: Trouble) -> None:
    """Turn a child's exception into one of this process."""
    if trouble.is_ours:
        raise RuntimeError(
            f"in the worker process of run {trouble.fingerprint[:16]}:\n{trouble.text}"
        )
    raise SpecError(trouble.text)
