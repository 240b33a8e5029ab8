"""Layers as descriptions: what each is called, gives out, costs and holds. No torch here.

A model family returns a list of these; `modiste.models.build` turns the list into a net. The
layer table, parameter counts and FLOPs come from the same list, so they cannot drift apart.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modiste.errors import SpecError
from modiste.spec.parts import Estimator, Family, ModelFamily

Shape = tuple[int, ...]
Padding = Literal["same", "valid"]
HiddenActivation = Literal["relu", "gelu", "silu", "elu", "tanh", "sigmoid", "linear"]
# Softmax names the last layer's, which belongs to the loss: the net itself gives logits.
Activation = Literal[HiddenActivation, "softmax"]


class Layer(ABC):
    """One step from the image to the class: shapes are without the batch, C x H x W or (units,)."""

    kind: str

    @abstractmethod
    def name(self, index: int) -> str:
        """Says what the layer is; `index` counts the layers of this kind from 0."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape after this layer.

        Raises:
            SpecError: If an input of `shape` cannot go through.
        """

    def trainable(self, shape: Shape) -> int:
        """Parameters that training moves by gradient."""
        return 0

    def fixed(self, shape: Shape) -> int:
        """Parameters that move otherwise: moving statistics, counted as the study counts them."""
        return 0

    def flops(self, shape: Shape) -> int:
        """2 x multiply-adds for one image; convolutions and dense layers only."""
        return 0


@dataclass(frozen=True)
class Flatten(Layer):
    """C x H x W to one vector."""

    kind = "flatten"

    def name(self, index: int) -> str:
        return f"flatten_{index}"

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Dense(Layer):
    """A matrix, a bias and an activation."""

    units: int
    activation: Activation = "linear"

    kind = "dense"

    def name(self, index: int) -> str:
        return f"dense_{index}_{self.units}_{self.activation}"

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise SpecError(f"a dense layer needs a flat input, got {_show(shape)}: flatten first.")
        return (self.units,)

    def trainable(self, shape: Shape) -> int:
        return (shape[0] + 1) * self.units

    def flops(self, shape: Shape) -> int:
        return 2 * shape[0] * self.units


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets a share of the values to zero while training, and scales up the rest."""

    rate: float

    kind = "dropout"

    def name(self, index: int) -> str:
        return f"dropout_{index}_{self.rate:g}"

    def output_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Conv(Layer):
    """A two-dimensional convolution, a bias (unless it has none) and an activation."""

    filters: int
    kernel: int = 3
    stride: int = 1
    padding: Padding = "same"
    dilation: int = 1
    activation: Activation = "linear"
    has_bias: bool = True

    kind = "conv"

    def name(self, index: int) -> str:
        k, s, d = self.kernel, self.stride, self.dilation
        return (
            f"conv_{index}_{self.filters}_{k}.{k}_{s}.{s}_{self.padding}_{d}.{d}_{self.activation}"
        )

    def output_shape(self, shape: Shape) -> Shape:
        _, height, width = _need_image(shape, "a convolution")
        span = (self.kernel - 1) * self.dilation + 1
        return (
            self.filters,
            _slide(height, span, self.stride, self.padding, "a convolution"),
            _slide(width, span, self.stride, self.padding, "a convolution"),
        )

    def trainable(self, shape: Shape) -> int:
        return (shape[0] * self.kernel**2 + self.has_bias) * self.filters

    def flops(self, shape: Shape) -> int:
        _, height, width = self.output_shape(shape)
        return 2 * height * width * self.filters * shape[0] * self.kernel**2


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Each channel to mean 0 and variance 1 over the batch, then a learnt scale and shift.

    Attributes:
        momentum: Share of the moving statistics that stays at each update (Keras's sense).
        epsilon: Added to the variance.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3

    kind = "batch_norm"

    def name(self, index: int) -> str:
        return f"batch_norm_{index}"

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def trainable(self, shape: Shape) -> int:
        return 2 * shape[0]

    def fixed(self, shape: Shape) -> int:
        return 2 * shape[0]


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest value of each window; padding ``same`` rounds the size up: 7 becomes 4."""

    size: int = 2
    stride: int = 2
    padding: Padding = "same"

    kind = "max_pool"

    def name(self, index: int) -> str:
        n, s = self.size, self.stride
        return f"max_pool_{index}_{n}.{n}_{s}.{s}_{self.padding}"

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = _need_image(shape, "pooling")
        return (
            channels,
            _slide(height, self.size, self.stride, self.padding, "pooling"),
            _slide(width, self.size, self.stride, self.padding, "pooling"),
        )


@dataclass(frozen=True)
class Activate(Layer):
    """An activation on its own, such as the one after a norm."""

    activation: Activation

    kind = "activation"

    def name(self, index: int) -> str:
        return f"activation_{index}_{self.activation}"

    def output_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The largest value, or the mean, of each channel over the whole image."""

    what: Literal["max", "average"] = "max"

    kind = "global_pool"

    def name(self, index: int) -> str:
        return f"global_pool_{index}_{self.what}"

    def output_shape(self, shape: Shape) -> Shape:
        return _need_image(shape, "global pooling")[:1]


@dataclass(frozen=True)
class Residual(Layer):
    """``x + inner(x)``: what goes in is added to what the inner layers make of it."""

    inner: tuple[Layer, ...]

    kind = "residual"

    def name(self, index: int) -> str:
        return f"residual_{index}"

    def output_shape(self, shape: Shape) -> Shape:
        inside = shape
        for layer in self.inner:
            inside = layer.output_shape(inside)
        if inside != shape:
            raise SpecError(
                f"a residual layer adds what goes in, {_show(shape)}, to what its inner layers "
                f"give, {_show(inside)}: the two must have one shape."
            )
        return shape

    def trainable(self, shape: Shape) -> int:
        return self._over_inner(shape, lambda layer, at: layer.trainable(at))

    def fixed(self, shape: Shape) -> int:
        return self._over_inner(shape, lambda layer, at: layer.fixed(at))

    def flops(self, shape: Shape) -> int:
        return self._over_inner(shape, lambda layer, at: layer.flops(at))

    def _over_inner(self, shape: Shape, count: Callable[[Layer, Shape], int]) -> int:
        total = 0
        for layer in self.inner:
            total += count(layer, shape)
            shape = layer.output_shape(shape)
        return total


def same_padding(size: int, span: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that ``ceil(size / stride)`` windows fit; the odd one goes after.

    Source: TensorFlow's definition of the padding scheme SAME, which Keras follows.
    """
    total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def table(layers: Sequence[Layer], shape_CHW: Shape) -> dict[str, Any]:
    """The layer table of a net, and its totals; what a run folder keeps as `layers.json`.

    Returns:
        ``parameters`` (total, trainable), ``flops_forward`` for one image, and ``layers``: name,
        output shape as H x W x C or (units,), parameters and FLOPs of each; a residual layer's
        inner layers come after it, under its name, and it has none of its own.
    """
    rows = list(_rows(layers, shape_CHW))
    return {
        "schema": 1,
        "input_shape": list(shape_CHW[1:] + shape_CHW[:1]),
        "parameters": {
            "total": sum(row["parameters"] for row in rows),
            "trainable": sum(row["trainable"] for row in rows),
        },
        "flops_forward": sum(row["flops"] for row in rows),
        "layers": rows,
    }


def _rows(layers: Sequence[Layer], shape: Shape, inside: str = "") -> Iterator[dict[str, Any]]:
    counts: dict[str, int] = {}
    for layer in layers:
        name = inside + layer.name(counts.get(layer.kind, 0))
        counts[layer.kind] = counts.get(layer.kind, 0) + 1
        out = layer.output_shape(shape)
        inner = layer.inner if isinstance(layer, Residual) else ()
        own = not inner
        yield {
            "name": name,
            "output_shape": list(out[1:] + out[:1]),
            "parameters": layer.trainable(shape) + layer.fixed(shape) if own else 0,
            "trainable": layer.trainable(shape) if own else 0,
            "flops": layer.flops(shape) if own else 0,
        }
        yield from _rows(inner, shape, f"{name}/")
        shape = out


def describe(params: Family, shape_CHW: Shape, num_classes: int) -> dict[str, Any]:
    """The layer table of a model for such images, as `table` gives it; FLOPs count every view.

    A model that is fitted in one go has no layers: its table is empty, its FLOPs are unknown, and
    what it keeps is counted once it is fitted.

    Raises:
        SpecError: If the hyperparameters make no sense for images of that shape.
    """
    if isinstance(params, ModelFamily):
        found = table(params.layers(shape_CHW, num_classes), shape_CHW)
        return {**found, "flops_forward": found["flops_forward"] * params.num_views}
    if isinstance(params, Estimator):
        params.check(shape_CHW, num_classes)
    return nothing_of(shape_CHW)


def misfit(params: Family, shape_CHW: Shape, num_classes: int) -> str:
    """Why there can be no such model for images of that shape; empty if there can."""
    try:
        describe(params, shape_CHW, num_classes)
    except SpecError as error:
        return str(error)
    return ""


def nothing_of(shape_CHW: Shape) -> dict[str, Any]:
    """The layer table of what has no layers, for images of that shape."""
    return {**table([], shape_CHW), "flops_forward": None}


def _need_image(shape: Shape, what: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SpecError(f"{what} needs an input C x H x W, got {_show(shape)}.")
    channels, height, width = shape
    return channels, height, width


def _slide(size: int, span: int, stride: int, padding: Padding, what: str) -> int:
    if padding == "same":
        return math.ceil(size / stride)
    if span > size:
        raise SpecError(
            f"{what} of {span} pixels does not fit into {size} without padding; "
            f"use padding 'same', a smaller kernel or fewer layers."
        )
    return (size - span) // stride + 1


def _show(shape: Shape) -> str:
    return " x ".join(map(str, shape))
