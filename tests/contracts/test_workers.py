"""What all workers promise: children of this process, this process itself, and a Ray cluster."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modiste.data.load import divide, save_arrays
from modiste.search.driver import Driver
from modiste.search.here import Here
from modiste.search.pool import Death, Event, Pool, Start, Trouble, Workers
from modiste.search.ray_pool import RayPool
from modiste.train.task import Outcome, Progress, Task
from modiste.train.work import Worker
from tests import small
from tests.driving import Watched, drive, make, results
from tests.ray_cluster import two_nodes

pytestmark = pytest.mark.slow  # child processes

DATA = small.data()
BROKEN = 7


class Breaks(Worker):
    """A worker of a machine that is broken for one seed."""

    def work(self, task: Task, *more: Any) -> Outcome:
        if task.spec.seed == BROKEN:
            raise OSError(28, "No space left on device")
        return super().work(task, *more)


@pytest.fixture(
    name="start",
    scope="module",
    params=["children", "here", pytest.param("ray", marks=pytest.mark.ray)],
)
def _start(request: pytest.FixtureRequest) -> Iterator[Start]:
    if request.param != "ray":
        yield partial({"children": Pool, "here": Here}[request.param], worker=Breaks)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # nobody waits for anything else
        with two_nodes() as (address, _):
            yield partial(RayPool, address=address, worker=Breaks)


@pytest.fixture(scope="module")
def workers(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """For all tests here: each leaves them with nothing to do."""
    arrays = tmp_path_factory.mktemp("arrays")
    save_arrays(small.images(), arrays)
    with start(arrays, DATA.digest) as workers:
        yield workers


def task(checkpoint: Any = None, **settings: Any) -> Task:
    spec = small.run_spec({key.replace("__", "."): value for key, value in settings.items()})
    return Task(spec, spec.fingerprint(DATA.digest), checkpoint, math.inf)


def answer(workers: Workers, what: Task) -> Event:
    """What becomes of a task; whoever did it has nothing to do then."""
    workers.submit(what)
    return wait(workers, what)


def wait(workers: Workers, what: Task) -> Event:
    assert workers.running == [what.fingerprint]
    while True:
        for event in workers.events(60.0):
            assert event.fingerprint == what.fingerprint
            if not isinstance(event, Progress):
                assert workers.running == []
                return event


def found(event: Event) -> dict[str, bytes]:
    assert isinstance(event, Outcome)
    assert event.record is not None
    return {name: array.tobytes() for name, array in event.record.weights.items()}


def alone(what: Task) -> dict[str, bytes]:
    return found(Worker(lambda spec: divide(small.images(), spec.data)).work(what))


def test_they_compute_what_a_worker_alone_computes(workers: Workers) -> None:
    what = task(model={"family": "mlp", "params": {"hidden": [6], "dropout": 0.2}})
    assert found(answer(workers, what)) == alone(what)


def test_a_run_that_is_stopped_goes_on_from_its_checkpoint(workers: Workers) -> None:
    what = task(train__epochs=10**6)
    workers.submit(what)
    workers.stop()
    event = wait(workers, what)
    assert isinstance(event, Outcome)
    if event.checkpoint is not None:  # one that had not begun may come back with none
        again = dataclasses.replace(what, checkpoint=event.checkpoint, seconds=0.0)
        event = answer(workers, again)
        assert isinstance(event, Outcome)
        assert event.checkpoint not in (None, again.checkpoint)


def test_mistakes_come_back_in_words_and_harm_nobody(workers: Workers) -> None:
    wrong = {"family": "cnn", "params": {"filters": [2] * 6, "padding": "valid"}}
    event = answer(workers, task(model=wrong))
    assert isinstance(event, Trouble)
    assert not event.is_ours
    assert "does not fit" in event.text
    event = answer(workers, task(checkpoint=3))
    assert isinstance(event, Trouble)
    assert event.is_ours
    assert "Traceback" in event.text
    found(answer(workers, task()))


def test_what_the_machine_breaks_is_a_death(workers: Workers) -> None:
    event = answer(workers, task(seed=BROKEN))
    assert isinstance(event, Death)
    assert "No space left on device" in str(event)
    found(answer(workers, task()))


SEARCH: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    model={"family": "mlp", "params": {"hidden": [6], "dropout": 0.2}},
    train={"epochs": 3, "batch_size": 30, "optimizer": {"name": "sgd"}},
    stages=[
        {
            "name": "search",
            "search": {
                "method": "random",
                "trials": 4,
                "tune": {"train.optimizer.learning_rate": {"low": 0.01, "high": 0.1, "log": True}},
                "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
            },
        },
        {"name": "best", "from": ["search"], "repeats": 2},
    ],
)


@pytest.fixture(scope="module")
def by_one_child(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a study finds with one child, its runs in one piece."""
    study = make(tmp_path_factory.mktemp("child") / "study", SEARCH)
    assert drive(study, slice_seconds=math.inf, num_workers=1)
    return results(study)


def test_a_study_finds_the_same_with_any_of_them(
    workers: Workers, start: Start, by_one_child: dict[str, Any], tmp_path: Path
) -> None:
    study = make(tmp_path / "study", SEARCH)
    assert Driver(study, small.images(), 2, Watched(), slice_seconds=0.0, start=start).run()
    assert results(study) == by_one_child
