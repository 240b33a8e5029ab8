"""The dense layers at the end of a net as one step, whose gradients are written where they belong.

Layer by layer, torch makes a fresh matrix for the gradient of each weight, which is then copied
into the vector of all gradients: for an MLP a pass over as many numbers as it has weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modiste.kernels.ops import Kernels
from modiste.models.layers import Dense, Dropout
from modiste.models.noise import Noise
from modiste.models.places import Place


@dataclass(frozen=True)
class Hidden:
    """A hidden layer where it stands: dense with relu or nothing, and the dropout after it."""

    dense: Place
    is_relu: bool
    dropout: Place | None

    @property
    def rate(self) -> float:
        """Of the dropout."""
        assert self.dropout is not None
        assert isinstance(self.dropout.layer, Dropout)
        return self.dropout.layer.rate


@dataclass(frozen=True)
class Tail:
    """``(dense -> [dropout]) x n -> dense``, n of at least 1, which ends a net.

    Attributes:
        hidden: All but the last dense layer.
        last: Gives the logits.
    """

    hidden: Sequence[Hidden]
    last: Place

    @property
    def length(self) -> int:
        """Layers that it stands for."""
        return 1 + sum(1 + (layer.dropout is not None) for layer in self.hidden)

    @property
    def dense(self) -> list[Place]:
        """Its dense layers, one after another."""
        return [*(layer.dense for layer in self.hidden), self.last]


def dense_tail(places: Sequence[Place]) -> Tail | None:
    """The longest tail that these layers, a whole net, end with; none if it is of one layer."""
    rest = list(places)
    if not rest or not _is_dense(rest[-1], "linear", "softmax"):
        return None
    last = rest.pop()
    hidden: list[Hidden] = []
    while rest:
        dropout = rest[-1] if isinstance(rest[-1].layer, Dropout) else None
        before = rest[:-1] if dropout else rest
        if not before or not _is_dense(before[-1], "linear", "relu"):
            break
        *rest, dense = before
        hidden.insert(0, Hidden(dense, _is_dense(dense, "relu"), dropout))
    # A single layer is faster by itself: its gradient is small, and the step would cost 50 us.
    return Tail(tuple(hidden), last) if hidden else None


def _is_dense(place: Place, *activations: str) -> bool:
    return isinstance(place.layer, Dense) and place.layer.activation in activations


# What dropout multiplied by: a tensor, one number where what is zero says where it was 0, or none.
Multiplier = Tensor | float | None


class ByTorch:
    """The arithmetic of the tail, as torch's own layers do it."""

    def product(self, values_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        """N x O."""
        if bias_O is None:
            return values_NI @ weight_OI.t()
        return torch.addmm(bias_O, values_NI, weight_OI.t())

    def activate(self, values: Tensor, layer: Hidden, noise: Noise | None) -> Multiplier:
        """Activation and dropout, in place; returns what `deactivate` needs of its chance."""
        if layer.is_relu:
            values.relu_()
        if noise is None or layer.dropout is None:
            return None
        multiplier = noise.multiplier(layer.dropout.index, values, layer.rate)
        values.mul_(multiplier)
        return multiplier

    def deactivate(
        self, gradient: Tensor, values: Tensor, layer: Hidden, multiplier: Multiplier
    ) -> None:
        """The gradient of what came into `activate`, in the place of that of what came out.

        Args:
            gradient: Of `values`.
            values: What came out.
            layer: Whose.
            multiplier: What `activate` returned.
        """
        if multiplier is not None:
            gradient.mul_(multiplier)
        if layer.is_relu:
            # Where dropout made a zero of `values`, this makes another of what is zero already.
            torch.ops.aten.threshold_backward.grad_input(gradient, values, 0, grad_input=gradient)


class ByKernels(ByTorch):
    """The same in float32 with oneDNN for products, and one pass for relu and dropout.

    oneDNN is what torch takes for convolutions; for matrices it takes MKL, in its wheels for x86,
    which on an AMD EPYC 9004 is the slower one at the sizes of an MLP's step (LOG.md).
    """

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels

    def product(self, values_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 (torch exports no other)
            values_NI, weight_OI, bias_O, "none", [], ""
        )
        return answer

    def activate(self, values: Tensor, layer: Hidden, noise: Noise | None) -> Multiplier:
        if not layer.is_relu:
            return super().activate(values, layer, noise)
        drawn = None
        if noise is not None and layer.dropout is not None:
            drawn = noise.drawn(layer.dropout.index, layer.rate)
        self._kernels.relu_dropout(values, drawn)
        return None if drawn is None else drawn.scale

    def deactivate(
        self, gradient: Tensor, values: Tensor, layer: Hidden, multiplier: Multiplier
    ) -> None:
        if not layer.is_relu:
            return super().deactivate(gradient, values, layer, multiplier)
        scale = multiplier if isinstance(multiplier, float) else 1.0
        return self._kernels.relu_dropout_backward(gradient, values, scale)


@dataclass(frozen=True)
class Trained:
    """One dense layer's tensors.

    Attributes:
        weight: O x I, as gradients are taken for it.
        bias: O.
        d_weight: Where the weight's gradient is written.
        d_bias: Where the bias's gradient is written.
    """

    weight: Tensor
    bias: Tensor
    d_weight: Tensor
    d_bias: Tensor


def tail_step(
    tail: Tail, trained: Sequence[Trained], arithmetic: ByTorch
) -> Callable[[Tensor, Noise | None], Tensor]:
    """The tail as a step of a net: N x I to logits, N x K.

    Args:
        tail: Its layers.
        trained: Their tensors, in the same order.
        arithmetic: How it is computed, but for the gradients of weights.
    """
    tensors = [tensor for layer in trained for tensor in (layer.weight, layer.bias)]

    def step(values: Tensor, noise: Noise | None) -> Tensor:
        answer: Tensor = _Tail.apply(  # type: ignore[no-untyped-call]
            values, noise, tail, trained, arithmetic, *tensors
        )
        return answer

    return step


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values_NI: Tensor,
        noise: Noise | None,
        tail: Tail,
        trained: Sequence[Trained],
        arithmetic: ByTorch,
        *_: Tensor,
    ) -> Tensor:
        ctx.tail, ctx.trained, ctx.arithmetic = tail, trained, arithmetic
        ctx.inputs, ctx.multipliers = [values_NI], []
        values = values_NI
        for hidden, layer in zip(tail.hidden, trained, strict=False):
            values = arithmetic.product(values, layer.weight, layer.bias)
            ctx.multipliers.append(arithmetic.activate(values, hidden, noise))
            ctx.inputs.append(values)
        return arithmetic.product(values, trained[-1].weight, trained[-1].bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, arrived_NK: Tensor) -> tuple[Any, ...]:
        gradient = arrived_NK
        found: list[Tensor] = []
        for number in reversed(range(len(ctx.trained))):
            layer, values = ctx.trained[number], ctx.inputs[number]
            torch.mm(gradient.t(), values, out=layer.d_weight)
            torch.sum(gradient, 0, out=layer.d_bias)
            found[:0] = [layer.d_weight, layer.d_bias]
            if not number:
                break
            gradient = ctx.arithmetic.product(gradient, layer.weight.t(), None)
            ctx.arithmetic.deactivate(
                gradient, values, ctx.tail.hidden[number - 1], ctx.multipliers[number - 1]
            )
        before = None
        if ctx.needs_input_grad[0]:
            before = ctx.arithmetic.product(gradient, ctx.trained[0].weight.t(), None)
        return before, None, None, None, None, *found
