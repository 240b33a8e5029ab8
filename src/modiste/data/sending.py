"""How numbers drawn on the CPU come to where images are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch
    from torch import Tensor


def send(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on a device, without waiting for what a GPU is still to do.

    On the CPU it shares the array's memory.
    """
    import torch

    here = torch.from_numpy(array)
    if device.type == "cpu":
        return here
    # From pinned memory a copy takes its turn among the GPU's kernels; else it waits for them all.
    return here.pin_memory().to(device, non_blocking=True)
