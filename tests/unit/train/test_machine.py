"""How a process is set up to train, and that it is given back as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from modiste.train import machine
from modiste.train.machine import prepare, put_back

COUNT = 1 << 20  # far more than torch leaves to one thread
BACKENDS: Any = torch.backends  # torch gives these no types
# What says nothing of its own to begin with.
OPEN = BACKENDS.cuda.matmul, BACKENDS.mkldnn.matmul, BACKENDS.mkldnn.conv


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with put_back():
        # Whatever came before, as torch begins.
        machine._flush_denormal(False)
        torch.set_float32_matmul_precision("highest")
        for place in OPEN:
            place.fp32_precision = "none"
        yield
        BACKENDS.fp32_precision = "none"


def num_flushed() -> int:
    """How many of so many denormal products are taken for zero."""
    products = torch.full((COUNT,), 1e-30) * torch.full((COUNT,), 1e-10)
    return int((products == 0).sum())


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP, as torch's wheels for Linux")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_thread_takes_denormal_numbers_for_zero_until_all_is_put_back(threads: int) -> None:
    torch.set_num_threads(3)
    assert num_flushed() == 0  # and now there are three
    with put_back():
        prepare(threads)
        assert num_flushed() == COUNT
        with put_back():
            prepare(2)
        assert torch.get_num_threads() == threads
        assert num_flushed() == COUNT
    assert torch.get_num_threads() == 3
    assert num_flushed() == 0


@pytest.mark.parametrize(("device", "expected"), [("cpu", "highest"), ("cuda", "high")])
def test_products_are_rounded_on_a_gpu_alone_whatever_was_set_before(
    device: str, expected: str
) -> None:
    """Torch has one switch for both, and some CPUs heed it."""
    torch.set_float32_matmul_precision("medium")
    with put_back():
        prepare(1, "cuda")
        prepare(1, device)
        assert torch.get_float32_matmul_precision() == expected
        assert torch.backends.cudnn.benchmark is (device == "cuda")
    assert torch.get_float32_matmul_precision() == "medium"
    assert not torch.backends.cudnn.benchmark


every_device = pytest.mark.parametrize("device", ["cpu", "cuda"])


@every_device
@pytest.mark.parametrize("backend", ["cuda", "mkldnn"])
@pytest.mark.parametrize("precision", ["tf32", "ieee"])
def test_the_precision_of_one_backend_is_put_back(
    backend: str, precision: str, device: str
) -> None:
    """Set as torch recommends; its older switch, which says one thing of both, may not be read."""
    place = getattr(BACKENDS, backend).matmul
    place.fp32_precision = precision
    with put_back():
        prepare(1, device)
        assert torch.get_float32_matmul_precision() == {"cpu": "highest", "cuda": "high"}[device]
    assert place.fp32_precision == precision
    if precision == "tf32":
        with pytest.raises(RuntimeError, match="mix of the legacy and new API"):
            torch.get_float32_matmul_precision()


@every_device
@pytest.mark.parametrize("before", ["none", "tf32"])
def test_what_is_set_for_all_backends_still_holds_afterwards(before: str, device: str) -> None:
    BACKENDS.fp32_precision = before
    with put_back():
        prepare(1, device)
    for precision in (before, "tf32", "ieee"):
        BACKENDS.fp32_precision = precision
        for place in OPEN:
            assert place.fp32_precision == precision


@every_device
def test_convolutions_are_rounded_on_a_gpu_alone_whatever_was_set_before(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu, on_cpu = BACKENDS.cudnn.conv, BACKENDS.mkldnn.conv
    assert on_gpu.fp32_precision == "tf32"  # as torch begins
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    on_cpu.fp32_precision = "bf16"
    with put_back():
        prepare(1, device)
        if device == "cuda":
            assert on_gpu.fp32_precision == "tf32"
        assert on_cpu.fp32_precision == "ieee"
    assert not torch.backends.cudnn.allow_tf32
    assert (on_gpu.fp32_precision, on_cpu.fp32_precision) == ("none", "bf16")
