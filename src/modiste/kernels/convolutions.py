"""Convolutions as operations that gradients flow through: over one channel, and of 3 x 3 taps."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modiste.kernels.blocks import WORDS


class Conv1(torch.autograd.Function):
    """A convolution over one channel in torch's graph; `Kernels.conv1` says of what."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: Tensor, library: ctypes.CDLL) -> Tensor:
        filters, _, side, _ = kernel.shape
        count, _, height, width = images.shape
        plain = images.float().contiguous()
        taps = kernel.detach().float().permute(2, 3, 1, 0).contiguous()
        shape = (count, filters, height, width)
        out = _channels_last(shape, images.dtype)
        sizes = [*map(ctypes.c_int64, (side, count, height, width, filters))]
        ctx.sizes = [*sizes, ctypes.c_int32(torch.get_num_threads())]
        getattr(library, f"conv1_{WORDS[images.dtype]}_forward")(
            _pointer(plain), _pointer(taps), *ctx.sizes, _pointer(out)
        )
        ctx.save_for_backward(plain, kernel)
        ctx.library, ctx.dtype = library, images.dtype
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        plain, kernel = ctx.saved_tensors
        filters, _, side, _ = kernel.shape
        arrived = _in_order(gradient.to(ctx.dtype))
        found = torch.empty((side, side, 1, filters), dtype=torch.float32)
        getattr(ctx.library, f"conv1_{WORDS[ctx.dtype]}_backward")(
            _pointer(plain), _pointer(arrived), *ctx.sizes, _pointer(found)
        )
        return None, found.permute(3, 2, 0, 1).to(kernel.dtype), None


class _ToldConv3(ctypes.Structure):
    """What a convolution 3 x 3 is told; the same structure as `Call` in winograd.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("images", "kernel", "out")),
        *((name, ctypes.c_void_p) for name in ("gradient", "d_images", "d_kernel")),
        *((name, ctypes.c_int64) for name in ("count", "height", "width", "inputs", "outputs")),
        ("threads", ctypes.c_int32),
    ]


class Conv3(torch.autograd.Function):
    """One of 3 x 3 taps in torch's graph; `Kernels.conv3` says of what."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: Tensor, library: ctypes.CDLL) -> Tensor:
        count, _, height, width = images.shape
        out = _channels_last((count, len(kernel), height, width), images.dtype)
        given = {"images": _in_order(images), "kernel": _in_order(kernel.float())}
        _run_conv3(library, "forward", {**given, "out": out})
        ctx.save_for_backward(*given.values())
        ctx.library, ctx.dtype = library, kernel.dtype
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        images, kernel = ctx.saved_tensors
        found = {}
        if ctx.needs_input_grad[0]:
            found["d_images"] = _channels_last(images.shape, images.dtype)
        if ctx.needs_input_grad[1]:
            found["d_kernel"] = _channels_last(kernel.shape, torch.float32)
        arrived = _in_order(gradient.to(images.dtype))
        given = {"images": images, "kernel": kernel, "gradient": arrived}
        _run_conv3(ctx.library, "backward", {**given, **found})
        d_kernel = found.get("d_kernel")
        return found.get("d_images"), None if d_kernel is None else d_kernel.to(ctx.dtype), None


def _run_conv3(library: ctypes.CDLL, way: str, tensors: dict[str, Tensor]) -> None:
    count, inputs, height, width = tensors["images"].shape
    outputs = len(tensors["kernel"])
    if not tensors["images"].numel():  # nothing comes out, and nothing is to be learnt
        for name in tensors.keys() & {"d_images", "d_kernel"}:
            tensors[name].zero_()
        return
    told = _ToldConv3(
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        count=count,
        height=height,
        width=width,
        inputs=inputs,
        outputs=outputs,
        threads=torch.get_num_threads(),
    )
    run = getattr(library, f"conv3_{WORDS[tensors['images'].dtype]}_{way}")
    if run(ctypes.byref(told)):
        raise MemoryError(f"no memory for a convolution of {count} x {height} x {width} pixels.")


def _channels_last(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(tuple(shape), dtype=dtype, memory_format=torch.channels_last)


def _in_order(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
