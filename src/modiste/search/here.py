"""A worker in this process: nothing is started, and a debugger or a profiler sees each run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from modiste.data.load import map_arrays
from modiste.errors import first_sentence
from modiste.search.pool import Death, Event, Load, Works, answer, loader, training
from modiste.spec.run import RunSpec
from modiste.train.machine import put_back
from modiste.train.task import Progress, Task


class Here:
    """Runs one after another in this process, whose end is theirs: nobody takes their place.

    Args:
        arrays: A folder written by `save_arrays`.
        data_digest: Of its images.
        tell: Told how the run under way stands, while nobody can ask for events.
        should_stop: Asked while a run is under way, likewise; it then comes back with a checkpoint.
        worker: Makes the worker, given what loads the data for a spec.
    """

    def __init__(
        self,
        arrays: Path,
        data_digest: str,
        tell: Callable[[Progress], Any] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
        worker: Callable[[Load], Works] = training,
    ) -> None:
        self._tell, self._should_stop = tell, should_stop
        self._worker = worker(loader(map_arrays(arrays), data_digest))
        self._tasks: deque[Task] = deque()
        self._stopped: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(put_back())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def num_threads(self) -> int:
        return 1

    @property
    def running(self) -> list[str]:
        return [task.fingerprint for task in self._tasks]

    def need_room(self, specs: Sequence[RunSpec]) -> None:
        """There always is, for one run."""

    def submit(self, task: Task) -> None:
        """Have a task wait for its turn, which comes when somebody asks for events."""
        self._tasks.append(task)

    def stop(self, fingerprints: Collection[str] | None = None) -> None:
        self._stopped.update(self.running if fingerprints is None else fingerprints)

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        """Do the task whose turn it is, however long that takes."""
        if not self._tasks:
            return
        task = self._tasks.popleft()
        is_stopped = task.fingerprint in self._stopped
        self._stopped.discard(task.fingerprint)

        def should_stop() -> bool:
            return is_stopped or self._should_stop()

        try:
            event: Event = answer(
                lambda: self._worker.work(task, self._tell, should_stop), task.fingerprint
            )
        except (EOFError, OSError) as error:  # which ends a child; others may fare better
            event = Death(task.fingerprint, None, first_sentence(error))
        yield event
