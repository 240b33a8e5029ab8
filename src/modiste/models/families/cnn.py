"""Plain convolutional nets: blocks of convolution, batch norm, pooling and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from modiste.errors import SpecError
from modiste.models.layers import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    HiddenActivation,
    Layer,
    MaxPool,
    Padding,
    Shape,
)
from modiste.spec.parts import MODELS, ModelFamily

WIDEST = 8_192
Width = Annotated[int, Field(ge=1, le=WIDEST)]


@MODELS.register("cnn")
class Cnn(ModelFamily):
    """``(conv -> [batch norm] -> [max pool] -> [dropout]) x layers -> flatten -> dense``.

    Attributes:
        num_layers: Convolution layers, if `filters` is one number.
        filters: Filters of the first layer, doubled in each next; or a list, one for each layer.
        kernel: Side of the convolution's window, in pixels.
        stride: Step of the convolution, in pixels.
        dilation: Distance between the pixels under one window; 1 is a plain convolution.
        padding: Of the convolutions: ``same`` keeps the size, ``valid`` does not.
        activation: After each convolution.
        batch_norm: Batch normalisation after each convolution and its activation.
        pooling: Max pooling 2 x 2, stride 2, ``same`` (rounds up) or ``valid``; or ``none``.
        dropout: Share of values dropped after each block; 0 leaves the layer out.
        batch_norm_momentum: Share of the moving statistics that stays at each update.
        batch_norm_epsilon: Added to the variance.
    """

    num_layers: int | None = Field(None, ge=1, le=64)
    filters: Width | Annotated[tuple[Width, ...], Field(min_length=1)] = 8
    kernel: Literal[1, 3, 5, 7] = 3
    stride: int = Field(1, ge=1, le=8)
    dilation: int = Field(1, ge=1, le=8)
    padding: Padding = "same"
    activation: HiddenActivation = "relu"
    batch_norm: bool = True
    pooling: Literal["same", "valid", "none"] = "same"
    dropout: float = Field(0.0, ge=0, lt=1)
    batch_norm_momentum: float = Field(0.99, ge=0, lt=1)
    batch_norm_epsilon: float = Field(1e-3, gt=0)

    preset_defaults = {
        "keras": {
            "initialisation": "glorot_uniform",
            "batch_norm_momentum": 0.99,
            "batch_norm_epsilon": 1e-3,
        },
        "torch": {
            "initialisation": "kaiming_uniform",
            "batch_norm_momentum": 0.9,
            "batch_norm_epsilon": 1e-5,
        },
    }

    def widths(self) -> tuple[int, ...]:
        """Filters of each convolution layer.

        Raises:
            SpecError: If `filters` is a list and `num_layers` says another length.
        """
        if isinstance(self.filters, int):
            widths = tuple(self.filters * 2**i for i in range(self.num_layers or 1))
            if widths[-1] > WIDEST:
                raise SpecError(
                    f"model.params: {self.filters} filters doubled in each of {self.num_layers} "
                    f"layers end at {widths[-1]:,}; the limit is {WIDEST:,}."
                )
            return widths
        if self.num_layers not in (None, len(self.filters)):
            raise SpecError(
                f"num_layers is {self.num_layers}, but filters lists {len(self.filters)}: "
                "leave num_layers out, or give the filters of the first layer alone."
            )
        return self.filters

    def layers(self, shape_CHW: Shape, num_classes: int) -> Sequence[Layer]:
        layers: list[Layer] = []
        for width in self.widths():
            layers.append(
                Conv(width, self.kernel, self.stride, self.padding, self.dilation, self.activation)
            )
            if self.batch_norm:
                layers.append(BatchNorm(self.batch_norm_momentum, self.batch_norm_epsilon))
            if self.pooling != "none":
                layers.append(MaxPool(2, 2, self.pooling))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return [*layers, Flatten(), Dense(num_classes, "softmax")]
