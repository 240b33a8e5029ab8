"""What the engines that train Keras models share: the images, the net, and a stopwatch for `fit`.

A folder of images holds `x_train.npy`, `y_train.npy`, `x_val.npy` and `y_val.npy`, pixels as bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import Job
from benchmarks.nets import mlp
from benchmarks.peers.keras_tensorflow import BACKEND, limit_threads, model

ENVIRONMENT = {"KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"}
Point = tuple[tuple[int, ...], float]


def ready(job: Job, threads: int) -> tuple[Any, Any, Any, Any]:
    """Images and labels to train on, then those to validate on; TensorFlow computes in threads.

    Images are N x 28 x 28 x 1, float32, 0 to 1.
    """
    limit_threads(threads)
    loaded = [np.load(Path(job.images) / f"{name}.npy") for name in ("x_train", "x_val")]
    x_train, x_val = (pixels[..., None].astype(np.float32) / 255 for pixels in loaded)
    y_train, y_val = (np.load(Path(job.images) / f"{name}.npy") for name in ("y_train", "y_val"))
    return x_train, y_train, x_val, y_val


def compiled(hidden: Sequence[int], dropout: float) -> Any:
    """The net of a point, with Adam as the reference study has it, and otherwise as Keras does."""
    import keras

    net = model(mlp(list(hidden), dropout))
    net.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return net


class Stopwatch:
    """Seconds in `fit`, by point, and when the first began (since 1970)."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.seconds: dict[Point, float] = {}

    def time(self, point: Point, fit: Callable[[], Any]) -> Any:
        """What `fit` returns."""
        if self.began is None:
            self.began = time.time()
        began = time.perf_counter()
        history = fit()
        self.seconds[point] = time.perf_counter() - began
        return history
