"""A pool that works in this process, so that a test can say when a worker dies."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

import pytest

from modiste.data.load import divide, map_arrays
from modiste.search.pool import Death, Event
from modiste.train import work
from modiste.train.task import Progress, Task
from modiste.train.work import Worker
from tests.driving import Script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Replaces the pool of child processes, and makes each slice as short as it can be."""
    script = Script()

    class Here:
        def __init__(self, arrays: Path, data_digest: str) -> None:
            images = map_arrays(arrays)
            self._worker = Worker(lambda spec: divide(images, spec.data, data_digest))
            self._tasks: list[Task] = []
            self._stopped: set[str] = set()

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None: ...

        num_threads = None

        @property
        def running(self) -> list[str]:
            return [task.fingerprint for task in self._tasks]

        def submit(self, task: Task) -> None:
            assert task.fingerprint not in self.running, "two workers on one run"
            script.tasks.append(task)
            self._tasks.append(task)

        def stop(self, fingerprints: Collection[str] | None = None) -> None:
            self._stopped.update(self.running if fingerprints is None else fingerprints)

        def events(self, timeout_seconds: float) -> Iterator[Event]:
            task = self._tasks.pop(0)
            if script.dies_at_start(task):
                yield Death(task.fingerprint, 1, had_begun=False)
                return
            if script.dies(task):
                yield Death(task.fingerprint, -9)
                return
            told: list[Progress] = []
            is_stopped = task.fingerprint in self._stopped
            self._stopped.discard(task.fingerprint)
            outcome = self._worker.work(task, told.append, lambda: is_stopped)
            yield from told
            yield outcome

    monkeypatch.setattr("modiste.search.driver.Pool", Here)
    monkeypatch.setattr(work, "PATIENCE_SECONDS", 0.0)
    # Whether bytes reach the disk is tested where they are written; waiting for it here takes
    # most of the time.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return script
