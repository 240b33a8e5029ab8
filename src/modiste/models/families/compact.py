"""Small residual nets: much accuracy for few parameters and little time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from modiste.errors import SpecError
from modiste.models.layers import (
    Activate,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalPool,
    Layer,
    MaxPool,
    Residual,
    Shape,
)
from modiste.spec.parts import MODELS, ModelFamily

Width = Annotated[int, Field(ge=1, le=4_096)]


@MODELS.register("compact")
class Compact(ModelFamily):
    """A stem, then stages that halve the image, each with residual blocks; pooled, then dense.

    ``conv``: 3 x 3 without bias, batch norm, relu. The stem is one; a stage is one with max pooling
    and then ``blocks`` times ``x + conv(conv(x))``. At the end each channel's largest value (or
    mean) over the image goes into a dense layer.

    Attributes:
        stem: Filters of the first convolution.
        stem_kernel: Its side, in pixels.
        stem_stride: Its step, in pixels; 2 makes everything after it four times as fast.
        widths: Filters of each stage.
        blocks: Residual blocks of each stage; one number for all, or one for each.
        pool: Of the last images: ``max`` or ``average``.
        dropout: Share of values dropped before the dense layer; 0 leaves the layer out.
        batch_norm_momentum: Share of the moving statistics that stays at each update.
        batch_norm_epsilon: Added to the variance.

    Source:
        The shape is that of D. Page's ResNet for CIFAR-10 ("How to train your ResNet", 2018).
    """

    stem: Width = 16
    stem_kernel: Literal[3, 5, 7] = 3
    stem_stride: Literal[1, 2] = 1
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (32, 64)
    blocks: Annotated[int, Field(ge=0, le=16)] | tuple[Annotated[int, Field(ge=0, le=16)], ...] = 1
    pool: Literal["max", "average"] = "max"
    dropout: float = Field(0.0, ge=0, lt=1)
    batch_norm_momentum: float = Field(0.9, ge=0, lt=1)
    batch_norm_epsilon: float = Field(1e-5, gt=0)

    preset_defaults = {
        "keras": {"initialisation": "he_normal"},
        "torch": {"initialisation": "he_normal"},
    }

    def layers(self, shape_CHW: Shape, num_classes: int) -> Sequence[Layer]:
        counts = (self.blocks,) * len(self.widths) if isinstance(self.blocks, int) else self.blocks
        if len(counts) != len(self.widths):
            raise SpecError(
                f"blocks lists {len(counts)} stages, widths {len(self.widths)}: give one number "
                "for all stages, or one for each."
            )
        layers = self._conv(self.stem, self.stem_kernel, self.stem_stride)
        for width, count in zip(self.widths, counts, strict=True):
            layers += [*self._conv(width), MaxPool()]
            block = Residual((*self._conv(width), *self._conv(width)))
            layers += [block] * count
        layers.append(GlobalPool(self.pool))
        if self.dropout:
            layers.append(Dropout(self.dropout))
        return [*layers, Dense(num_classes, "softmax")]

    def _conv(self, width: int, kernel: int = 3, stride: int = 1) -> list[Layer]:
        norm = BatchNorm(self.batch_norm_momentum, self.batch_norm_epsilon)
        return [Conv(width, kernel, stride, has_bias=False), norm, Activate("relu")]
