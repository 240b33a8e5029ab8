"""How long one image takes, by net: measured once in a study, and then kept.

A time is never the same twice. It is part of what a search is told, so it is written down: a search
that goes on, or is read elsewhere, takes what was measured first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from modiste.runs import files
from modiste.runs.environment import environment
from modiste.runs.run import Run
from modiste.spec.parts import ModelFamily

FILE = "latency.json"


def net_of(run: Run) -> str:
    """Names the net of a run: equal layers and as many views of an image, equal time."""
    params = run.spec.model.params
    views = params.num_views if isinstance(params, ModelFamily) else 1
    shape, layers = run.layers["input_shape"], run.layers["layers"]
    text = json.dumps([shape, layers, views], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(study_folder: Path) -> dict[str, float]:
    """Seconds for one image, by net."""
    path = study_folder / FILE
    if not path.exists():
        return {}
    return {str(net): float(s) for net, s in files.read_json(path)["seconds"].items()}


def write(study_folder: Path, seconds: Mapping[str, float]) -> None:
    """Replace what is known, by net.

    Raises:
        StoreError: If it cannot be written.
    """
    value = {"schema": 1, "cpu": environment()["cpu"], "seconds": dict(seconds)}
    files.write_json(study_folder / FILE, value)
