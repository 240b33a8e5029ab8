"""modiste: a study with one stage, as many one-thread workers as cores; its report comes after.

The ranking is the leaderboard, with its intervals, as `modiste leaderboard` reads it from the
folder; it is known as soon as the last run is stored.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.engines import Job, Report, Slice, Trial

NEEDS = ("torch",)
ENVIRONMENT: Mapping[str, str] = {}


def study_of(part: Slice) -> dict[str, Any]:
    """The reference study's `mlp-grid` with these points alone; what is not said is as there."""
    grid = {
        "model.params.hidden": [list(shape) for shape in part.hidden],
        "model.params.dropout": list(part.dropouts),
    }
    return {
        "name": "mlp-slice",
        "rank_epoch": "last",
        "preset": "keras",
        "threads": 1,
        "data": {"name": "fashion-mnist", "num_val": 12_000, "scaling": "unit"},
        "train": {
            "epochs": part.epochs,
            "batch_size": part.batch_size,
            "optimizer": {"name": "adam", "learning_rate": 0.001},
        },
        "stages": [{"name": "mlp-grid", "model": {"family": "mlp"}, "grid": grid}],
    }


class Clock:
    """A watcher that notes when the first training began, and tells the ranking after the last."""

    def __init__(self, job: Job, folder: Path, tell: Callable[[Report], None]) -> None:
        self._job = job
        self._folder = folder
        self._tell = tell
        self._began: float | None = None
        self._left = job.slice.num_trials

    def planned(self, stages: object) -> None: ...

    def progress(self, progress: object) -> None:
        # A worker says its first word so long after it took up a run.
        from modiste.train.work import TELL_SECONDS

        if self._began is None:
            self._began = time.time() - TELL_SECONDS

    def finished(self, stage: object, row: object, run: Any) -> None:
        if self._began is None:
            self._began = time.time() - run.metrics["seconds"]
        self._left -= 1
        if self._left == 0:
            self._tell(Report(self._began, self._job.cores, ranking(self._folder)))

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)


def ranking(folder: Path) -> tuple[Trial, ...]:
    """The finished rows of a study's leaderboard."""
    from modiste.search.study import Study

    return tuple(
        Trial(
            tuple(line["model.params.hidden"]),
            line["model.params.dropout"],
            line["val_accuracy"],
            line["seconds"],
        )
        for line in Study.open(folder).table()
        if line["rank"] is not None
    )


def search(job: Job, tell: Callable[[Report], None]) -> None:
    from modiste.api.study import run_study

    folder = Path(job.folder) / "study"
    run_study(
        study_of(job.slice),
        profile="full",
        out=folder,
        num_workers=job.cores,
        data_folder=job.data,
        watcher=Clock(job, folder, tell),
    )
