"""A block of layers as one operation: what it is told, and its way there and back."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WORDS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class Kept:
    """What dropout keeps.

    Attributes:
        mask: 1 or 0 for each value, uint8, in the order that the values lie in memory.
        scale: What is kept is multiplied by it.
    """

    mask: Tensor
    scale: float


@dataclass(frozen=True)
class BlockShape:
    """What a block does, once it is known which net it is part of.

    Attributes:
        is_act_first: relu, with a bias inside it, before the norm.
        is_pooled: Max pooling 2 x 2, stride 2, rounding up.
        epsilon: Added to the variance.
        is_relu_after: relu after the norm.
        may_overwrite: Whether gradients may be written over the values that came in: only where
            nobody else keeps them, as a convolution does not and tanh does.
    """

    is_act_first: bool
    is_pooled: bool
    epsilon: float
    is_relu_after: bool = False
    may_overwrite: bool = False


class _Told(ctypes.Structure):
    """What a block is told; the same structure as `Call` in blocks.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("values", "bias", "scale", "shift", "kept")),
        *((name, ctypes.c_void_p) for name in ("out", "chosen", "which", "mean", "variance")),
        *((name, ctypes.c_void_p) for name in ("gradient", "d_bias", "d_scale", "d_shift")),
        *((name, ctypes.c_int64) for name in ("count", "height", "width", "channels")),
        *((name, ctypes.c_float) for name in ("epsilon", "kept_scale")),
        *((name, ctypes.c_int32) for name in ("is_relu_after", "is_training", "threads")),
    ]


class Call:
    """A block on its way: forward first, then perhaps backward, on the same tensors.

    Attributes:
        tensors: By their names in `_Told`; held as long as their addresses may be used.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        shape: BlockShape,
        kept: Kept | None,
        tensors: dict[str, Tensor],
        *,
        is_training: bool,
    ) -> None:
        values = tensors["values"].contiguous(memory_format=torch.channels_last)
        count, channels, height, width = values.shape
        sizes = {"count": count, "channels": channels, "height": height, "width": width}
        if shape.is_pooled:
            height, width = (height + 1) // 2, (width + 1) // 2
        out = torch.empty(
            (count, channels, height, width),
            dtype=values.dtype,
            memory_format=torch.channels_last,
        )
        self.tensors = {**tensors, "values": values, "out": out}
        if shape.is_pooled:
            self.tensors["chosen"] = torch.empty_like(out)
            self.tensors["which"] = torch.empty(out.numel(), dtype=torch.uint8)
        if kept is not None:
            assert kept.mask.numel() == out.numel()
            self.tensors["kept"] = kept.mask
        order = "first" if shape.is_act_first else "after"
        pooled = "pool" if shape.is_pooled else "plain"
        self._name = f"{order}_{pooled}_{WORDS[values.dtype]}"
        self._library = library
        self._may_overwrite = shape.may_overwrite
        self._told = _Told(
            **sizes,
            epsilon=shape.epsilon,
            kept_scale=1.0 if kept is None else kept.scale,
            is_relu_after=shape.is_relu_after,
            is_training=is_training,
            threads=torch.get_num_threads(),
        )

    def forward(self) -> Tensor:
        self._run("forward")
        return self.tensors.pop("out")  # which would hold this call, and this call it

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        """Gradients of values, bias, scale and shift."""
        values, shift = self.tensors["values"], self.tensors["shift"]
        if not self._may_overwrite:
            values = self.tensors["values"] = values.clone(memory_format=torch.preserve_format)
        arrived = gradient.to(values.dtype).contiguous(memory_format=torch.channels_last)
        own = {name: torch.empty_like(shift) for name in ("d_bias", "d_scale", "d_shift")}
        self.tensors |= {"gradient": arrived, **own}
        self._run("backward")
        return values, *own.values()

    def _run(self, way: str) -> None:
        for name, tensor in self.tensors.items():
            setattr(self._told, name, tensor.data_ptr())
        getattr(self._library, f"{self._name}_{way}")(ctypes.byref(self._told))


class BlockStep(torch.autograd.Function):
    """A block in torch's graph; `Kernels.block` says what comes in and out."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        bias: Tensor,
        scale: Tensor,
        shift: Tensor,
        library: ctypes.CDLL,
        shape: BlockShape,
        kept: Kept | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tensors = {"values": values, "bias": bias, "scale": scale, "shift": shift}
        moments = {name: torch.empty_like(shift) for name in ("mean", "variance")}
        ctx.call = Call(library, shape, kept, {**tensors, **moments}, is_training=True)
        ctx.mark_non_differentiable(*moments.values())
        return ctx.call.forward(), moments["mean"], moments["variance"]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Any, ...]:
        found = ctx.call.backward(gradient)
        del ctx.call  # its values may be gone: they hold the gradient now
        return (*found, None, None, None)
