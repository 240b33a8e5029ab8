"""A probe measures in real worker processes, all of them busy at once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from modiste.errors import SpecError
from modiste.search import probe as probing
from modiste.search.kinds import Kind, kind_of
from modiste.search.plan import forecast
from modiste.search.pool import Death, Event, Trouble
from modiste.search.probe import kinds_to_probe, probe
from modiste.search.survey import AskedStage, Done, PlannedRun, Survey
from modiste.spec.run import RunSpec
from modiste.train.task import Sample, Task
from tests import small


def trial(name: str, done: Done | None = None, **settings: Any) -> PlannedRun:
    spec = small.run_spec({key.replace("__", "."): value for key, value in settings.items()})
    return PlannedRun("one", spec, name, 90, 30, 10, kind_of(spec, (1, 28, 28), 10), done=done)


def surveyed(*trials: PlannedRun) -> Survey:
    part = AskedStage("one", tuple((t.fingerprint,) for t in trials))
    return Survey((part,), {t.fingerprint: t for t in trials})


def kinds(*all_units: int, **settings: Any) -> dict[Kind, RunSpec]:
    """One kind for each number of hidden units."""
    trials = [trial(str(units), model__params__hidden=[units], **settings) for units in all_units]
    return {t.kind: t.spec for t in trials if t.kind is not None}


# --- which kinds ----------------------------------------------------------------------------------


def test_every_kind_of_work_to_do_is_probed_once() -> None:
    trials = [trial("a"), trial("b", train__epochs=7), trial("c", model__params__hidden=[5])]
    assert set(kinds_to_probe(surveyed(*trials))) == {trials[0].kind, trials[2].kind}


def test_kinds_that_finished_runs_tell_of_are_not_but_for_the_dearest() -> None:
    done = Done(3, 6.0, is_good=True, is_from_here=True, kept_bytes=0, weights_bytes=0)
    trials = [
        trial("a", model__params__hidden=[5]),
        trial("b", model__params__hidden=[5], seed=1, done=done),
        trial("c", model__params__hidden=[6]),
        trial("d", model__params__hidden=[60]),
        trial("e", model__params__hidden=[60], seed=1, done=done),
    ]
    assert set(kinds_to_probe(surveyed(*trials))) == {trials[2].kind, trials[3].kind}
    assert kinds_to_probe(surveyed(trials[1], trials[4])) == {}


# --- in what order and company --------------------------------------------------------------------


class Invented:
    """A pool that takes invented time, and tells who worked at once."""

    # Seconds of the invented clock for each kind's hidden units; None: its worker dies over it.
    seconds: dict[int, float | None] = {}
    now = 0.0
    companies: list[list[int]] = []
    trouble: Trouble | None = None
    failed_starts = 0

    def __init__(self, arrays: Path, data_digest: str, worker: Any) -> None:
        self._tasks: dict[str, tuple[float, Task]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def kill(self) -> None: ...

    @property
    def running(self) -> list[str]:
        return list(self._tasks)

    def submit(self, task: Task) -> None:
        assert task.fingerprint not in self._tasks
        end = Invented.now + (Invented.seconds[units_of(task.spec)] or 1.0)
        self._tasks[task.fingerprint] = end, task
        Invented.companies.append([units_of(task.spec) for _, task in self._tasks.values()])

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        if not self._tasks:
            return
        name = min(self._tasks, key=lambda key: self._tasks[key][0])
        Invented.now, task = self._tasks.pop(name)
        seconds = Invented.seconds[units_of(task.spec)]
        if seconds is None:
            yield Death(name, -9)
        elif Invented.failed_starts:
            Invented.failed_starts -= 1
            yield Death(name, 1, had_begun=False)
        else:
            yield Invented.trouble or Sample(name, seconds / 3, seconds / 1000, 0.5, 10**8)


def units_of(spec: RunSpec) -> int:
    return int(spec.model.params.to_dict()["hidden"][0])


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> type[Invented]:
    Invented.seconds, Invented.companies, Invented.now = {}, [], 0.0
    Invented.trouble, Invented.failed_starts = None, 0
    monkeypatch.setattr(probing, "Pool", Invented)
    monkeypatch.setattr(time, "monotonic", lambda: Invented.now)
    return Invented


def begun(companies: Sequence[Sequence[int]]) -> list[int]:
    return [company[-1] for company in companies]


def test_as_many_are_measured_at_once_as_there_are_workers(invented: type[Invented]) -> None:
    invented.seconds = {1: 1.0, 2: 1.5, 3: 2.0, 4: 4.0}
    found = probe(kinds(1, 2, 3, 4), small.images(), num_workers=2)
    assert len(found.paces) == 4
    assert max(map(len, invented.companies)) == 2
    # While the last of them is measured, another is measured again beside it.
    assert begun(invented.companies)[:4] == [1, 2, 3, 4]
    assert len(invented.companies) > 4
    pace = found.paces[next(iter(kinds(3)))]
    assert pace == pytest.approx((2.0 / 3, 2.0 / 1000))
    assert (found.core_share, found.worker_bytes) == (0.5, 10**8)
    assert found.driver_bytes > 10**7
    assert found.broken == ()


def test_what_needs_two_threads_has_them_and_goes_first(invented: type[Invented]) -> None:
    invented.seconds = {1: 1.0, 2: 1.0, 3: 1.0}
    wide = kinds(3, threads=2)
    probe({**kinds(1, 2), **wide}, small.images(), num_workers=2)
    assert invented.companies[0] == [3]
    assert invented.companies[1] == [1]
    assert invented.companies[2] == [1, 2]


def test_when_the_time_is_up_the_rest_is_left(invented: type[Invented]) -> None:
    nets = range(500, 510)  # of about the same FLOPs, so that one tells of the others
    invented.seconds = dict.fromkeys(nets, 10.0)
    found = probe(kinds(*nets), small.images(), num_workers=1, seconds=25.0)
    assert len(found.paces) == 2  # a third one would end after 30 seconds
    assert found.seconds == pytest.approx(20.0)


def test_a_worker_that_dies_over_a_kind_is_told_and_the_others_are_measured(
    invented: type[Invented],
) -> None:
    invented.seconds = {1: 1.0, 2: None, 3: 1.0}
    found = probe(kinds(1, 2, 3), small.images(), num_workers=1)
    assert len(found.paces) == 2
    assert len(found.broken) == 1
    assert "SIGKILL (the kernel does so when memory runs out)" in found.broken[0]


def test_a_worker_that_ends_at_its_start_blames_no_kind(invented: type[Invented]) -> None:
    invented.seconds, invented.failed_starts = {1: 1.0, 2: 1.0}, 2
    found = probe(kinds(1, 2), small.images(), num_workers=1)
    assert len(found.paces) == 2
    assert not found.broken


def test_when_all_workers_die_no_more_are_started(invented: type[Invented]) -> None:
    invented.seconds = dict.fromkeys(range(1, 10))
    found = probe(kinds(*range(1, 10)), small.images(), num_workers=1)
    assert len(invented.companies) == len(found.broken) == probing.DEATHS_ALLOWED
    assert found.paces == {}


def test_a_mistake_in_the_spec_is_told_as_such(invented: type[Invented]) -> None:
    invented.seconds = {1: 1.0}
    invented.trouble = Trouble("0", "it does not fit", is_ours=False)
    with pytest.raises(SpecError, match="it does not fit"):
        probe(kinds(1), small.images(), num_workers=1)


# --- for real -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_real_workers_measure_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path = tmp_path / "temporary"
    tmp_path.mkdir()
    multiprocessing.util.get_temp_dir()  # Python's own, which it removes when this process ends
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    trials = [trial("a"), trial("b", **{k.replace(".", "__"): v for k, v in small.CNN.items()})]
    found = probe(kinds_to_probe(surveyed(*trials)), small.images(), num_workers=2)
    assert set(found.paces) == {trials[0].kind, trials[1].kind}
    for pace in found.paces.values():
        assert 0 < pace.per_image_inferred < pace.per_update < 5
    # torch alone takes more than 50 MB.
    assert 50_000_000 < found.worker_bytes < 10_000_000_000
    assert 50_000_000 < found.driver_bytes < 10_000_000_000
    assert 0 < found.core_share <= 1
    assert multiprocessing.active_children() == []
    assert list(tmp_path.iterdir()) == []
    assert forecast(surveyed(*trials), found.paces, 2).pace_from == {"measured": 2}
