"""Which layers a compiled kernel can do in one go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modiste.kernels.blocks import BlockShape
from modiste.kernels.on_gpu import BlocksOnGPU
from modiste.kernels.ops import PANEL, Kernels
from modiste.models.layers import Activate, BatchNorm, Conv, Dropout, Layer, MaxPool, Shape
from modiste.models.noise import Noise
from modiste.models.places import Place

# Values, bias, scale, shift and chance to output, mean and variance of the batch.
Training = Callable[[Tensor, Tensor | None, Tensor, Tensor, Noise], tuple[Tensor, Tensor, Tensor]]

WIDEST_SIDE = 7  # of a convolution over one channel, as in conv1.cpp


@dataclass(frozen=True)
class Block:
    """``[conv relu] -> batch norm -> [relu] -> [max pool] -> [dropout]``, in this order in a net.

    Attributes:
        conv: The convolution, where relu stands between it and the norm; else it is a step before.
        norm: The batch norm.
        relu: The activation after the norm, if there is any.
        pool: The pooling, if there is any.
        dropout: The dropout, if there is any.
        owns_input: Whether what the norm reads comes straight from a convolution, which does not
            keep it, so that its memory can be used again. (torch is not told: whatever may come
            before a norm must not keep what it puts out.)
    """

    conv: Place | None
    norm: Place
    relu: Place | None
    pool: Place | None
    dropout: Place | None
    owns_input: bool

    @property
    def length(self) -> int:
        """Layers that it stands for."""
        return sum(
            part is not None for part in (self.conv, self.norm, self.relu, self.pool, self.dropout)
        )

    @property
    def output_shape(self) -> Shape:
        last = self.pool or self.norm
        return last.layer.output_shape(last.shape)


def leading_block(places: Sequence[Place], before: Place | None = None) -> Block | None:
    """The block that these layers begin with, if they begin with one.

    Args:
        places: One after another.
        before: The layer before them, if there is one.
    """
    rest = list(places)
    first = rest[0].layer
    is_conv = isinstance(first, Conv) and first.activation == "relu" and first.has_bias
    conv = rest.pop(0) if is_conv else None
    if not rest or not isinstance(rest[0].layer, BatchNorm):
        return None
    norm = rest.pop(0)
    relu = rest.pop(0) if conv is None and rest and _is_relu(rest[0]) else None
    pool = rest.pop(0) if rest and _is_pool_2x2(rest[0]) else None
    dropout = rest.pop(0) if rest and isinstance(rest[0].layer, Dropout) else None
    if len(norm.shape) != 3:
        return None
    owns = conv is not None or (before is not None and _is_plain_conv(before.layer))
    return Block(conv, norm, relu, pool, dropout, owns)


def training(block: Block, shape: BlockShape, kernels: Kernels | BlocksOnGPU) -> Training:
    """What a block computes in training, after its convolution."""
    place, output = block.dropout, block.output_shape
    if place is None:
        return lambda values, bias, scale, shift, noise: kernels.block(
            values, bias, scale, shift, shape
        )
    assert isinstance(place.layer, Dropout)
    index, rate = place.index, place.layer.rate
    if isinstance(kernels, BlocksOnGPU):

        def on_gpu(
            values: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor, noise: Noise
        ) -> tuple[Tensor, Tensor, Tensor]:
            like = torch.empty(
                (len(values), *output),
                dtype=torch.uint8,
                device=values.device,
                memory_format=torch.channels_last,
            )
            chance = noise.chance(index, like, rate)
            return kernels.block(values, bias, scale, shift, shape, chance)

        return on_gpu

    size = math.prod(output)
    return lambda values, bias, scale, shift, noise: kernels.block(
        values, bias, scale, shift, shape, noise.kept(index, len(values) * size, rate)
    )


def _is_plain_conv(layer: Layer) -> bool:
    return isinstance(layer, Conv) and layer.activation == "linear"


def _is_relu(place: Place) -> bool:
    return isinstance(place.layer, Activate) and place.layer.activation == "relu"


def _is_pool_2x2(place: Place) -> bool:
    layer = place.layer
    if not isinstance(layer, MaxPool) or (layer.size, layer.stride) != (2, 2):
        return False
    return layer.padding == "same" or all(side % 2 == 0 for side in place.shape[1:])


def suits_conv1(layer: Conv, shape: Shape) -> bool:
    """Whether the kernel for convolutions over a single channel can do this one."""
    return (
        _is_same(layer) and shape[0] == 1 and layer.kernel % 2 == 1 and layer.kernel <= WIDEST_SIDE
    )


def suits_conv3(layer: Conv, shape: Shape) -> bool:
    """Whether Winograd's way to convolve can do this one."""
    return _is_same(layer) and layer.kernel == 3 and shape[0] % PANEL == layer.filters % PANEL == 0


def _is_same(layer: Conv) -> bool:
    return layer.stride == layer.dilation == 1 and layer.padding == "same"
