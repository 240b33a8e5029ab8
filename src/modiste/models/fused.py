"""Which layers a compiled kernel can do in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modiste.models.layers import BatchNorm, Conv, Dropout, Layer, MaxPool, Shape

WIDEST_SIDE = 7  # of a convolution over one channel, as in blocks.cpp


@dataclass(frozen=True)
class Place:
    """A layer where it stands in its net.

    Attributes:
        shape: Of what comes into it.
        name: Its kind and number, such as ``conv_0``.
        index: Among all layers; dropout draws by it.
    """

    layer: Layer
    shape: Shape
    name: str
    index: int


@dataclass(frozen=True)
class Block:
    """``conv [relu] -> batch norm -> [max pool] -> [dropout]``, one after another in a net.

    Attributes:
        pool: The pooling, if there is any.
        dropout: The dropout, if there is any.
    """

    conv_place: Place
    norm_place: Place
    pool: Place | None
    dropout: Place | None

    @property
    def length(self) -> int:
        """Layers that it stands for."""
        return 2 + (self.pool is not None) + (self.dropout is not None)

    @property
    def conv(self) -> Conv:
        assert isinstance(self.conv_place.layer, Conv)
        return self.conv_place.layer

    @property
    def norm(self) -> BatchNorm:
        assert isinstance(self.norm_place.layer, BatchNorm)
        return self.norm_place.layer

    @property
    def rate(self) -> float:
        """Of the dropout; 0 without one."""
        return (
            self.dropout.layer.rate
            if self.dropout and isinstance(self.dropout.layer, Dropout)
            else 0.0
        )

    @property
    def is_act_first(self) -> bool:
        """Whether relu stands between the convolution and the norm."""
        return self.conv.activation == "relu"

    @property
    def is_pooled(self) -> bool:
        return self.pool is not None

    @property
    def output_shape(self) -> Shape:
        last = self.pool or self.norm_place
        return last.layer.output_shape(last.shape)


def leading_block(places: Sequence[Place]) -> Block | None:
    """The block that these layers begin with, if they begin with one."""
    rest = list(places)
    conv = rest.pop(0)
    if not isinstance(conv.layer, Conv) or conv.layer.activation not in ("relu", "linear"):
        return None
    if not rest or not isinstance(rest[0].layer, BatchNorm):
        return None
    norm = rest.pop(0)
    pool = rest.pop(0) if rest and _is_pool_2x2(rest[0]) else None
    dropout = rest.pop(0) if rest and isinstance(rest[0].layer, Dropout) else None
    return Block(conv, norm, pool, dropout)


def _is_pool_2x2(place: Place) -> bool:
    layer = place.layer
    if not isinstance(layer, MaxPool) or (layer.size, layer.stride) != (2, 2):
        return False
    return layer.padding == "same" or all(side % 2 == 0 for side in place.shape[1:])


def suits_conv1(layer: Conv, shape: Shape) -> bool:
    """Whether the kernel for convolutions over a single channel can do this one."""
    is_plain = layer.stride == layer.dilation == 1 and layer.padding == "same"
    return is_plain and shape[0] == 1 and layer.kernel % 2 == 1 and layer.kernel <= WIDEST_SIDE
