"""The dense layers at the end of a net as one step, whose gradients are written where they belong.

Layer by layer, torch makes a fresh matrix for the gradient of each weight, which is then copied
into the vector of all gradients: for an MLP a pass over as many numbers as it has weights. And a
net that is dense layers alone needs no graph of operations, either: what its gradient takes is
known, one product after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modiste.kernels.ops import NARROW, Kernels
from modiste.models.layers import Dense, Dropout, Flatten
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
    """``(dense -> [dropout]) x n -> dense``, which ends a net; n is 0 only where it is all of it.

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
    """The longest tail that these layers, a whole net, end with; none where it would not pay."""
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
    tail = Tail(tuple(hidden), last)
    # Behind others a single layer is faster by itself: its gradient is small, and a step of our own
    # in torch's graph costs 50 us.
    return tail if hidden or is_all_of(places, tail) else None


def is_all_of(places: Sequence[Place], tail: Tail) -> bool:
    """Whether nothing but flattening comes before the tail that these layers, a whole net, have."""
    before = places[: len(places) - tail.length]
    return all(isinstance(place.layer, Flatten) for place in before)


def _is_dense(place: Place, *activations: str) -> bool:
    return isinstance(place.layer, Dense) and place.layer.activation in activations


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


@dataclass(frozen=True)
class Activated:
    """What came out of a hidden layer.

    Attributes:
        values: N x O.
        hidden: Which layer.
        multiplier: What its dropout multiplied by: a tensor, one number where what is zero says
            where it was 0, or none.
    """

    values: Tensor
    hidden: Hidden
    multiplier: Tensor | float | None


class ByTorch:
    """The arithmetic of the tail, as torch's own layers do it."""

    def forward(self, values_NI: Tensor, layer: Trained) -> Tensor:
        """What comes out of a dense layer, N x O."""
        return torch.addmm(layer.bias, values_NI, layer.weight.t())

    def activate(self, values: Tensor, hidden: Hidden, noise: Noise | None) -> Activated:
        """Activation and dropout, in place."""
        if hidden.is_relu:
            values.relu_()
        if noise is None or hidden.dropout is None:
            return Activated(values, hidden, None)
        multiplier = noise.multiplier(hidden.dropout.index, values, hidden.rate)
        values.mul_(multiplier)
        return Activated(values, hidden, multiplier)

    def learn(self, slope_NO: Tensor, values_NI: Tensor, layer: Trained) -> None:
        """Write the gradients of a dense layer's weight and bias.

        Args:
            slope_NO: The gradient of what came out of it.
            values_NI: What came in.
            layer: Which.
        """
        torch.mm(slope_NO.t(), values_NI, out=layer.d_weight)
        torch.sum(slope_NO, 0, out=layer.d_bias)

    def backward(self, slope_NO: Tensor, layer: Trained, before: Activated | None) -> Tensor:
        """The gradient of what came into a dense layer, or into the activation before it, N x I.

        Args:
            slope_NO: The gradient of what came out of it.
            layer: Which.
            before: What came in, if that is known to have been activated.
        """
        slope_NI = slope_NO @ layer.weight
        if before is not None:
            self._deactivate(slope_NI, before)
        return slope_NI

    def _deactivate(self, slope: Tensor, before: Activated) -> None:
        """The gradient of what came into an activation, in the place of that of what came out."""
        if before.multiplier is not None:
            slope.mul_(before.multiplier)
        if before.hidden.is_relu:
            # Where dropout made a zero of a value, this makes another of what is zero already.
            backward = torch.ops.aten.threshold_backward.grad_input
            backward(slope, before.values, 0, grad_input=slope)


class ByKernels(ByTorch):
    """The same in float32: relu and dropout in one pass, products by whom is faster at them.

    That is a kernel of our own for few outputs, and oneDNN else, which is what torch takes for
    convolutions; for matrices it takes MKL, in its wheels for x86, which on an AMD EPYC 9004 is
    the slower one at the sizes of an MLP's step but for the gradients of weights (LOG.md).
    """

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels

    def forward(self, values_NI: Tensor, layer: Trained) -> Tensor:
        if len(layer.weight) <= NARROW:
            return self._kernels.narrow(values_NI.contiguous(), layer.weight, layer.bias)
        return _product(values_NI, layer.weight, layer.bias)

    def activate(self, values: Tensor, hidden: Hidden, noise: Noise | None) -> Activated:
        if not hidden.is_relu:
            return super().activate(values, hidden, noise)
        drawn = None
        if noise is not None and hidden.dropout is not None:
            drawn = noise.drawn(hidden.dropout.index, hidden.rate)
        self._kernels.relu_dropout(values, drawn)
        return Activated(values, hidden, None if drawn is None else drawn.scale)

    def learn(self, slope_NO: Tensor, values_NI: Tensor, layer: Trained) -> None:
        if len(layer.weight) > NARROW:
            return super().learn(slope_NO, values_NI, layer)
        slope_NO, values_NI = slope_NO.contiguous(), values_NI.contiguous()
        return self._kernels.narrow_weights(slope_NO, values_NI, layer.d_weight, layer.d_bias)

    def backward(self, slope_NO: Tensor, layer: Trained, before: Activated | None) -> Tensor:
        if len(layer.weight) <= NARROW and (before is None or before.hidden.is_relu):
            through = () if before is None else (before.values, _scale(before))
            return self._kernels.narrow_values(slope_NO.contiguous(), layer.weight, *through)
        slope_NI = _product(slope_NO, layer.weight.t(), None)
        if before is not None:
            self._deactivate(slope_NI, before)
        return slope_NI

    def _deactivate(self, slope: Tensor, before: Activated) -> None:
        if not before.hidden.is_relu:
            return super()._deactivate(slope, before)
        return self._kernels.relu_dropout_backward(slope, before.values, _scale(before))


def _product(values_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """N x O, by oneDNN."""
    answer: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 (torch exports no other)
        values_NI, weight_OI, bias_O, "none", [], ""
    )
    return answer


def _scale(activated: Activated) -> float:
    return activated.multiplier if isinstance(activated.multiplier, float) else 1.0


class _Pass:
    """A batch on its way through a tail: forward, then perhaps backward.

    Args:
        tail: Its layers.
        trained: Their tensors, in the same order.
        arithmetic: How it is computed.
    """

    def __init__(self, tail: Tail, trained: Sequence[Trained], arithmetic: ByTorch) -> None:
        self._tail, self.trained, self._arithmetic = tail, trained, arithmetic
        self._activated: list[Activated] = []

    def forward(self, values_NI: Tensor, noise: Noise | None) -> Tensor:
        """Logits, N x K."""
        self._came_in = values = values_NI
        for hidden, layer in zip(self._tail.hidden, self.trained, strict=False):
            values = self._arithmetic.forward(values, layer)
            self._activated.append(self._arithmetic.activate(values, hidden, noise))
        return self._arithmetic.forward(values, self.trained[-1])

    def backward(self, slope_NK: Tensor, *, is_more_asked: bool) -> Tensor | None:
        """Write the gradients of all weights and biases where they belong.

        Args:
            slope_NK: The loss's gradient with respect to the logits.
            is_more_asked: Whether that with respect to what came in is wanted, too.

        Returns:
            It, N x I, where it is.
        """
        slope = slope_NK
        for layer, before in zip(
            reversed(self.trained), [*reversed(self._activated), None], strict=True
        ):
            came_in = self._came_in if before is None else before.values
            self._arithmetic.learn(slope, came_in, layer)
            if before is None and not is_more_asked:
                return None
            slope = self._arithmetic.backward(slope, layer, before)
        return slope


class DenseNet:
    """A net that is a tail alone, as its one step after flattening.

    In training its logits carry no graph; `gradients` goes the way back. They carry one where
    somebody asks for more than that: without noise, or for the gradient of images.

    Args:
        tail: Its layers.
        trained: Their tensors, in the same order.
        arithmetic: How it is computed.
    """

    def __init__(self, tail: Tail, trained: Sequence[Trained], arithmetic: ByTorch) -> None:
        self._parts = tail, trained, arithmetic
        self._with_graph = tail_step(*self._parts)
        self._pass: _Pass | None = None
        self._logits: Tensor | None = None

    def __call__(self, values: Tensor, noise: Noise | None) -> Tensor:
        """N x I to logits, N x K."""
        if torch.is_grad_enabled() and (noise is None or values.requires_grad):
            return self._with_graph(values, noise)
        once = _Pass(*self._parts)
        with torch.no_grad():
            logits = once.forward(values, noise)
        if noise is not None:
            self._pass, self._logits = once, logits
        return logits

    def gave(self, logits_NK: Tensor) -> bool:
        """Whether these are the last ones that it gave in training."""
        return logits_NK is self._logits

    def gradients(self, slope_NK: Tensor) -> None:
        """Write them where they belong, once for each batch.

        Args:
            slope_NK: The loss's gradient with respect to the last logits.
        """
        assert self._pass is not None
        with torch.no_grad():
            self._pass.backward(slope_NK, is_more_asked=False)
        self._pass = self._logits = None


def tail_step(
    tail: Tail, trained: Sequence[Trained], arithmetic: ByTorch
) -> Callable[[Tensor, Noise | None], Tensor]:
    """The tail as a step of a net, through which gradients flow: N x I to logits, N x K.

    Args:
        tail: Its layers.
        trained: Their tensors, in the same order.
        arithmetic: How it is computed.
    """
    tensors = [tensor for layer in trained for tensor in (layer.weight, layer.bias)]

    def step(values: Tensor, noise: Noise | None) -> Tensor:
        once = _Pass(tail, trained, arithmetic)
        answer: Tensor = _Tail.apply(  # type: ignore[no-untyped-call]
            values, noise, once, *tensors
        )
        return answer

    return step


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values_NI: Tensor,
        noise: Noise | None,
        once: _Pass,
        *_: Tensor,
    ) -> Tensor:
        ctx.once = once
        return once.forward(values_NI, noise)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope_NK: Tensor) -> tuple[Any, ...]:
        before = ctx.once.backward(slope_NK, is_more_asked=ctx.needs_input_grad[0])
        found = [grad for layer in ctx.once.trained for grad in (layer.d_weight, layer.d_bias)]
        return before, None, None, *found
