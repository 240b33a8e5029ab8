"""Real child processes: the same results as in this process, whatever happens to them."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modiste.data.load import divide, save_arrays
from modiste.search.pool import Death, Event, Pool, Trouble
from modiste.search.work_folder import WorkFolder
from modiste.train.task import Outcome, Progress, Task
from modiste.train.work import Worker
from tests import small
from tests.driving import Watched, drive, make, results

pytestmark = pytest.mark.slow  # a child process imports torch, which takes seconds

DATA = small.data()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One for all tests here: each leaves it with nothing to do."""
    arrays = tmp_path_factory.mktemp("arrays")
    save_arrays(small.images(), arrays)
    with Pool(arrays, DATA.digest) as pool:
        yield pool


def answer(pool: Pool) -> Event:
    """The next word of a child that is no progress."""
    while True:
        for event in pool.events(60.0):
            if not isinstance(event, Progress):
                return event


def task(**settings: Any) -> Task:
    spec = small.run_spec({key.replace("__", "."): value for key, value in settings.items()})
    return Task(spec, spec.fingerprint(DATA.digest), None, math.inf)


def weights(event: Event) -> dict[str, bytes]:
    assert isinstance(event, Outcome)
    assert event.record is not None
    return {name: array.tobytes() for name, array in event.record.weights.items()}


def kill_all() -> None:
    for child in multiprocessing.active_children():
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)


def test_a_child_outlives_mistakes_of_the_user_and_of_ours(pool: Pool) -> None:
    pool.submit(task(model={"family": "cnn", "params": {"filters": [2] * 6, "padding": "valid"}}))
    event = answer(pool)
    assert isinstance(event, Trouble)
    assert not event.is_ours
    assert "does not fit" in event.text
    children = multiprocessing.active_children()
    pool.submit(dataclasses.replace(task(), checkpoint=3))  # type: ignore[arg-type]
    event = answer(pool)
    assert isinstance(event, Trouble)
    assert event.is_ours
    assert "Traceback" in event.text
    assert multiprocessing.active_children() == children


def test_a_child_that_is_killed_is_replaced_and_its_work_named(pool: Pool) -> None:
    pool.submit(task())
    weights(answer(pool))  # so that it is ready, whichever test came before
    long = task(train__epochs=10**9)
    pool.submit(long)
    kill_all()
    event = answer(pool)
    assert event == Death(long.fingerprint, -signal.SIGKILL)
    assert "ended by SIGKILL" in str(event)
    assert "ended by signal 40" in str(Death(long.fingerprint, -40))  # a real-time signal's number
    assert pool.running == []
    pool.submit(task())
    weights(answer(pool))
    # Killed with nothing to do: nobody misses it.
    children = multiprocessing.active_children()
    kill_all()
    for child in children:
        child.join()
    # Asked to stop before it has begun, the next one comes back with a checkpoint all the same.
    pool.submit(long)
    pool.stop()
    event = answer(pool)
    assert isinstance(event, Outcome)
    assert event.checkpoint is not None


def test_only_those_are_stopped_that_are_named(pool: Pool) -> None:
    one, two = task(train__epochs=10**9), task(train__epochs=10**8)
    pool.submit(one)
    pool.submit(two)
    pool.stop([one.fingerprint])
    event = answer(pool)
    assert isinstance(event, Outcome)
    assert event.fingerprint == one.fingerprint
    assert pool.running == [two.fingerprint]
    pool.stop()
    assert isinstance(answer(pool), Outcome)


class GivesUp:
    """A worker that leaves its work as one does that nothing interrupts."""

    def __init__(self, load: object) -> None: ...

    def work(self, what: Task, *_: object) -> Outcome:
        return Outcome(what.fingerprint)


def test_a_child_that_gave_a_work_up_ends_with_what_goes_on_inside_it(tmp_path: Path) -> None:
    save_arrays(small.images(), tmp_path)
    before = set(multiprocessing.active_children())
    with Pool(tmp_path, DATA.digest, GivesUp) as pool:
        for _ in range(2):
            pool.submit(task())
            assert isinstance(answer(pool), Outcome)
            assert set(multiprocessing.active_children()) == before


def test_a_study_whose_workers_are_killed_finds_what_it_would_have_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = small.study(
        data={"name": "idx", "num_val": 30},
        model={"family": "mlp", "params": {"hidden": [6], "dropout": 0.2}},
        train={"epochs": 400, "batch_size": 30},
        stages=[{"name": "one", "repeats": 2}],
    )
    saves = 0
    save = WorkFolder.save

    def save_and_kill(self: WorkFolder, fingerprint: str, checkpoint: bytes) -> None:
        nonlocal saves
        save(self, fingerprint, checkpoint)
        saves += 1
        if saves == 3:
            kill_all()

    monkeypatch.setattr(WorkFolder, "save", save_and_kill)
    study, watched = make(tmp_path / "killed", values), Watched()
    assert drive(study, watched, slice_seconds=0.05)
    assert saves > 3
    assert "SIGKILL" in " ".join(watched.notes)
    assert multiprocessing.active_children() == []

    # The same runs in this process, in one piece.
    found = results(study)
    worker = Worker(lambda spec: divide(small.images(), spec.data))
    for row in study.stages()[0].rows:
        for spec, fingerprint in zip(row.specs, row.fingerprints, strict=True):
            record = worker.work(Task(spec, fingerprint, None, math.inf)).record
            assert record is not None
            metrics, _, logits, weights = found[f"one/{row.label}/{spec.seed}"]
            assert metrics == {k: v for k, v in record.metrics.items() if k != "seconds"}
            assert logits == {k: v.tobytes() for k, v in record.predictions.items()}
            last = {k: v for k, v in record.weights.items() if k.startswith("last/")}
            assert list(weights.values()) == [last[f"last/{name}"].tobytes() for name in weights]
    assert len(found) == 2
