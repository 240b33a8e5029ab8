"""Multilayer perceptrons: flatten, then dense layers, each with dropout after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from modiste.models.layers import Dense, Dropout, Flatten, HiddenActivation, Layer, Shape
from modiste.spec.parts import MODELS, ModelFamily


@MODELS.register("mlp")
class Mlp(ModelFamily):
    """``flatten -> (dense -> dropout) x len(hidden) -> dense``; no hidden layer is allowed.

    Attributes:
        hidden: Units of each hidden layer; empty for a linear classifier.
        activation: After each hidden layer.
        dropout: Share of values dropped after each hidden layer; 0 leaves the layer out.
    """

    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = ()
    activation: HiddenActivation = "relu"
    dropout: float = Field(0.0, ge=0, lt=1)

    preset_defaults = {
        "keras": {"initialisation": "glorot_uniform"},
        "torch": {"initialisation": "kaiming_uniform"},
    }

    def layers(self, shape_CHW: Shape, num_classes: int) -> Sequence[Layer]:
        layers: list[Layer] = [Flatten()]
        for units in self.hidden:
            layers.append(Dense(units, self.activation))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return [*layers, Dense(num_classes, "softmax")]
