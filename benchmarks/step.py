"""Time of one training step, modiste against plain PyTorch, paired in one process.

Each side draws its batch from memory, goes forward and backward with dropout on, and updates with
Adam. The two take turns, step by step; what is quoted is the median of the ratios. PyTorch runs at
the fastest of four settings: channels_last or not, Adam fused or not.

    python -m benchmarks.step [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.nets import NETS, Net, plain_torch
from modiste.data.load import TrainingData, divide
from modiste.data.types import ImageSet
from modiste.runs.environment import environment, num_cores
from modiste.spec.run import DataSpec, RunSpec
from modiste.train.session import Session

Stepper = Callable[[], object]


def ours(net: Net, data: TrainingData, threads: int) -> Stepper:
    """One step of modiste's own loop at each call."""
    spec = RunSpec.parse(
        {
            "data": data.spec,
            "model": {"family": net.family, "params": net.params},
            "train": {"epochs": 10**6, "batch_size": net.batch_size},
            "threads": threads,
        }
    )
    ticks = (tick for tick in Session(spec, data).advance() if tick.phase == "train")
    return lambda: next(ticks)


def plain(net: Net, data: TrainingData, is_channels_last: bool, is_fused: bool) -> Stepper:
    """One step as a PyTorch user would write it, images scaled beforehand."""
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    model = plain_torch(net).train().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=1e-7, fused=is_fused)
    images = torch.from_numpy(data.train.images_NCHW).float() / 255
    labels = torch.from_numpy(data.train.labels_N)

    def step() -> None:
        which = torch.randint(0, len(labels), (net.batch_size,))
        batch = images[which].contiguous(memory_format=layout)
        loss = F.cross_entropy(model(batch), labels[which])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure(net: Net, data: TrainingData, threads: int) -> dict[str, Any]:
    """Paired times of one net; milliseconds are medians, ratios are PyTorch's over ours."""
    torch.set_num_threads(threads)
    mine = ours(net, data, threads)
    best: dict[str, Any] = {}
    settings: dict[str, float] = {}
    for is_channels_last, is_fused in itertools.product((False, True), repeat=2):
        if net.family == "mlp" and is_channels_last:
            continue
        name = f"{'channels_last' if is_channels_last else 'contiguous'}, " + (
            "fused Adam" if is_fused else "Adam"
        )
        theirs = plain(net, data, is_channels_last, is_fused)
        for _ in range(2):
            mine(), theirs()
        pairs = [(_seconds(mine), _seconds(theirs)) for _ in range(net.steps)]
        settings[name] = statistics.median(b for _, b in pairs) * 1e3
        if not best or settings[name] < best["torch_ms"]:
            ratios = sorted(b / a for a, b in pairs)
            best = {
                "net": net.name,
                "batch_size": net.batch_size,
                "threads": threads,
                "pairs": net.steps,
                "ours_ms": statistics.median(a for a, _ in pairs) * 1e3,
                "torch_ms": settings[name],
                "torch_setting": name,
                "ratio": statistics.median(ratios),
                "ratio_quartiles": [ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]],
            }
    return {**best, "torch_settings_ms": settings}


def random_images(count: int = 4_096) -> TrainingData:
    """Noise in the shape of Fashion-MNIST: a step takes as long whatever the pixels show."""
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (count, 1, 28, 28), np.uint8)
    labels = np.arange(count) % 10
    names = tuple("0123456789")
    images = ImageSet(pixels, labels, names, np.arange(count), "train")
    return divide(images, DataSpec(name="fashion-mnist", num_val=256))


def _seconds(step: Stepper) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Measure every net and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--nets", default="", help="only those whose name holds this")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = random_images()
    rows = []
    print(f"{options.threads} thread(s); milliseconds a step, medians; ratio = PyTorch / modiste")
    for net in NETS:
        if options.nets not in net.name:
            continue
        row = measure(net, data, options.threads)
        rows.append(row)
        low, high = row["ratio_quartiles"]
        print(
            f"{net.name:16} batch {net.batch_size}: modiste {row['ours_ms']:8.2f}, PyTorch "
            f"{row['torch_ms']:8.2f} ({row['torch_setting']}), ratio {row['ratio']:.2f} "
            f"[{low:.2f}, {high:.2f}], n = {row['pairs']}",
            flush=True,
        )
    if options.json:
        report = {"schema": 1, "environment": environment(), "rows": rows}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
