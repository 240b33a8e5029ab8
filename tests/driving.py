"""Studies driven in a test: made, run, watched, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modiste.search.driver import Driver
from modiste.search.study import Stage, Study
from modiste.spec.study import Override, StudySpec, check
from modiste.train.task import Progress, Task
from tests import small


@dataclass
class Script:
    """What the pool shall do, and what it was asked for.

    Attributes:
        dies: Asked before each task; true if its worker shall die over it.
        dies_at_start: The same; true if it shall die before it has taken the task.
        tasks: All that were submitted, in order.
    """

    dies: Callable[[Task], bool] = lambda _: False
    dies_at_start: Callable[[Task], bool] = lambda _: False
    tasks: list[Task] = field(default_factory=list)

    @property
    def begun(self) -> list[str]:
        """Fingerprints of runs that were begun from nothing."""
        return [task.fingerprint for task in self.tasks if task.checkpoint is None]


class Watched:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.labels: list[str] = []
        self.num_planned = 0
        self.stages: Sequence[Stage] = ()
        self.at_progress: Callable[[Progress], Any] = lambda _: None

    def planned(self, stages: Sequence[Stage]) -> None:
        self.num_planned += 1
        self.stages = stages

    def progress(self, progress: Progress) -> None:
        self.at_progress(progress)

    def finished(self, stage: object, row: Any, run: object) -> None:
        self.labels.append(row.label)

    def note(self, text: str) -> None:
        self.notes.append(text)


def make(folder: Path, values: dict[str, Any], **more: Any) -> Study:
    """The study folder of a study file with these values."""
    spec = StudySpec.parse(values)
    overrides: list[Override] = more.get("overrides", [])
    check(spec, overrides=overrides)
    given = {"profile": "full", "seed": 0, "data_digest": small.images().digest, **more}
    return Study.create(folder, spec, **given)


def drive(
    study: Study,
    watcher: Any = None,
    should_stop: Callable[[], bool] = lambda: False,
    stages: list[str] | None = None,
    slice_seconds: float = 0.0,
    num_workers: int = 2,
    only: Sequence[Override] = (),
) -> bool:
    driver = Driver(
        study, small.images(), num_workers, watcher or Watched(), should_stop, slice_seconds, only
    )
    return driver.run(stages)


def results(study: Study) -> dict[str, Any]:
    """Everything that a study found, apart from the time it took."""
    found: dict[str, Any] = {}
    for stage in Study(study.folder).stages():
        for row in stage.rows:
            for run in row.runs:
                metrics = {k: v for k, v in run.metrics.items() if k != "seconds"}
                history = [{k: v for k, v in r.items() if k != "seconds"} for r in run.history]
                logits = {k: v.tobytes() for k, v in run.predictions.items()}
                weights: dict[str, bytes] = {}
                if run.has_weights:
                    weights = {k: v.tobytes() for k, v in run.weights("last").items()}
                found[f"{stage.spec.name}/{row.label}/{run.spec.seed}"] = (
                    metrics,
                    history,
                    logits,
                    weights,
                )
    return found
