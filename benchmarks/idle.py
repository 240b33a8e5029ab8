"""What the engine of a search costs: trials that do nothing, two at a time, all of it kept.

    python -m benchmarks.idle [--trials 100] [--peers optuna,ray] [--json FILE]

Ours is a study as any other: a random search with a driver, two child processes, a run folder and
whatever else is written for each trial; only the work is left out. Start-up (children that load
torch, a cluster) is over when the first trial is, and is told apart. Beside it, as often:

    optuna   its own loop with a SQLite database, in one thread; nothing but the database is kept
    ray      Ray Tune (pip install 'ray[tune]'), two trials at a time, with its files; to seconds
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modiste.data.load import TrainingData
from modiste.data.types import ImageSet
from modiste.runs.environment import environment
from modiste.runs.run import RunRecord
from modiste.search.driver import Driver
from modiste.search.pool import Load, Pool
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from modiste.train.record import record
from modiste.train.task import Outcome, Task

NUM_VAL = 1_000


@dataclass(frozen=True)
class Cost:
    """What trials that do nothing took.

    Attributes:
        seconds: From the end of the first trial to the end of the last.
        startup_seconds: Until the first had ended.
        growth_bytes: By how much more memory this process used at the most after the last trial
            than after the first third of them; of ours alone.
    """

    trials: int
    seconds: float
    startup_seconds: float
    growth_bytes: int | None = None


class Idler:
    """A worker that does nothing: its runs have figures, logits and an epoch, and took no time."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def work(self, task: Task, tell: object, should_stop: object) -> Outcome:
        return Outcome(task.fingerprint, record=nothing(task, self._load(task.spec)))


def nothing(task: Task, data: TrainingData) -> RunRecord:
    """What a run of a real size would leave behind."""
    correct = int(task.fingerprint[:8], 16) % NUM_VAL
    measured = {"loss": 1.0, "accuracy": correct / NUM_VAL, "correct": correct, "total": NUM_VAL}
    figures = {"epoch": 1, "train": measured, "val": measured}
    empty = record(task.spec, data, "finished", "did nothing")
    row = dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "learning_rate"), 0.5)
    logits_NK = np.zeros((NUM_VAL, 10), np.float32)
    return RunRecord(
        **{
            **vars(empty),
            "history": [{"epoch": 1, **row, "val_accuracy": correct / NUM_VAL, "seconds": 0.0}],
            "metrics": {**empty.metrics, "epochs": 1, "best": figures, "last": figures},
            "predictions": {
                "logits_best_NK": logits_NK,
                "logits_last_NK": logits_NK,
                "labels": data.val.labels_N,
                "image_ids": data.val.ids_N,
            },
        }
    )


class Clock:
    """A watcher that notes when trials end, and how much memory this process has by then."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.memory_bytes: list[int] = []

    def planned(self, stages: object) -> None: ...

    def progress(self, progress: object) -> None: ...

    def finished(self, stage: object, row: object, run: object) -> None:
        self.ends.append(time.perf_counter())
        self.memory_bytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    def note(self, text: str) -> None:
        raise AssertionError(text)


def idle_study(num_trials: int) -> StudySpec:
    """A random search, as many trials as that."""
    return StudySpec.parse(
        {
            "name": "idle",
            "data": {"name": "idx", "num_val": NUM_VAL},
            "model": {"family": "mlp", "params": {"hidden": [16]}},
            "train": {"epochs": 1, "optimizer": {"name": "adam"}},
            "stages": [
                {
                    "name": "search",
                    "search": {
                        "method": "random",
                        "trials": num_trials,
                        "tune": {
                            "train.optimizer.learning_rate": {"low": 1e-4, "high": 1e-1},
                            "model.params.dropout": {"low": 0.0, "high": 0.9},
                        },
                    },
                }
            ],
        }
    )


def blank_images() -> ImageSet:
    """As few as there may be, of the usual size."""
    labels_N = np.arange(2 * NUM_VAL) % 10
    images = np.zeros((2 * NUM_VAL, 1, 28, 28), np.uint8)
    return ImageSet(images, labels_N, tuple("0123456789"), np.arange(2 * NUM_VAL), "train")


def ours(folder: Path, num_trials: int) -> Cost:
    """A study from its first trial to its last."""
    images = blank_images()
    study = Study.create(
        folder / "study",
        idle_study(num_trials),
        profile="full",
        seed=0,
        data_digest=images.digest,
    )
    clock = Clock()
    began = time.perf_counter()

    def start(arrays: Path, data_digest: str) -> Pool:
        return Pool(arrays, data_digest, Idler)

    assert Driver(study, images, 2, clock, start=start).run()
    assert len(clock.ends) == num_trials
    growth = clock.memory_bytes[-1] - clock.memory_bytes[num_trials // 3]
    return Cost(num_trials, clock.ends[-1] - clock.ends[0], clock.ends[0] - began, growth)


def optuna_loop(folder: Path, num_trials: int) -> Cost:
    """Optuna's `optimize` with a SQLite database; start-up is its schema."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    began = time.perf_counter()
    ends: list[float] = []

    def objective(trial: Any) -> float:
        trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        trial.suggest_float("dropout", 0.0, 0.9)
        return 0.5

    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'optuna.db'}", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    note = lambda study, trial: ends.append(time.perf_counter())  # noqa: E731
    study.optimize(objective, num_trials, callbacks=[note])
    return Cost(num_trials, ends[-1] - ends[0], ends[0] - began)


def ray_tune(folder: Path, num_trials: int) -> Cost:
    """Ray Tune, two trials at a time, as its own trial functions report their ends."""
    import ray
    from ray import tune

    began = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    def objective(config: dict[str, float]) -> dict[str, float]:
        return {"accuracy": 0.5}

    space = {"learning_rate": tune.loguniform(1e-4, 1e-1), "dropout": tune.uniform(0.0, 0.9)}
    tuner = tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=num_trials, max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    ends = sorted(found.metrics["timestamp"] for found in tuner.fit())
    took = time.perf_counter() - began
    ray.shutdown()
    return Cost(num_trials, float(ends[-1] - ends[0]), took - float(ends[-1] - ends[0]))


SIDES: dict[str, Callable[[Path, int], Cost]] = {
    "modiste": ours,
    "optuna": optuna_loop,
    "ray": ray_tune,
}


def main() -> None:
    """Measure all sides, and print a line of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--peers", default="optuna", help="of: optuna, ray")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Cost] = {}
    for name in ("modiste", *filter(None, given.peers.split(","))):
        with tempfile.TemporaryDirectory(prefix="modiste-idle-") as folder:
            cost = found[name] = SIDES[name](Path(folder), given.trials)
        print(
            f"{name}: {cost.seconds:.2f} s for {cost.trials} trials, start-up "
            f"{cost.startup_seconds:.1f} s"
            + ("" if cost.growth_bytes is None else f", {cost.growth_bytes / 1e6:+.1f} MB")
        )
    if given.json is not None:
        value = {"environment": environment(), "load": os.getloadavg()[0]}
        costs = {name: asdict(cost) for name, cost in found.items()}
        given.json.write_text(json.dumps({**value, "costs": costs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
