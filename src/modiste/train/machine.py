"""How a process is set up to train: threads, denormal numbers, and memory that is kept."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

# From <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30
# From <omp.h>, version 5.0.
_OMP_PAUSE_SOFT = 1
# Where torch keeps how it rounds factors, of products and of convolutions. Its older switch for
# products says more roughly what two of them say, and refuses to be read where it cannot.
_BACKENDS: Any = torch.backends  # torch gives these no types
_PRODUCTS = _BACKENDS.cuda.matmul, _BACKENDS.mkldnn.matmul
_CONV_ON_GPU, _CONV_ON_CPU = _BACKENDS.cudnn.conv, _BACKENDS.mkldnn.conv


def prepare(threads: int, device: str = "cpu") -> None:
    """Set this process up for one run; no number depends on what was set before."""
    torch.set_num_threads(threads)
    # Denormal numbers make CPUs 5 to 55 times slower; every run treats them as zero.
    _flush_denormal(True)
    _keep_memory()
    # On a GPU factors are rounded to TF32, as torch rounds those of convolutions by itself.
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")
    _CONV_ON_CPU.fp32_precision = "ieee"
    if device == "cuda":
        _CONV_ON_GPU.fp32_precision = "tf32"
    # Batches of a run are of two sizes, so that cuDNN's search for its fastest way pays.
    torch.backends.cudnn.benchmark = device == "cuda"


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """What `prepare` changes is afterwards as it was: this process belongs to somebody else."""
    threads, is_flushing = torch.get_num_threads(), _is_flushing()
    roughly, is_searching = _rough_precision(), torch.backends.cudnn.benchmark
    places = *_PRODUCTS, _CONV_ON_CPU, _CONV_ON_GPU
    precisions = [place.fp32_precision for place in places]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _flush_denormal(is_flushing)
        torch.backends.cudnn.benchmark = is_searching
        torch.set_float32_matmul_precision(roughly)
        for place in (*_PRODUCTS, _CONV_ON_CPU):
            # As torch begins: of its own it says nothing, and does what is set for more than it.
            place.fp32_precision = "none"
        for place, precision in zip(places, precisions, strict=True):
            if place.fp32_precision != precision:
                place.fp32_precision = precision


def _rough_precision() -> str:
    """What torch's older switch says."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return "highest"  # with which it refuses again where it did so now


def _flush_denormal(is_flushing: bool) -> None:
    """Whether denormal numbers are zero, to this thread and to those that share its work.

    torch tells this thread alone, and a new one begins as the one that starts it. So the others,
    which OpenMP keeps between its calls, are let go; the next call starts them anew. GNU's OpenMP,
    which torch's wheels for Linux bring along, does so; other ones may keep them as they are.
    """
    torch.set_flush_denormal(is_flushing)
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).omp_pause_resource_all(_OMP_PAUSE_SOFT)


def _is_flushing() -> bool:
    """Whether this thread takes denormal numbers for zero; nobody tells, so it is tried."""
    smallest_normal = np.array([2.0**-126], np.float32)
    return bool((smallest_normal * np.float32(0.5))[0] == 0)


@functools.cache
def _keep_memory() -> None:
    """Have freed memory used again instead of given back to the kernel.

    The activations of a convolutional net are tens of megabytes that live for a step. glibc gives
    blocks of that size back at once, and the kernel clears each page again at the next step: a
    third of the time of a step went there (LOG.md, 2026-11-22). Elsewhere than glibc nothing is
    done; no result depends on it.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
