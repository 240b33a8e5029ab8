"""Talos 2: `Scan` with a training function, one training at a time on all cores.

As its first-sweep guide has it: the validation part is handed over, weights and models are kept as
they are by default, and `Analyze` ranks by the last epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.engines import Job, Report, Trial
from benchmarks.engines.keras_mlp import ENVIRONMENT as KERAS
from benchmarks.engines.keras_mlp import Stopwatch, compiled, ready

NEEDS = ("talos", "keras", "tensorflow")
ENVIRONMENT: Mapping[str, str] = KERAS


def search(job: Job, tell: Callable[[Report], None]) -> None:
    import talos

    x_train, y_train, x_val, y_val = ready(job, job.cores)
    watch = Stopwatch()

    def train(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> tuple[Any, Any]:
        net = compiled(params["hidden"], params["dropout"])
        history = watch.time(
            (tuple(params["hidden"]), params["dropout"]),
            lambda: net.fit(
                x_train,
                y_train,
                validation_data=(x_val, y_val),
                batch_size=params["batch_size"],
                epochs=params["epochs"],
                verbose=0,
            ),
        )
        return history, net

    params = {
        "hidden": [list(shape) for shape in job.slice.hidden],
        "dropout": list(job.slice.dropouts),
        "batch_size": [job.slice.batch_size],
        "epochs": [job.slice.epochs],
    }
    scan = talos.Scan(
        x_train,
        y_train,
        params,
        train,
        "mlp-slice",
        x_val=x_val,
        y_val=y_val,
        seed=0,
        reduction_metric="val_accuracy",
        disable_progress_bar=True,
        experiment_dir=str(Path(job.folder) / "scan"),
    )
    table = talos.Analyze(scan).table("val_accuracy")
    assert watch.began is not None
    tell(Report(watch.began, 1, tuple(_trial(row, watch) for row in table.to_dict("records"))))


def _trial(row: dict[str, Any], watch: Stopwatch) -> Trial:
    point = tuple(row["hidden"]), row["dropout"]
    return Trial(*point, float(row["val_accuracy"]), watch.seconds[point])
