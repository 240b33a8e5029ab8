"""KerasTuner as its guide to distributed tuning has it: a chief, and a worker for each core.

A worker trains in one thread, as ours do. The ranking is known when the workers have ended; the
chief, who then sleeps for a while, is not waited for.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from benchmarks.engines import Job, Report, Trial
from benchmarks.engines.keras_mlp import ENVIRONMENT as KERAS
from benchmarks.engines.keras_tuner import THREADS

NEEDS = ("keras_tuner", "keras", "tensorflow", "tensorboard")
ENVIRONMENT: Mapping[str, str] = KERAS


def search(job: Job, tell: Callable[[Report], None]) -> None:
    port = _free_port()
    with ExitStack() as stack:
        chief = _start("chief", job, port)
        stack.callback(_end, chief)
        workers = [_start(f"tuner{number}", job, port) for number in range(job.cores)]
        for worker in workers:
            stack.callback(_end, worker)
        told = [worker.communicate()[0] for worker in workers]
        if failed := [worker.returncode for worker in workers if worker.returncode]:
            raise RuntimeError(f"a worker of KerasTuner ended with status {failed[0]}")
        tell(together([Report.parse(json.loads(text)) for text in told if text], job.cores))


def together(reports: list[Report], lanes: int) -> Report:
    """One report of several workers, each of whom knows the ranking and the times of its own."""
    times = {
        (trial.hidden, trial.dropout): trial.seconds
        for report in reports
        for trial in report.trials
        if trial.seconds is not None
    }
    ranked = tuple(
        Trial(trial.hidden, trial.dropout, trial.val_accuracy, times[trial.hidden, trial.dropout])
        for trial in reports[0].trials
    )
    return Report(min(report.began for report in reports), lanes, ranked)


def _start(who: str, job: Job, port: int) -> subprocess.Popen[str]:
    given = {
        "KERASTUNER_TUNER_ID": who,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        THREADS: "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.engines", "keras_tuner", json.dumps(job.to_dict())],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **given},
    )


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
