"""Worker processes that end at their start: they are replaced, up to a point, and blame no run."""

from __future__ import annotations

import math
import multiprocessing
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modiste.errors import StoreError
from modiste.search.children import Child
from modiste.search.driver import DEATHS_ALLOWED
from modiste.search.pool import STARTS_ALLOWED, Death, Event, Pool, Ready
from modiste.train.task import Outcome, Task
from tests import small
from tests.driving import Script, Watched, drive, make

SPEC = small.run_spec()
NO_PID = 1 << 30  # more than Linux ever gives
TASK = Task(SPEC, "one", None, math.inf)


class Starting(Pool):
    """Its children are no processes: each ends at once with its status, or is ready if it is none.

    One that is ready answers, and then ends too.
    """

    def __init__(self, *codes: int | None) -> None:
        super().__init__(Path(), "")
        self._codes = list(codes)
        self._ends: list[Connection] = []

    def _start(self) -> Child:
        code = self._codes.pop(0)
        ours, theirs = multiprocessing.Pipe()
        if code is None:
            theirs.send(Ready())
            theirs.send(Outcome("one", checkpoint=b"so far"))
            self._ends.append(theirs)
        else:
            self._ends.append(theirs)
            # It takes what it is sent, and is gone before it looks at it.
            ours, theirs = multiprocessing.Pipe()
            theirs.close()
            ours.send = lambda _: None  # type: ignore[method-assign]
        process: Any = SimpleNamespace(
            pid=NO_PID, exitcode=code, join=lambda timeout=None: None, kill=lambda: None
        )
        return Child(process, ours)


def events(pool: Pool, num: int) -> list[Event]:
    """What comes of so many tasks, one after the other."""
    found: list[Event] = []
    for _ in range(num):
        pool.submit(TASK)
        while pool.running:
            found += pool.events(0.0)
    return found


def test_one_that_is_killed_at_its_start_is_replaced() -> None:
    killed = [-signal.SIGKILL] * (STARTS_ALLOWED - 1)
    pool = Starting(*killed, None)
    found = events(pool, STARTS_ALLOWED)
    assert found[:-1] == [Death("one", code, had_begun=False) for code in killed]
    assert "ended by SIGKILL" in str(found[0])
    assert str(found[0]).endswith("at its start")
    assert found[-1] == Outcome("one", checkpoint=b"so far")


def test_one_that_was_ready_begins_the_count_anew() -> None:
    few = [1] * (STARTS_ALLOWED - 1)
    pool = Starting(*few, None, *few, None)
    events(pool, STARTS_ALLOWED)
    for child in pool._idle:
        child.connection.close()
    pool._idle.clear()
    assert events(pool, STARTS_ALLOWED)[-1] == Outcome("one", checkpoint=b"so far")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, r"3 in a row ended at their start\. The last one ended with status 1\."),
        (-signal.SIGKILL, r"ended by SIGKILL .*memory.*Make room"),
    ],
)
def test_where_none_can_be_started_it_says_so_and_what_would_do(code: int, said: str) -> None:
    with pytest.raises(StoreError, match=said) as raised:
        events(Starting(*[code] * STARTS_ALLOWED), STARTS_ALLOWED)
    assert '`--workers here` (num_workers="here" in Python)' in str(raised.value)


def test_one_that_is_gone_before_it_can_be_sent_a_task_counts_too() -> None:
    def gone(_: Task) -> None:
        raise BrokenPipeError

    class Gone(Starting):
        def _start(self) -> Child:
            child = super()._start()
            child.connection.send = gone  # type: ignore[method-assign]
            return child

    with pytest.raises(StoreError, match="no worker process can be started"):
        Gone(*[1] * STARTS_ALLOWED).submit(TASK)


def test_a_run_is_not_failed_for_workers_that_end_at_their_start(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", small.study(data={"name": "idx", "num_val": 30}))
    starts = iter(range(100))
    script.dies_at_start = lambda _: next(starts) < 2 * DEATHS_ALLOWED
    watched = Watched()
    assert drive(study, watched, num_workers=1)
    assert sum("at its start" in note for note in watched.notes) == 2 * DEATHS_ALLOWED
    rows = [row for stage in study.stages() for row in stage.rows]
    assert {run.metrics["status"] for row in rows for run in row.runs} == {"finished"}


@pytest.mark.slow  # four processes that import torch
def test_a_script_without_a_guard_is_told_so_and_none_of_its_runs_is_failed(
    tmp_path: Path, synthetic_folder: Path
) -> None:
    file = small.write_study(tmp_path / "tiny.yaml", small.STUDY)
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from modiste import run_study\n"
        f"run_study({str(file)!r}, out='out', data_folder={str(synthetic_folder)!r}, "
        "num_workers=1)\nprint('done')\n"
    )
    ended = subprocess.run(
        [sys.executable, mine], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "done" not in ended.stdout
    said = ended.stderr.splitlines()[-1]
    assert "StoreError" in said
    assert f"{mine} again" in said
    assert '`if __name__ == "__main__":`' in said
    assert not list((tmp_path / "out" / "runs").glob("*"))


@pytest.mark.slow
def test_whoever_drives_workers_loads_no_torch(tmp_path: Path, synthetic_folder: Path) -> None:
    # A study that ends with a final model draws how it bears stress, in this process.
    file = small.write_study(tmp_path / "tiny.yaml", small.study(stages=small.STUDY["stages"][:1]))
    code = (
        "import sys; from modiste import run_study\n"
        f"run_study({str(file)!r}, out='out', data_folder={str(synthetic_folder)!r}, "
        "num_workers=1)\nprint('torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.stdout == "False\n", ended.stderr
    assert (tmp_path / "out" / "report.html").exists()
