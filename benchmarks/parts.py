"""Parts of a small net's step by themselves: torch's own way and ours, block by block in turns.

    python -m benchmarks.parts [--threads 2]

The sizes are those of an MLP's last layer, 128 images of 784 numbers and 10 classes; microseconds
a call, medians of blocks. In the middle of a step each takes longer: code and data have left the
caches by then.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers.data import images_N11, labels_N
from modiste.cores import num_cores
from modiste.data import places
from modiste.data.batches import Batches
from modiste.data.preprocess import fit
from modiste.data.types import ImageSet
from modiste.kernels.ops import Kernels
from modiste.models.dense import ByKernels, ByTorch, Trained
from modiste.train.loss import cross_entropy
from modiste.train.machine import prepare

COUNT, INPUTS, CLASSES = 128, 784, 10
BLOCKS, CALLS = 15, 300

Way = Callable[[], object]


def main() -> None:
    """Measure every part, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=num_cores())
    options = parser.parse_args()
    prepare(options.threads)
    for name, (torchs, ours) in ways(Kernels(places.cache_folder() / "kernels")).items():
        times = paired(torchs, ours)
        print(f"{name:38} torch {times[0]:6.1f} us, ours {times[1]:6.1f} us", flush=True)


def ways(kernels: Kernels) -> dict[str, tuple[Way, Way]]:
    """Each part: torch's way, and ours."""
    torch.manual_seed(0)
    values, slope = torch.randn(COUNT, INPUTS), torch.randn(COUNT, CLASSES)
    weight, bias = torch.randn(CLASSES, INPUTS), torch.zeros(CLASSES)
    layer = Trained(weight, bias, torch.empty_like(weight), torch.empty_like(bias))
    labels = torch.arange(COUNT) % CLASSES
    torchs, ours = ByTorch(), ByKernels(kernels)
    pixels = images_N11()[:, None]
    images = ImageSet(pixels, labels_N(), tuple("0123456789"), np.arange(len(pixels)), "train")
    cut = [Batches(images, fit(pixels, "unit"), kernels=given) for given in (None, kernels)]
    which = torch.randperm(len(pixels))[:COUNT]
    return {
        "last layer, forward": (
            lambda: torchs.forward(values, layer),
            lambda: ours.forward(values, layer),
        ),
        "its weights' and biases' gradients": (
            lambda: torchs.learn(slope, values, layer),
            lambda: ours.learn(slope, values, layer),
        ),
        "gradient of what came in": (
            lambda: torchs.backward(slope, layer, None),
            lambda: ours.backward(slope, layer, None),
        ),
        "cross-entropy and its gradient": (
            lambda: by_autograd(slope, labels),
            lambda: cross_entropy(slope, labels, 0.0, None),
        ),
        "a batch, cut and scaled": (lambda: cut[0].take(which), lambda: cut[1].take(which)),
    }


def by_autograd(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    """The gradient of cross-entropy through torch's graph."""
    leaf = logits_NK.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(leaf, labels_N), leaf)[0]


def paired(*them: Way) -> list[float]:
    """Microseconds a call of each, in turns."""
    found: list[list[float]] = [[] for _ in them]
    for _ in range(BLOCKS + 1):
        for times, way in zip(found, them, strict=True):
            began = time.perf_counter()
            for _ in range(CALLS):
                way()
            times.append((time.perf_counter() - began) / CALLS * 1e6)
    return [statistics.median(times[1:]) for times in found]  # the first block warms up


if __name__ == "__main__":
    main()
