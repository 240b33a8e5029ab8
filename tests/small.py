"""Runs and studies so small that a test can afford them, on the synthetic images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from modiste.data.load import TrainingData, divide
from modiste.data.types import ImageSet
from modiste.spec.run import DataSpec, RunSpec
from modiste.spec.settings import assign
from tests.synthetic import NUM_CLASSES, draw

NUM_IMAGES, NUM_VAL = 120, 30
# What the set is called, which no source is.
NAME = "small squares"

RUN: dict[str, Any] = {
    "data": {"name": "idx", "num_val": NUM_VAL},
    "model": {"family": "mlp", "params": {"hidden": [12], "dropout": 0.25}},
    # 90 images to train on: four batches, the last of them 15.
    "train": {"epochs": 3, "batch_size": 25, "optimizer": {"name": "adam", "learning_rate": 0.01}},
}

CNN: dict[str, Any] = {
    "model": {"family": "cnn", "params": {"filters": [3, 4], "dropout": 0.2}},
    "train.augment": ["mirror", "shift", "erase"],
    "train.schedule": {"name": "reduce_on_plateau", "patience": 1, "factor": 0.5, "min_delta": 0.2},
    "train.early_stopping": {"patience": 3, "min_delta": 0.3, "restore_best": True},
    "train.epochs": 6,
}

# Stage `grid` has two points, `final` begins with the better of them.
STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {"name": "idx", "num_val": 100},
    "model": {"family": "mlp"},
    "train": {"epochs": 3, "batch_size": 50},
    "stages": [
        {"name": "grid", "grid": {"model.params.hidden": [[8], [16]]}},
        {"name": "final", "final": True, "from": ["grid"], "train": {"epochs": 4}},
    ],
}


def images(num_images: int = NUM_IMAGES, seed: int = 0) -> ImageSet:
    """Synthetic images that may be trained on."""
    images_NHW, labels_N = draw(num_images, seed)
    return ImageSet(
        images_NHW[:, np.newaxis],
        labels_N.astype(np.int64),
        tuple(str(label) for label in range(NUM_CLASSES)),
        np.arange(num_images),
        "train",
        name=NAME,
    )


def data(spec: RunSpec | None = None) -> TrainingData:
    """Synthetic images, divided as the spec says."""
    return divide(images(), spec.data if spec else DataSpec(name="idx", num_val=NUM_VAL))


def run_spec(settings: Mapping[str, Any] | None = None, **more: Any) -> RunSpec:
    """`RUN` with these keys set; dots in `settings`, top-level keys (``seed=3``) by name."""
    return RunSpec.parse({**assign(RUN, dict(settings or {})), **more})


def study(**changes: Any) -> dict[str, Any]:
    """`STUDY` with these top-level keys replaced."""
    return {**copy.deepcopy(STUDY), **changes}


def write_study(path: Path, values: Mapping[str, Any]) -> Path:
    """A study file."""
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    return path
