"""How long one image takes, by net: measured once in a study, and then kept.

A time is never the same twice. It is part of what a search is told, so it is written down: a search
that goes on, or is read elsewhere, takes what was measured first.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from statistics import median

from modiste.runs import files
from modiste.runs.environment import environment
from modiste.runs.run import Run
from modiste.spec.parts import ModelFamily

FILE = "latency.json"
# Inferences of one image: the first ones make what is made once, the others are timed.
WARM_UP, TIMED = 5, 25


def net_of(run: Run) -> str:
    """Names the net of a run: equal layers, equal time."""
    text = json.dumps([run.layers["input_shape"], run.layers["layers"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(study_folder: Path) -> dict[str, float]:
    """Seconds for one image, by net."""
    path = study_folder / FILE
    if not path.exists():
        return {}
    return {str(net): float(s) for net, s in files.read_json(path)["seconds"].items()}


def need(study_folder: Path, run: Run) -> None:
    """Measure the net of a run, unless that was done: one image, one thread, the median of some.

    Raises:
        StoreError: If it cannot be written down.
    """
    known = read(study_folder)
    if net_of(run) in known or not isinstance(run.spec.model.params, ModelFamily):
        return
    value = {
        "schema": 1,
        "cpu": environment()["cpu"],
        "seconds": {**known, net_of(run): _measured(run)},
    }
    files.write_json(study_folder / FILE, value)


def _measured(run: Run) -> float:
    import torch

    from modiste.models.build import Network
    from modiste.train.machine import prepare

    height, width, channels = run.layers["input_shape"]
    params, shape_CHW = run.spec.model.net, (channels, height, width)
    prepare(threads=1)
    layers = params.layers(shape_CHW, len(run.layers["class_names"]))
    net = Network(layers, shape_CHW, params.initialisation)
    image_NCHW = torch.zeros(1, *shape_CHW)
    seconds = []
    with torch.inference_mode():
        for _ in range(WARM_UP + TIMED):
            clock = time.perf_counter()
            net(image_NCHW)
            seconds.append(time.perf_counter() - clock)
    return median(seconds[WARM_UP:])
