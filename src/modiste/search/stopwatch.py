"""Measures how long a net takes for one image. Only what measures needs torch, and loads it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from modiste.runs.run import Run
from modiste.search import latency
from modiste.spec.parts import ModelFamily
from modiste.spec.run import RunSpec

# Inferences of one image: the first ones make what is made once, the others are timed.
WARM_UP, TIMED = 5, 25


def measure(study_folder: Path, run: Run) -> None:
    """Measure the net of a run, unless that was done: one image, one thread, the median of some.

    Raises:
        StoreError: If it cannot be written down.
    """
    known = latency.read(study_folder)
    net = latency.net_of(run)
    is_net = isinstance(run.spec.model.params, ModelFamily) and run.layers["layers"]
    if net not in known and is_net:
        latency.write(study_folder, {**known, net: seconds_for_one(run.spec, run.layers)})


def seconds_for_one(spec: RunSpec, layers: Mapping[str, Any]) -> float:
    """Seconds for one image on one thread, the median of some.

    Args:
        spec: Whose net.
        layers: The layer table of its run, with input shape and classes.
    """
    import torch

    from modiste.models.build import Network
    from modiste.train.machine import prepare, put_back

    height, width, channels = layers["input_shape"]
    params, shape_CHW = spec.model.net, (channels, height, width)
    described = params.layers(shape_CHW, len(layers["class_names"]))
    net = Network(described, shape_CHW, params.initialisation, views=params.views)
    image_NCHW = torch.zeros(1, *shape_CHW)
    seconds = []
    with put_back(), torch.inference_mode():
        prepare(threads=1)
        for _ in range(WARM_UP + TIMED):
            clock = time.perf_counter()
            net(image_NCHW)
            seconds.append(time.perf_counter() - clock)
    return median(seconds[WARM_UP:])
