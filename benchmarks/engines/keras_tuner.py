"""KerasTuner: `GridSearch` with a `HyperModel`, one training at a time on all cores.

It keeps the weights of each trial's best epoch, inside `fit`, and ranks by that epoch. Its choices
are words and numbers, so a shape is a word here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.engines import Job, Report, Trial
from benchmarks.engines.keras_mlp import ENVIRONMENT as KERAS
from benchmarks.engines.keras_mlp import Point, Stopwatch, compiled, ready

# It asks for TensorBoard before its first trial, and does not bring it along.
NEEDS = ("keras_tuner", "keras", "tensorflow", "tensorboard")
ENVIRONMENT: Mapping[str, str] = KERAS
# Beside KerasTuner's own variables: threads of one worker of several.
THREADS = "MODISTE_BENCHMARK_THREADS"


def search(job: Job, tell: Callable[[Report], None]) -> None:
    import keras_tuner

    x_train, y_train, x_val, y_val = ready(job, int(os.environ.get(THREADS, job.cores)))
    shapes = ["-".join(map(str, shape)) for shape in job.slice.hidden]
    watch = Stopwatch()

    class Mlps(keras_tuner.HyperModel):  # type: ignore[misc, unused-ignore]
        def build(self, hp: Any) -> Any:
            hp.Choice("hidden", shapes)
            hp.Choice("dropout", list(job.slice.dropouts))
            return compiled(*_point(hp))

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return watch.time(_point(hp), lambda: model.fit(*args, **kwargs))

    tuner = keras_tuner.GridSearch(
        Mlps(), objective="val_accuracy", seed=0, directory=job.folder, project_name="slice"
    )
    tuner.search(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        batch_size=job.slice.batch_size,
        epochs=job.slice.epochs,
        verbose=0,
    )
    if watch.began is not None:  # the chief of several trains nothing
        best = tuner.oracle.get_best_trials(job.slice.num_trials)
        tell(Report(watch.began, 1, tuple(_trial(trial, watch) for trial in best)))


def _point(hp: Any) -> Point:
    return tuple(int(units) for units in hp.get("hidden").split("-")), float(hp.get("dropout"))


def _trial(trial: Any, watch: Stopwatch) -> Trial:
    point = _point(trial.hyperparameters)
    return Trial(*point, float(trial.score), watch.seconds.get(point))
