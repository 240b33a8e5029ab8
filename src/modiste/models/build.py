"""From a list of layer descriptions to a net that computes.

All trainable weights lie in one flat vector (`Network.weights`), all moving statistics in
another; the layers hold views of them. One update then touches one vector, and a checkpoint is
two. Convolution kernels lie in memory as O x kH x kW x I, so that nets in channels-last layout
need no reordering; by name they are always O x I x kH x kW.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from modiste.kernels.blocks import BlockShape
from modiste.kernels.on_gpu import BlocksOnGPU
from modiste.kernels.ops import Kernels
from modiste.models.dense import (
    ByKernels,
    ByTorch,
    DenseNet,
    Tail,
    Trained,
    dense_tail,
    is_all_of,
    tail_step,
)
from modiste.models.fused import Block, leading_block, suits_conv1, suits_conv3, training
from modiste.models.initialise import initialise
from modiste.models.layers import (
    BatchNorm,
    Conv,
    Dense,
    Layer,
    MaxPool,
    Residual,
    Shape,
)
from modiste.models.noise import Noise
from modiste.models.places import Place, inner_places, places_of
from modiste.models.steps import (
    ACTIVATIONS,
    Step,
    Weight,
    batch_norm,
    convolution,
    dense,
    max_pool,
    residual,
    without_weights,
)
from modiste.spec.parts import Initialisation, Slot, Views


class Network:
    """A net whose weights are one vector.

    Args:
        layers: From the image to the logits.
        shape_CHW: Of one image.
        initialisation: How kernels and biases start.
        seed: Of the run; each tensor draws from a stream of its own.
        dtype: float32, or float64 for comparisons.
        device: Where it computes.
        precision: What images, kernels and all that layers give are rounded to in training, and
            gradients likewise; nothing if not given. The vectors of weights and gradients and norms
            keep `dtype`; logits are handed out in it, but were rounded.
        kernels: Compiled ones, which then do what they can; torch does all if not given.
        views: What an answer is the mean of, where the net only infers.

    Attributes:
        layers: From the image to the logits.
        shape_CHW: Of one image.
        views: What an answer is the mean of.
        weights: All trainable weights; move it in place.
        grads: Their gradients, as `gradients` found them last.
        statistics: All moving means and variances.
        parameters: Views of `weights`, one for each tensor, which gradients are taken for.
        layout: Where each of them lies in `weights`.
        uses_channels_last: Whether images must come in that memory layout.
    """

    def __init__(  # noqa: PLR0913 (by keyword: how it computes what the layers say)
        self,
        layers: Sequence[Layer],
        shape_CHW: Shape,
        initialisation: Initialisation = "glorot_uniform",
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        precision: torch.dtype | None = None,
        kernels: Kernels | BlocksOnGPU | None = None,
        views: Views = "one",
    ) -> None:
        self.views = views
        self.layers = tuple(layers)
        self.shape_CHW = shape_CHW
        shapes = [shape_CHW]
        for layer in layers:
            shapes.append(layer.output_shape(shapes[-1]))
        inputs = shapes[:-1]
        sizes = list(zip(layers, inputs, strict=True))
        self.weights = torch.zeros(
            sum(layer.trainable(shape) for layer, shape in sizes), dtype=dtype, device=device
        )
        self.statistics = torch.zeros(
            sum(layer.fixed(shape) for layer, shape in sizes), dtype=dtype, device=device
        )
        self.grads = torch.empty_like(self.weights)
        self._low = None if precision is None else self.weights.to(precision)
        self._kernels = kernels
        # Faster on CPU for every net of the reference study, most for the widest (LOG.md).
        self.uses_channels_last = any(isinstance(layer, Conv) for layer in layers)
        self.parameters: list[Tensor] = []
        self.layout: list[Slot] = []
        self._full: list[Tensor] = []
        self._grads: list[Tensor] = []
        self._statistics_by_name: dict[str, Tensor] = {}
        self._weights_used = 0
        self._statistics_used = 0
        places = places_of(layers, shape_CHW)
        tail = dense_tail(places) if precision is None else None
        start = len(places) - (tail.length if tail else 0)
        self._steps = self._steps_of(places[:start])
        self._dense: DenseNet | None = None
        if tail:
            trained, arithmetic = self._trained(tail), self._arithmetic()
            if is_all_of(places, tail):
                self._dense = DenseNet(tail, trained, arithmetic)
            self._steps.append(self._dense or tail_step(tail, trained, arithmetic))
        self.layout = _with_last(self.layout)
        assert self._weights_used == len(self.weights), "layer table and net disagree"
        assert self._statistics_used == len(self.statistics), "layer table and net disagree"
        initialise(dict(self.named_weights()), initialisation, seed)

    def __call__(self, images: Tensor, noise: Noise | None = None) -> Tensor:
        """Logits, N x K.

        Args:
            images: N x C x H x W, scaled.
            noise: Given in training: dropout acts, batch norm uses the batch and moves its
                statistics. Without it the net only infers.
        """
        if noise is None and self.views == "mirror":
            return (self._logits(images, None) + self._logits(images.flip(3), None)) / 2.0
        return self._logits(images, noise)

    def _logits(self, images: Tensor, noise: Noise | None) -> Tensor:
        values = images
        if noise is not None and self._low is not None:
            with torch.no_grad():
                self._low.copy_(self.weights)
            values = values.to(self._low.dtype)
        if self.uses_channels_last:
            values = values.contiguous(memory_format=torch.channels_last)
        for step in self._steps:
            values = step(values, noise)
        return values.to(self.weights.dtype)

    def load(self, weights: Tensor, statistics: Tensor) -> None:
        """Take over both vectors; those it computes with already cost nothing."""
        for mine, given in ((self.weights, weights), (self.statistics, statistics)):
            if mine is not given:
                mine.copy_(given)

    def named_weights(self) -> list[tuple[str, Tensor]]:
        """Views of the trainable weights by name, in the order of the layers."""
        return list(zip(self.names, self._full, strict=True))

    @property
    def names(self) -> list[str]:
        """Of the trainable weights, in the order of the layers."""
        return [slot.name for slot in self.layout]

    def named_statistics(self) -> list[tuple[str, Tensor]]:
        """Views of the moving statistics by name, in the order of the layers."""
        return list(self._statistics_by_name.items())

    def gradients(self, logits_NK: Tensor, slope_NK: Tensor) -> Tensor:
        """Of a loss, for all weights: one vector laid out like `weights`, the same each time.

        Args:
            logits_NK: What this net gave last, in training.
            slope_NK: The loss's gradient with respect to them.
        """
        assert slope_NK.shape == logits_NK.shape
        if self._dense is not None and not logits_NK.requires_grad:
            assert self._dense.gave(logits_NK), "gradients are those of the last batch"
            self._dense.gradients(slope_NK)
            return self.grads
        found = torch.autograd.grad(logits_NK, self.parameters, slope_NK)
        moved = [
            (place, grad)
            for grad, place in zip(found, self._grads, strict=True)
            if grad.data_ptr() != place.data_ptr()  # else its layer has written it there
        ]
        if moved:  # in one call: a GPU is asked once
            torch._foreach_copy_([place for place, _ in moved], [grad for _, grad in moved])
        return self.grads

    def _weight(self, name: str, *shape: int) -> Weight:
        stop = self._weights_used + math.prod(shape)
        place = slice(self._weights_used, stop)
        self._weights_used = stop
        full = as_kernel(self.weights[place], shape).detach()
        self.layout.append(Slot(name, tuple(shape), place.start, place.stop))
        self._full.append(full)
        self._grads.append(as_kernel(self.grads[place], shape))
        # What belongs to a channel or a unit has no rounded copy: norms, which are delicate, take
        # it as it is, and a bias is rounded where it is added to rounded values.
        if self._low is None or len(shape) == 1:
            weight = Weight(full.detach().requires_grad_())
        else:
            low = as_kernel(self._low[place], shape).detach().requires_grad_()
            weight = Weight(full, low)
        self.parameters.append(weight.trained)
        return weight

    def _statistic(self, name: str, size: int, value: float) -> Tensor:
        stop = self._statistics_used + size
        view = self.statistics[self._statistics_used : stop].fill_(value)
        self._statistics_used = stop
        self._statistics_by_name[name] = view
        return view

    def _steps_of(self, places: Sequence[Place]) -> list[Step]:
        steps: list[Step] = []
        rest, before = list(places), None
        while rest:
            block = None if self._kernels is None else leading_block(rest, before)
            steps.append(self._step(rest[0]) if block is None else self._block(block))
            done = 1 if block is None else block.length
            before, rest = rest[done - 1], rest[done:]
        return steps

    def _step(self, place: Place) -> Step:
        name, shape, index = place.name, place.shape, place.index
        match place.layer:
            case Dense(units, activation):
                return dense(
                    self._weight(f"{name}.weight", units, shape[0]),
                    self._weight(f"{name}.bias", units),
                    ACTIVATIONS[activation],
                )
            case Conv(activation=activation) as layer:
                convolve, bias = self._convolution(layer, shape, name)
                activate = ACTIVATIONS[activation]
                return lambda x, noise: activate(convolve(x, bias))
            case BatchNorm() as layer:
                return batch_norm(layer, *self._norm_tensors(shape, name))
            case Residual():
                return residual(self._steps_of(inner_places(place)))
            case MaxPool() as layer:
                return max_pool(layer, shape)
        return without_weights(place.layer, index)

    def _trained(self, tail: Tail) -> list[Trained]:
        """The tensors of the dense layers that end the net."""
        trained = []
        for place in tail.dense:
            assert isinstance(place.layer, Dense)
            weight = self._weight(f"{place.name}.weight", place.layer.units, place.shape[0])
            bias = self._weight(f"{place.name}.bias", place.layer.units)
            trained.append(Trained(weight.full, bias.full, *self._grads[-2:]))
        return trained

    def _arithmetic(self) -> ByTorch:
        """How they are computed."""
        # Of a net with convolutions, those take nearly all the time.
        is_worth = not self.uses_channels_last and self.weights.dtype == torch.float32
        if isinstance(self._kernels, Kernels) and is_worth:
            return ByKernels(self._kernels)
        return ByTorch()

    def _block(self, block: Block) -> Step:
        """Several layers in one, by a compiled kernel; the same arithmetic in fewer passes."""
        kernels = self._kernels
        norm = block.norm.layer
        assert kernels is not None
        assert isinstance(norm, BatchNorm)
        convolve, bias = None, None
        if block.conv is not None:
            assert isinstance(block.conv.layer, Conv)
            convolve, bias = self._convolution(block.conv.layer, block.conv.shape, block.conv.name)
        tensors = self._norm_tensors(block.norm.shape, block.norm.name)
        scale, shift, mean, variance = tensors
        inner = None if bias is None else bias.full
        share = 1.0 - norm.momentum
        shape = BlockShape(
            is_act_first=block.conv is not None,
            is_pooled=block.pool is not None,
            epsilon=norm.epsilon,
            is_relu_after=block.relu is not None,
            may_overwrite=block.owns_input,
        )
        train = training(block, shape, kernels)

        def step(values: Tensor, noise: Noise | None) -> Tensor:
            if convolve is not None:
                values = convolve(values, None)
            if noise is None:
                return kernels.infer(values, inner, scale.full, shift.full, shape, mean, variance)
            out, batch_mean, batch_variance = train(values, inner, scale.full, shift.full, noise)
            with torch.no_grad():
                mean.lerp_(batch_mean, share)
                variance.lerp_(batch_variance, share)
            return out

        return step

    def _convolution(
        self, layer: Conv, shape: Shape, name: str
    ) -> tuple[Callable[[Tensor, Weight | None], Tensor], Weight | None]:
        """The convolution with its kernel, still to be told the bias; and its bias, if any."""
        kernel, kernels = layer.kernel, self._kernels
        weight = self._weight(f"{name}.weight", layer.filters, shape[0], kernel, kernel)
        bias = self._weight(f"{name}.bias", layer.filters) if layer.has_bias else None
        convolve = convolution(layer, shape)
        conv1 = kernels.conv1 if kernels and suits_conv1(layer, shape) else None
        conv3 = None
        if isinstance(kernels, Kernels) and kernels.has_conv3 and suits_conv3(layer, shape):
            conv3 = kernels.conv3

        def run(values: Tensor, bias: Weight | None) -> Tensor:
            # A bias is the block's business, or torch's; and what is learnt before this layer needs
            # a gradient that `conv1`, made for images, does not give.
            if conv1 is not None and bias is None and not values.requires_grad:
                return conv1(values, weight.like(values))
            if conv3 is not None:
                found = conv3(values, weight.like(values))
                return found if bias is None else found + bias.like(values)[:, None, None]
            return convolve(
                values, weight.like(values), None if bias is None else bias.like(values)
            )

        return run, bias

    def _norm_tensors(self, shape: Shape, name: str) -> tuple[Weight, Weight, Tensor, Tensor]:
        return (
            self._weight(f"{name}.scale", shape[0]),
            self._weight(f"{name}.shift", shape[0]),
            self._statistic(f"{name}.moving_mean", shape[0], 0.0),
            self._statistic(f"{name}.moving_variance", shape[0], 1.0),
        )


def _with_last(layout: Sequence[Slot]) -> list[Slot]:
    """The same, with the tensors of the layer that gives the logits marked."""
    names = [slot.name.rpartition(".")[0] for slot in layout]
    return [
        replace(slot, is_last=name == names[-1]) for slot, name in zip(layout, names, strict=True)
    ]


def as_kernel(flat: Tensor, shape: Sequence[int]) -> Tensor:
    """A view of a flat vector by this shape; kernels lie as O x kH x kW x I in memory.

    Of several vectors, ``... x length``, the same of each: ``... x shape``.
    """
    front = flat.shape[:-1]
    if len(shape) != 4:
        return flat.view(*front, *shape)
    outputs, inputs, height, width = shape
    return flat.view(*front, outputs, height, width, inputs).movedim(-1, -3)
