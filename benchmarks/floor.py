"""How fast a step could be at best: the machine's rates, and what a net asks of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.nets import Net

REPEATS = 9


@dataclass(frozen=True)
class Rates:
    """What this machine does at best, on so many threads.

    Attributes:
        gemm: FLOP a second of a large float32 matrix product.
        memory: Bytes a second of a copy, read and written.
    """

    gemm: float
    memory: float


def machine_rates(threads: int) -> Rates:
    """Both rates, here and now; medians of several goes."""
    torch.set_num_threads(threads)
    # The product behind the reference CNN's widest convolution: 256 images of 7 x 7 pixels.
    rows, inner, columns = 256 * 49, 9 * 256, 512
    one, two = torch.randn(rows, inner), torch.randn(inner, columns)
    gemm = 2 * rows * inner * columns / _seconds(lambda: one @ two)
    source = torch.randn(32 * 1024 * 1024)  # 128 MB, beyond any cache
    target = torch.empty_like(source)
    memory = 2 * source.numel() * source.element_size() / _seconds(lambda: target.copy_(source))
    return Rates(gemm, memory)


def floor_of(net: Net, seconds: float, rates: Rates) -> dict[str, Any]:
    """How near a step of a net is to what the machine could do.

    Arithmetic is three times that of a forward pass, less the gradient of the input. Bytes are what
    cannot be helped: weights, gradients and Adam's two moments, read and written once. The share
    of the GEMM rate counts three times the forward pass whole, as is usual.
    """
    one_pass = 2 * net.multiply_adds * 1e6 * net.batch_size
    flops = 3 * one_pass - 2 * net.first_multiply_adds * 1e6 * net.batch_size
    # Weights of dense layers are as many as their multiply-adds; those of convolutions are few.
    weights = net.multiply_adds * 1e6 if net.family == "mlp" else 0.0
    traffic = 7 * 4 * weights
    floor = max(flops / rates.gemm, traffic / rates.memory)
    return {
        "gemm_gflops": rates.gemm / 1e9,
        "memory_gb_per_second": rates.memory / 1e9,
        "floor_ms": floor * 1e3,
        "ours_over_floor": seconds / floor,
        "share_of_gemm": 3 * one_pass / seconds / rates.gemm,
    }


def _seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
