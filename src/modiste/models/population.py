"""Several nets of equal shape computed as one: matrices become stacks, kernels become groups.

Images of all members lie side by side in the channels, N x (P C) x H x W; what is flat lies as
P x N x F. P is the number of members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.errors import SpecError
from modiste.models.build import Network, as_kernel
from modiste.models.layers import (
    Activate,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    MaxPool,
    Residual,
    Shape,
)
from modiste.models.noise import Noises
from modiste.models.places import Place, every_place, inner_places, places_of
from modiste.models.steps import ACTIVATIONS, alone, convolution, max_pool, residual

Step = Callable[[Tensor, Noises | None], Tensor]


class Population:
    """Nets of equal shape as one; their weights and statistics are copied at the start.

    Args:
        nets: Equal but for weights, statistics and rates of dropout.

    Attributes:
        weights: P x (weights of one); move it in place.
        statistics: P x (moving statistics of one).
        parameters: Views of `weights`, each P x its shape, which gradients are taken for.

    Raises:
        SpecError: If they are not of equal shape.
    """

    def __init__(self, nets: Sequence[Network]) -> None:
        first = nets[0]
        if len({shape_of(net.layers, net.shape_CHW) for net in nets}) > 1:
            raise SpecError("nets of different shapes cannot be computed as one.")
        self.size = len(nets)
        self.weights = torch.stack([net.weights for net in nets]).detach()
        self.statistics = torch.stack([net.statistics for net in nets]).detach()
        self.layout = first.layout
        self.parameters = [
            as_kernel(self.weights[:, slot.start : slot.stop], slot.shape).requires_grad_()
            for slot in first.layout
        ]
        self._rates = [_rates(net) for net in nets]
        self._uses_channels_last = first.uses_channels_last
        self._unused = iter(self.parameters)
        self._statistics_used = 0
        self._steps = [self._step(place) for place in places_of(first.layers, first.shape_CHW)]

    def __call__(self, images_PNCHW: Tensor, noises: Noises | None = None) -> Tensor:
        """Logits, P x N x K.

        Args:
            images_PNCHW: Scaled; each member's own.
            noises: Given in training, one for each member. Without them the nets only infer.
        """
        members, count, channels, height, width = images_PNCHW.shape
        values = images_PNCHW.transpose(0, 1).reshape(count, members * channels, height, width)
        if self._uses_channels_last:
            values = values.contiguous(memory_format=torch.channels_last)
        for step in self._steps:
            values = step(values, noises)
        return values

    def gather(self, grads: Sequence[Tensor], out: Tensor) -> Tensor:
        """Write gradients of `parameters` into a matrix laid out like `weights`."""
        for grad, slot in zip(grads, self.layout, strict=True):
            as_kernel(out[:, slot.start : slot.stop], slot.shape).copy_(grad)
        return out

    def _statistic(self, size: int) -> Tensor:
        start, self._statistics_used = self._statistics_used, self._statistics_used + size
        return self.statistics[:, start : start + size]

    def _step(self, place: Place) -> Step:
        layer, shape = place.layer, place.shape
        match layer:
            case Dense(_, activation):
                return _dense(next(self._unused), next(self._unused), ACTIVATIONS[activation])
            case Conv(activation=activation):
                weight = next(self._unused)
                bias = next(self._unused) if layer.has_bias else None
                return _conv(layer, shape, weight, bias)
            case BatchNorm():
                tensors = next(self._unused), next(self._unused)
                return _batch_norm(
                    layer, *tensors, self._statistic(shape[0]), self._statistic(shape[0])
                )
            case Residual():
                return residual([self._step(inner) for inner in inner_places(place)])
            case MaxPool():
                pool = max_pool(layer, shape)
                return lambda values, noises: pool(values, None)
            case Dropout():
                return _dropout(place.index, [rates[place.index] for rates in self._rates])
        return _without_weights(layer, self.size)


def shape_of(layers: Sequence[Layer], shape_CHW: Shape) -> tuple[object, ...]:
    """What two nets must have in common to be computed as one: all but the rates of dropout."""
    return (
        shape_CHW,
        *(
            Dropout if isinstance(place.layer, Dropout) else place.layer
            for place in every_place(layers, shape_CHW)
            if not isinstance(place.layer, Residual)
        ),
    )


def _rates(net: Network) -> dict[int, float]:
    """The rate of each dropout layer, by its index."""
    return {
        place.index: place.layer.rate
        for place in every_place(net.layers, net.shape_CHW)
        if isinstance(place.layer, Dropout)
    }


def _dense(weight: Tensor, bias: Tensor, activate: Callable[[Tensor], Tensor]) -> Step:
    return lambda values, noises: activate(
        torch.baddbmm(bias.unsqueeze(1), values, weight.transpose(1, 2))
    )


def _conv(layer: Conv, shape: Shape, weight: Tensor, bias: Tensor | None) -> Step:
    convolve = convolution(layer, shape, len(weight))
    activate = ACTIVATIONS[layer.activation]

    def step(values: Tensor, noises: Noises | None) -> Tensor:
        flat = None if bias is None else bias.flatten()
        return activate(convolve(values, weight.flatten(0, 1), flat))

    return step


def _batch_norm(
    layer: BatchNorm, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> Step:
    """As in `modiste.models.steps`, where it is said why."""
    share, members = 1.0 - layer.momentum, len(scale)

    def normalise(values: Tensor, noises: Noises | None) -> Tensor:
        scales, shifts = scale.flatten(), shift.flatten()
        if noises is None:
            return F.batch_norm(
                values,
                mean.flatten(),
                variance.flatten(),
                scales,
                shifts,
                False,
                0.0,
                layer.epsilon,
            )
        count = values.numel() // values.shape[1]
        if count == 1:
            with torch.no_grad():
                mean.lerp_(values.view(members, -1), share)
                variance.mul_(layer.momentum)
            around = (1, -1, *(1,) * (values.dim() - 2))
            return (values - values) * scales.view(around) + shifts.view(around)
        batch_mean, batch_variance = torch.zeros_like(scales), torch.zeros_like(scales)
        out = F.batch_norm(
            values, batch_mean, batch_variance, scales, shifts, True, 1.0, layer.epsilon
        )
        with torch.no_grad():
            mean.lerp_(batch_mean.view(members, -1), share)
            variance.lerp_(batch_variance.view(members, -1) * ((count - 1) / count), share)
        return out

    def step(values: Tensor, noises: Noises | None) -> Tensor:
        if values.dim() == 4:
            return normalise(values, noises)
        return _apart(normalise(values.transpose(0, 1).flatten(1), noises), members)

    return step


def _dropout(index: int, rates: Sequence[float]) -> Step:
    def step(values: Tensor, noises: Noises | None) -> Tensor:
        if noises is None:
            return values
        if values.dim() == 3:
            return values * noises.stacked(index, values, rates)
        parts = _members_of(values, len(rates)).unbind(1)
        return values * torch.stack(noises.each(index, parts, rates), 1).flatten(1, 2)

    return step


def _without_weights(layer: Layer, members: int) -> Step:
    match layer:
        case Flatten():
            # H x W x C order, as a net alone flattens.
            return lambda values, noises: (
                _members_of(values, members).permute(1, 0, 3, 4, 2).flatten(2)
            )
        case Activate(activation):
            activate = alone(activation)
            return lambda values, noises: activate(values)
        case GlobalPool("max"):
            return lambda values, noises: _apart(values.amax((2, 3)), members)
        case GlobalPool():
            return lambda values, noises: _apart(values.mean((2, 3)), members)
    raise AssertionError(f"no way to compute {layer!r}")


def _apart(values_N: Tensor, members: int) -> Tensor:
    """N x (P F) as P x N x F."""
    return _members_of(values_N, members).transpose(0, 1)


def _members_of(values: Tensor, members: int) -> Tensor:
    """N x (P C) x ... as N x P x C x ..."""
    count, width = values.shape[:2]
    return values.reshape(count, members, width // members, *values.shape[2:])
