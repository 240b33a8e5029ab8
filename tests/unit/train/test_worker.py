"""A worker is a pure function: the same task gives the same outcome, whoever does it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modiste.data.load import TrainingData
from modiste.errors import ResumeError, SpecError
from modiste.runs.run import RunRecord, write_run
from modiste.spec.run import RunSpec
from modiste.train import work
from modiste.train.task import Outcome, Progress, Task
from modiste.train.work import Worker
from tests import small

SPEC = small.run_spec(small.CNN)
DATA = small.data()
FINGERPRINT = SPEC.fingerprint(DATA.digest)


def task(checkpoint: bytes | None = None, seconds: float = float("inf")) -> Task:
    return Task(SPEC, FINGERPRINT, checkpoint, seconds)


@pytest.fixture
def at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and wishes are asked for after every update, however fast."""
    monkeypatch.setattr(work, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(work, "TELL_SECONDS", 0.0)


def outcomes(make: Callable[[], Worker], limit: int = 1_000) -> list[Outcome]:
    """Slice after slice of no time at all, up to the record."""
    found = [make().work(task(seconds=0.0))]
    while found[-1].record is None:
        assert len(found) < limit, "it does not come to an end"
        found.append(make().work(task(found[-1].checkpoint, seconds=0.0)))
    return found


def weights(record: RunRecord | None) -> dict[str, Any]:
    assert record is not None
    return {name: array.tobytes() for name, array in record.weights.items()}


def timeless(record: RunRecord | None) -> Any:
    assert record is not None
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in record.history]
    metrics = {k: v for k, v in record.metrics.items() if k != "seconds"}
    return rows, metrics, weights(record)


def without_seconds(checkpoint: bytes | None) -> Any:
    assert checkpoint is not None
    size = int.from_bytes(checkpoint[:8], "little")
    counters = json.loads(json.loads(checkpoint[8 : 8 + size])["__metadata__"]["state"])
    counters.pop("seconds")
    for row in counters["history"]:
        row.pop("seconds")
    return counters, checkpoint[8 + size :]


@pytest.mark.usefixtures("at_every_tick")
def test_a_worker_that_remembers_gives_what_a_fresh_one_gives() -> None:
    whole = Worker(lambda _: DATA).work(task())
    one = Worker(lambda _: DATA)
    remembering = outcomes(lambda: one)
    forgetful = outcomes(lambda: Worker(lambda _: DATA))
    assert len(remembering) == len(forgetful)
    for first, second in zip(remembering[:-1], forgetful[:-1], strict=True):
        assert without_seconds(first.checkpoint) == without_seconds(second.checkpoint)
    assert timeless(remembering[-1].record) == timeless(forgetful[-1].record)
    assert timeless(remembering[-1].record) == timeless(whole.record)


@pytest.mark.usefixtures("at_every_tick")
def test_each_slice_gets_on_by_an_update_however_short_it_is() -> None:
    found = outcomes(lambda: Worker(lambda _: DATA))
    assert found[-1].record is not None
    # One update in each slice, and the last one infers: inference alone never ends a slice, or
    # a net that needs longer for it than a slice would never come to an end.
    assert len(found) == found[-1].record.metrics["updates"] + 1
    updates = [without_seconds(outcome.checkpoint)[0]["update"] for outcome in found[:-1]]
    assert updates == list(range(1, len(found)))


@pytest.mark.usefixtures("at_every_tick")
@pytest.mark.parametrize("phase", ["train", "infer"])
def test_a_wish_to_stop_is_granted_at_the_next_tick_in_either_phase(phase: str) -> None:
    told: list[Progress] = []
    worker = Worker(lambda _: DATA)
    stopped = worker.work(task(), told.append, lambda: told[-1].phase == phase)
    assert stopped.checkpoint is not None
    assert [progress.phase for progress in told].count(phase) == 1
    assert told[-1].phase == phase
    after = Worker(lambda _: DATA).work(task(stopped.checkpoint))
    assert timeless(after.record) == timeless(Worker(lambda _: DATA).work(task()).record)


@pytest.mark.usefixtures("at_every_tick")
def test_progress_tells_where_the_run_stands() -> None:
    told: list[Progress] = []
    Worker(lambda _: DATA).work(task(), told.append)
    assert {progress.fingerprint for progress in told} == {FINGERPRINT}
    assert {progress.epochs for progress in told} == {SPEC.train.epochs}
    assert all(1 <= progress.done <= progress.total for progress in told)
    assert [p.epoch for p in told] == sorted(p.epoch for p in told)
    assert told[0].val_accuracy is None
    assert told[-1].val_accuracy is not None


@pytest.mark.usefixtures("at_every_tick")
def test_a_worker_asked_for_another_run_in_between_mixes_nothing_up() -> None:
    worker, other = Worker(lambda _: DATA), small.run_spec(seed=5)
    began = worker.work(task(seconds=float("inf")), should_stop=lambda: True)
    assert began.checkpoint is not None
    fingerprint = other.fingerprint(DATA.digest)
    between = worker.work(Task(other, fingerprint, None, float("inf")))
    after = worker.work(task(began.checkpoint))
    alone = Worker(lambda _: DATA).work(Task(other, fingerprint, None, float("inf")))
    assert timeless(between.record) == timeless(alone.record)
    assert timeless(after.record) == timeless(Worker(lambda _: DATA).work(task()).record)


def test_the_record_and_the_files_of_a_run_are_the_same_from_a_child_process(
    tmp_path: Path,
) -> None:
    ours = Worker(lambda _: DATA).work(task()).record
    assert ours is not None
    # The child has no fixture of ours, sees another global state, and computes another run first.
    code = (
        "import sys, pathlib, numpy, torch, random; torch.manual_seed(99)\n"
        "from tests import small; from modiste.train.work import Task, Worker\n"
        "from modiste.runs.run import write_run\n"
        "data = small.data(); worker = Worker(lambda _: data)\n"
        "for spec in (small.run_spec(), small.run_spec(small.CNN)):\n"
        "    name = spec.fingerprint(data.digest)\n"
        "    record = worker.work(Task(spec, name, None, float('inf'))).record\n"
        "write_run(record, pathlib.Path(sys.argv[1]))\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "theirs")], check=True, cwd=root
    )
    write_run(ours, tmp_path / "ours")
    for name in ("model.safetensors", "predictions-val.npz", "spec.json", "layers.json"):
        one, two = ((tmp_path / who / name).read_bytes() for who in ("ours", "theirs"))
        assert one == two, name


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
    ids=str,
)
def test_running_out_of_memory_is_a_result(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr("modiste.train.session.Network", too_large)
    record = Worker(lambda _: DATA).work(task()).record
    assert record is not None
    assert record.metrics["status"] == "out_of_memory"
    assert record.weights == record.predictions == {}
    write_run(record, tmp_path / "run")


def test_any_other_error_of_the_machine_is_raised() -> None:
    def load(_: RunSpec) -> TrainingData:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Worker(load).work(task())


@pytest.mark.usefixtures("at_every_tick")
def test_a_task_whose_checkpoint_is_of_another_run_is_refused() -> None:
    other = small.run_spec(seed=5)
    fingerprint = other.fingerprint(DATA.digest)
    began = Worker(lambda _: DATA).work(task(), should_stop=lambda: True)
    with pytest.raises(ResumeError):
        Worker(lambda _: DATA).work(Task(other, fingerprint, began.checkpoint, 1.0))


def test_a_net_that_does_not_fit_the_images_is_a_mistake_of_the_user() -> None:
    spec = small.run_spec(
        {"model": {"family": "cnn", "params": {"num_layers": 6, "filters": 2, "padding": "valid"}}}
    )
    with pytest.raises(SpecError, match="does not fit"):
        Worker(lambda _: DATA).work(Task(spec, spec.fingerprint(DATA.digest), None, 1.0))


@pytest.mark.usefixtures("at_every_tick")
def test_an_outcome_is_a_checkpoint_or_a_record_and_never_both() -> None:
    began = Worker(lambda _: DATA).work(task(), should_stop=lambda: True)
    ended = Worker(lambda _: DATA).work(task())
    assert began.checkpoint is not None
    assert began.record is None
    assert ended.checkpoint is None
    assert ended.record is not None
