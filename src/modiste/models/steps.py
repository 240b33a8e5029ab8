"""What a single layer computes, given its tensors, as torch computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.models.layers import (
    Activate,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    MaxPool,
    Shape,
    same_padding,
)
from modiste.models.noise import Noise


@dataclass(frozen=True)
class Weight:
    """A tensor of the net, and where it is trained in lower precision, its rounded copy.

    Attributes:
        full: A view of the net's vector.
        low: What gradients are taken for in training, if not `full` itself.
    """

    full: Tensor
    low: Tensor | None = None

    def like(self, values: Tensor) -> Tensor:
        """The one of the two that computes with values of that type."""
        if values.dtype == self.full.dtype:
            return self.full
        return self.full.to(values.dtype) if self.low is None else self.low

    @property
    def trained(self) -> Tensor:
        return self.full if self.low is None else self.low


Step = Callable[[Tensor, Noise | None], Tensor]
# Of one net or of several: what a step draws from, or None where it only infers.
Chance = TypeVar("Chance")

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    # In place: what it overwrites is needed by no gradient, and fresh memory is slow.
    "relu": torch.relu_,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": lambda values: values,
    # The last layer gives logits: softmax belongs to the loss, where it is stable.
    "softmax": lambda values: values,
}


def _flatten(values: Tensor, noise: Noise | None) -> Tensor:
    """H x W x C order, as Keras flattens; free where the layout is channels-last."""
    return values.permute(0, 2, 3, 1).flatten(1)


def alone(activation: str) -> Callable[[Tensor], Tensor]:
    """An activation that is a layer: not in place, what comes in may be added to what goes out."""
    return torch.relu if activation == "relu" else ACTIVATIONS[activation]


def without_weights(layer: Layer, index: int) -> Step:
    """A layer that has none; of that number, by which dropout draws."""
    match layer:
        case Flatten():
            return _flatten
        case Dropout(rate):
            return lambda x, noise: x * noise.multiplier(index, x, rate) if noise is not None else x
        case Activate(activation):
            activate = alone(activation)
            return lambda x, noise: activate(x)
        case GlobalPool("max"):
            return lambda x, noise: x.amax((2, 3))
        case GlobalPool():
            return lambda x, noise: x.mean((2, 3))
    raise AssertionError(f"no way to compute {layer!r}")


def residual(
    inner: Sequence[Callable[[Tensor, Chance], Tensor]],
) -> Callable[[Tensor, Chance], Tensor]:
    """What comes in, and what the inner steps make of it, added."""

    def step(values: Tensor, noise: Chance) -> Tensor:
        inside = values
        for one in inner:
            inside = one(inside, noise)
        return values + inside

    return step


def dense(weight: Weight, bias: Weight, activate: Callable[[Tensor], Tensor]) -> Step:
    """A dense layer and its activation."""
    return lambda values, noise: activate(F.linear(values, weight.like(values), bias.like(values)))


def convolution(
    layer: Conv, shape: Shape, groups: int = 1
) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """The convolution alone, of values with a weight and perhaps a bias.

    Args:
        layer: What it is.
        shape: Of what comes into one group, C x H x W.
        groups: So many side by side, each on its own channels.
    """
    span = (layer.kernel - 1) * layer.dilation + 1
    pads = [(0, 0), (0, 0)]
    if layer.padding == "same":
        pads = [same_padding(size, span, layer.stride) for size in shape[1:]]
    (top, bottom), (left, right) = pads
    is_even = top == bottom and left == right
    dilation = layer.dilation
    is_point = tuple(shape[1:]) == (1, 1) and layer.padding == "same"

    def convolve(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # oneDNN leaves the gradients of taps that see padding alone unwritten where a strided
        # convolution in bfloat16 sees one pixel. Over one pixel every stride is the same function.
        stride = 1 if is_point and values.dtype == torch.bfloat16 else layer.stride
        if layer.kernel == 1 and stride > 1:
            # oneDNN issue 6035: strided 1x1 convolutions of few channels give wrong gradients
            # in this layout. Taking every stride-th pixel first is the same arithmetic.
            return F.conv2d(values[:, :, ::stride, ::stride], weight, bias, groups=groups)
        if is_even:
            return F.conv2d(values, weight, bias, stride, (top, left), dilation, groups)
        values = F.pad(values, (left, right, top, bottom))
        return F.conv2d(values, weight, bias, stride, 0, dilation, groups)

    return convolve


def max_pool(layer: MaxPool, shape: Shape) -> Step:
    """The pooling of values whose images have that height and width, however many channels."""
    size, stride = layer.size, layer.stride
    if layer.padding == "valid" or size == stride:
        # Windows that do not overlap: 'same' is rounding up, with nothing to pad before.
        is_same = layer.padding == "same" and all(
            same_padding(length, size, stride)[0] == 0 for length in shape[1:]
        )
        if is_same or layer.padding == "valid":
            return lambda values, noise: F.max_pool2d(values, size, stride, ceil_mode=is_same)
    (top, bottom), (left, right) = (same_padding(n, size, stride) for n in shape[1:])

    def step(values: Tensor, noise: Noise | None) -> Tensor:
        padded = F.pad(values, (left, right, top, bottom), value=-math.inf)
        return F.max_pool2d(padded, size, stride)

    return step


def batch_norm(
    layer: BatchNorm, scales: Weight, shifts: Weight, mean: Tensor, variance: Tensor
) -> Step:
    """Batch norm; in training it moves the two statistics in place."""
    share = 1.0 - layer.momentum
    scale, shift = scales.full, shifts.full

    def step(values: Tensor, noise: Noise | None) -> Tensor:
        if noise is None:
            return F.batch_norm(values, mean, variance, scale, shift, False, 0.0, layer.epsilon)
        count = values.numel() // values.shape[1]
        if count == 1:
            # One value is its own mean, and its variance is 0; torch refuses to say so.
            with torch.no_grad():
                mean.lerp_(values.reshape(-1).to(mean.dtype), share)
                variance.mul_(layer.momentum)
            out = (values - values) * scale.view(values.shape) + shift.view(values.shape)
            return out.to(values.dtype)
        # With momentum 1 these two receive the batch's own statistics. torch gives the unbiased
        # variance there; Keras moves the biased one, which is also what normalises the batch.
        batch_mean, batch_variance = torch.zeros_like(mean), torch.zeros_like(variance)
        out = F.batch_norm(
            values, batch_mean, batch_variance, scale, shift, True, 1.0, layer.epsilon
        )
        with torch.no_grad():
            mean.lerp_(batch_mean, share)
            variance.lerp_(batch_variance * ((count - 1) / count), share)
        return out

    return step
