"""What is measured of a run that is only begun."""

from __future__ import annotations

import itertools
import mmap
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modiste.cores import memory_bytes
from modiste.data.batches import INFERRED_AT_ONCE
from modiste.errors import SpecError
from modiste.train import pace
from modiste.train.loop import Tick
from modiste.train.pace import Prober
from modiste.train.task import Sample, Task
from tests import small

SECONDS = 0.05


def sample(settings: dict[str, Any] | None = None) -> Sample:
    spec = small.run_spec(settings)
    return Prober(small.data).work(Task(spec, "name", None, SECONDS))


class Clock:
    """A clock that steps move."""

    now = 0.0

    def steps(self, *ticks: tuple[str, float]) -> Iterator[Tick]:
        for phase, seconds in ticks:
            self.now += seconds
            yield Tick(phase, 0, 0)


class GPU:
    """Does later what it is asked for at once: whoever waits for it moves the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._queued = clock, 0.0

    def wait(self, device: str = "cuda") -> None:
        self._clock.now += self._queued
        self._queued = 0.0

    def epochs(self, num_steps: int, step: float, inference: float) -> Iterator[Tick]:
        while True:
            for done in range(1, num_steps + 1):
                self._queued += step
                yield Tick("train", done, num_steps)
            self.wait()  # the sums of the epoch are asked for
            self._queued += inference
            yield Tick("infer", 1, 1)
            self.wait()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: found.now)
    return found


def timed(steps: Iterator[Tick], seconds: float) -> float:
    return pace._timed(steps, "train", seconds, "cpu", lambda: False)


@pytest.mark.parametrize("settings", [{}, small.CNN, {"train.optimizer": "nadam"}], ids=str)
def test_a_run_is_timed_and_weighed(settings: dict[str, Any]) -> None:
    found = sample(settings)
    assert found.fingerprint == "name"
    assert 0 < found.seconds_per_update < 1
    # An image takes less than an update of 25 of them.
    assert 0 < found.seconds_per_image < found.seconds_per_update
    assert 0 < found.core_share <= 1
    assert 10_000_000 < found.memory_bytes < 50_000_000_000


def test_a_larger_net_takes_longer() -> None:
    # Thousand times the work: no noise of a busy machine makes up for that.
    assert (
        sample({"model.params.hidden": [4096, 512]}).seconds_per_update
        > 3 * sample({"model.params.hidden": [3]}).seconds_per_update
    )


def test_a_run_of_one_update_is_timed_by_it() -> None:
    assert sample({"train.epochs": 1, "train.batch_size": 90}).seconds_per_update > 0


def test_a_run_that_diverges_is_timed_as_far_as_it_goes() -> None:
    wild = {
        "train.optimizer": {"name": "sgd", "learning_rate": 1e30},
        "model.params.hidden": [8, 8],
    }
    assert sample(wild).seconds_per_update > 0


def test_a_net_that_cannot_be_is_said_to_be_none() -> None:
    narrow = {"family": "cnn", "params": {"filters": [2] * 6, "padding": "valid"}}
    with pytest.raises(SpecError, match="does not fit"):
        sample({"model": narrow})


def test_the_first_step_is_not_counted_and_other_phases_are_not(clock: Clock) -> None:
    steps = clock.steps(("train", 9.0), ("train", 1.0), ("infer", 5.0), ("train", 3.0))
    assert timed(steps, 100.0) == pytest.approx(2.0)


def test_it_ends_when_the_time_is_up(clock: Clock) -> None:
    steps = clock.steps(*[("train", 1.0)] * 100)
    assert timed(steps, 5.0) == pytest.approx(1.0)
    assert clock.now == pytest.approx(6.0)  # the first one, and five


def test_of_a_slow_net_one_step_is_enough(clock: Clock) -> None:
    steps = clock.steps(*[("train", 4.0)] * 100)
    assert timed(steps, 1.0) == pytest.approx(4.0)
    assert clock.now == pytest.approx(8.0)


def test_what_a_gpu_still_has_to_do_at_the_end_of_a_phase_counts_there(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = GPU(clock)
    monkeypatch.setattr(pace, "_catch_up", gpu.wait)
    ticks = itertools.islice(gpu.epochs(num_steps=4, step=0.5, inference=7.0), 50)
    assert timed(ticks, 1e9) == pytest.approx(0.5)


def test_on_a_gpu_as_many_images_are_inferred_as_in_a_run() -> None:
    assert pace.NUM_INFERRED["cuda"] == INFERRED_AT_ONCE["cuda"]


def test_a_word_to_stop_is_heard_at_the_next_step() -> None:
    spec = small.run_spec({"train.epochs": 10**9})
    asked = iter([False, False, True, True])
    found = Prober(small.data).work(
        Task(spec, "name", None, 10**9), should_stop=lambda: next(asked, True)
    )
    assert found.seconds_per_update > 0


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_memory_grows_by_what_is_held_and_shrinks_again() -> None:
    before, num_bytes = memory_bytes(), 200_000_000
    # Straight from the kernel: what an allocator hands out may be memory that it kept.
    with mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        for page in range(0, num_bytes, mmap.PAGESIZE):
            held[page] = 1
        grown = memory_bytes() - before
    # Other things come and go meanwhile, but not tens of megabytes.
    assert grown == pytest.approx(num_bytes, abs=30_000_000)
    assert memory_bytes() - before < 30_000_000


def test_memory_of_a_process_that_has_ended_is_nobody_elses() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    with pytest.raises(ProcessLookupError):
        memory_bytes(ended.pid)
