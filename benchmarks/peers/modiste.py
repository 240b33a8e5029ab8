"""modiste's own loop, tick by tick."""

from __future__ import annotations

import numpy as np

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting
from benchmarks.peers.data import images_N11, labels_N
from modiste.data.load import divide
from modiste.data.types import ImageSet
from modiste.kernels.build import compiler
from modiste.spec.run import DataSpec, RunSpec
from modiste.train.session import Session

NEEDS = ("torch",)
NUM_VAL = 256


def settings(net: Net, threads: int) -> list[Setting]:
    compiled = ["fused", *(["winograd"] if net.family == "cnn" else [])]
    kernels = ["torch", *(compiled if compiler() else [])]
    return [{"kernels": name, "threads": threads} for name in kernels]


def build(net: Net, setting: Setting) -> Run:
    pixels, labels = images_N11()[:, None], labels_N()
    names = tuple("0123456789")
    images = ImageSet(pixels, labels, names, np.arange(len(labels)), "train")
    spec = RunSpec.parse(
        {
            "data": {"num_val": NUM_VAL},
            "model": {"family": net.family, "params": dict(net.params)},
            "train": {"epochs": 10**6, "batch_size": net.batch_size},
            "threads": setting["threads"],
            "kernels": setting["kernels"],
        }
    )
    session = Session(spec, divide(images, DataSpec(num_val=NUM_VAL)))
    ticks = (tick for tick in session.advance() if tick.phase == "train")

    def run(steps: int) -> None:
        for _ in range(steps):
            next(ticks)

    return run
