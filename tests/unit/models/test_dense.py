"""Dense layers at the end of a net, computed as one step."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.data import places
from modiste.kernels.ops import Kernels
from modiste.models.build import Network
from modiste.models.dense import ByKernels, ByTorch, Trained, dense_tail
from modiste.models.layers import BatchNorm, Conv, Dense, Dropout, Flatten, Layer
from modiste.models.places import places_of
from modiste.train.loss import cross_entropy
from modiste.train.noise import ByteNoise

NETS: dict[str, tuple[Layer, ...]] = {
    "no hidden layer": (Flatten(), Dense(10, "softmax")),
    "one": (Flatten(), Dense(48, "relu"), Dropout(0.3), Dense(10, "softmax")),
    "three": (
        Flatten(),
        Dense(48, "relu"),
        Dropout(0.3),
        Dense(32, "linear"),
        Dense(32, "linear"),
        Dropout(0.5),
        Dense(16, "relu"),
        Dense(10, "softmax"),
    ),
    "behind another activation": (
        Flatten(),
        Dense(24, "tanh"),
        Dropout(0.25),
        Dense(16, "relu"),
        Dense(10),
    ),
    "behind a convolution": (
        Conv(4, activation="relu"),
        BatchNorm(),
        Flatten(),
        Dense(16, "relu"),
        Dropout(0.25),
        Dense(10, "softmax"),
    ),
}


def tail_of(*layers: Layer, shape: tuple[int, ...] = (1, 9, 9)) -> list[str]:
    """Names of the dense layers in the tail."""
    tail = dense_tail(places_of(layers, shape))
    return [] if tail is None else [place.name for place in tail.dense]


def test_a_tail_is_as_long_as_it_can_be() -> None:
    assert tail_of(*NETS["three"]) == [f"dense_{index}" for index in range(5)]
    assert tail_of(*NETS["behind another activation"]) == ["dense_1", "dense_2"]
    assert tail_of(*NETS["behind a convolution"]) == ["dense_0", "dense_1"]
    wide = Dense(8, "relu")
    assert tail_of(Flatten(), Dropout(0.5), wide, Dense(10)) == ["dense_0", "dense_1"]


def test_a_single_layer_is_one_only_where_it_is_the_whole_net() -> None:
    assert tail_of(*NETS["no hidden layer"]) == ["dense_0"]
    assert tail_of(Flatten(), Dropout(0.5), Dense(10)) == []
    assert tail_of(Conv(4), Flatten(), Dense(10)) == []


def test_a_net_that_ends_in_something_else_has_none() -> None:
    assert tail_of(Flatten()) == []
    assert tail_of(Flatten(), Dense(10, "tanh")) == []
    assert tail_of(Flatten(), Dense(10), Dropout(0.5)) == []


def gradients(net: Network, logits: Tensor, labels: Tensor) -> Tensor:
    """Of the mean cross-entropy, for all weights."""
    _, slope = cross_entropy(logits, labels, 0.0, None)
    return net.gradients(logits, slope).clone()


def layer_by_layer(net: Network, images: Tensor, noise: ByteNoise | None) -> Tensor:
    """The logits of a net of dense layers as torch's own layers give them."""
    weights = dict(zip(net.names, net.parameters, strict=True))
    values = images
    for place in places_of(net.layers, net.shape_CHW):
        match place.layer:
            case Flatten():
                values = values.permute(0, 2, 3, 1).flatten(1)
            case Dropout(rate) if noise is not None:
                values = values * noise.multiplier(place.index, values, rate)
            case Dense(_, activation):
                values = F.linear(
                    values, weights[f"{place.name}.weight"], weights[f"{place.name}.bias"]
                )
                values = {"relu": torch.relu, "tanh": torch.tanh}.get(activation, lambda x: x)(
                    values
                )
    return values


@pytest.mark.parametrize("has_noise", [True, False], ids=["training", "inferring"])
@pytest.mark.parametrize("name", ["no hidden layer", "one", "three", "behind another activation"])
def test_its_logits_and_gradients_are_those_of_torchs_layers_bit_for_bit(
    name: str, has_noise: bool
) -> None:
    net = Network(NETS[name], (1, 9, 9), seed=3)
    torch.manual_seed(0)
    images, labels = torch.rand(20, 1, 9, 9), torch.arange(20) % 10
    noise = ByteNoise(5, 2) if has_noise else None
    theirs = layer_by_layer(net, images, noise)
    wanted = torch.autograd.grad(F.cross_entropy(theirs, labels), net.parameters)
    ours = net(images, noise)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradients(net, ours, labels), torch.cat([one.flatten() for one in wanted]))


@pytest.mark.parametrize("name", NETS)
def test_every_gradient_is_right(name: str) -> None:
    """Against differences, in float64: no code of ours or torch's derives them."""
    net = Network(NETS[name], (1, 5, 5), seed=1, dtype=torch.float64)
    torch.manual_seed(1)
    images, labels = torch.rand(6, 1, 5, 5, dtype=torch.float64), torch.arange(6)
    inner: Any = torch.no_grad()

    def loss() -> Tensor:
        return F.cross_entropy(net(images, ByteNoise(0, 0)), labels)

    found = gradients(net, net(images, ByteNoise(0, 0)), labels)
    step = 1e-6
    with inner:
        for place in torch.randperm(len(net.weights))[:60].tolist():
            kept = float(net.weights[place])
            net.weights[place] = kept + step
            above = float(loss())
            net.weights[place] = kept - step
            below = float(loss())
            net.weights[place] = kept
            # Central differences: wrong by step^2 times a third derivative of order 1, and by
            # 1e-16 / step from rounding.
            assert float(found[place]) == pytest.approx((above - below) / (2 * step), abs=1e-8)


def test_its_gradients_are_written_where_they_belong() -> None:
    net = Network(NETS["behind another activation"], (1, 9, 9))
    logits = net(torch.rand(20, 1, 9, 9), ByteNoise(0, 0))
    found = torch.autograd.grad(logits.sum(), net.parameters)
    starts = [slot.start * net.grads.element_size() for slot in net.layout]
    of_tail = slice(2, None)  # after weight and bias of the other layer
    places = [grad.data_ptr() - net.grads.data_ptr() for grad in found]
    assert places[of_tail] == starts[of_tail]
    assert places != starts


@pytest.mark.parametrize("name", ["no hidden layer", "three"])
def test_a_net_of_dense_layers_alone_trains_without_a_graph(name: str) -> None:
    """And gives the gradients of the batch it saw last; of another one only through a graph."""
    net = Network(NETS[name], (1, 9, 9))
    torch.manual_seed(4)
    one, other = torch.rand(2, 20, 1, 9, 9)
    labels = torch.arange(20) % 10
    first = net(one, ByteNoise(0, 0))
    assert not first.requires_grad
    wanted = gradients(net, first, labels)
    again = net(one, ByteNoise(0, 0))
    net(other)  # inferring in between changes nothing
    assert torch.equal(gradients(net, again, labels), wanted)
    late = net(one, ByteNoise(0, 0))
    net(other, ByteNoise(0, 0))
    with pytest.raises(AssertionError, match="the last batch"):
        gradients(net, late, labels)


def test_a_batch_is_let_go_once_its_gradients_are_there() -> None:
    net = Network(NETS["three"], (1, 9, 9))
    images = torch.rand(20, 1, 9, 9)
    seen = weakref.ref(images)
    logits = net(images, ByteNoise(0, 0))
    del images
    assert seen() is not None
    gradients(net, logits, torch.arange(20) % 10)
    assert seen() is None


@pytest.mark.parametrize("name", ["no hidden layer", "three", "behind a convolution"])
@pytest.mark.parametrize("shape", [(5, 10), (4, 9), (4,)], ids=str)
def test_a_slope_of_another_shape_than_the_logits_is_refused(
    name: str, shape: tuple[int, ...]
) -> None:
    net = Network(NETS[name], (1, 9, 9))
    logits = net(torch.rand(4, 1, 9, 9), ByteNoise(0, 0))
    with pytest.raises(AssertionError):
        net.gradients(logits, torch.rand(shape))


@pytest.mark.compiler
@pytest.mark.parametrize("side", [8, 10])
def test_images_of_another_size_are_refused(side: int, kernels: Kernels) -> None:
    net = Network(NETS["no hidden layer"], (1, 9, 9), kernels=kernels)
    with pytest.raises(AssertionError):
        net(torch.rand(4, 1, side, side), ByteNoise(0, 0))


def test_images_have_gradients_too_where_they_are_asked_for() -> None:
    net = Network(NETS["three"], (1, 9, 9))
    images = torch.rand(20, 1, 9, 9, requires_grad=True)
    (found,) = torch.autograd.grad(net(images).square().sum(), images)
    (wanted,) = torch.autograd.grad(layer_by_layer(net, images, None).square().sum(), images)
    assert torch.equal(found, wanted)


@pytest.mark.compiler
@pytest.mark.parametrize("shape", [(128, 784, 768), (20, 784, 16), (7, 33, 10), (1, 1, 1)])
def test_all_libraries_multiply_alike(shape: tuple[int, int, int], kernels: Kernels) -> None:
    count, inputs, units = shape
    torch.manual_seed(2)
    values, slope = torch.randn(count, inputs), torch.randn(count, units)
    weight, bias = torch.randn(units, inputs), torch.randn(units)
    wanted = {
        "forward": values.double() @ weight.double().t() + bias.double(),
        "backward": slope.double() @ weight.double(),
        "weight": slope.double().t() @ values.double(),
        "bias": slope.double().sum(0),
    }
    terms = {"forward": inputs + 1, "backward": units, "weight": count, "bias": count}
    for arithmetic in (ByTorch(), ByKernels(kernels)):
        layer = Trained(weight, bias, torch.empty_like(weight), torch.empty_like(bias))
        arithmetic.learn(slope, values, layer)
        found = {
            "forward": arithmetic.forward(values, layer),
            "backward": arithmetic.backward(slope, layer, None),
            "weight": layer.d_weight,
            "bias": layer.d_bias,
        }
        for name, exact in wanted.items():
            # n products of about 1: the sum of k of them is about sqrt(k), and rounding it is off
            # by up to 2^-24 of that. Added up at random, 0.4 x 2^-24 x n; the largest of 100,000
            # is ten times that.
            limit = 4 * 2**-24 * (terms[name] + 4)
            assert float((found[name] - exact).abs().max()) < limit, name


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("name", "dtype", "is_used", "limit"),
    [
        ("no hidden layer", torch.float32, True, 1e-6),
        ("one", torch.float32, True, 1e-6),
        ("three", torch.float32, True, 1e-6),
        ("three", torch.float64, False, 1e-15),
        ("behind a convolution", torch.float32, False, 1e-4),  # the norms differ
    ],
)
def test_fused_kernels_do_the_tail_of_nets_of_dense_layers_alone(
    name: str,
    dtype: torch.dtype,
    is_used: bool,
    limit: float,
    kernels: Kernels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []

    def recorded(self: ByKernels, *operands: Any) -> Tensor:
        calls.append(operands)
        return forward(self, *operands)

    forward = ByKernels.forward
    monkeypatch.setattr(ByKernels, "forward", recorded)
    torch.manual_seed(3)
    images, labels = torch.rand(128, 1, 9, 9, dtype=dtype), torch.arange(128) % 10
    found = []
    for given in (None, kernels):
        net = Network(NETS[name], (1, 9, 9), seed=1, kernels=given, dtype=dtype)
        logits = net(images, ByteNoise(0, 0))
        found.append((logits, gradients(net, logits, labels)))
    assert bool(calls) == is_used
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=limit)


@pytest.fixture
def kernels() -> Kernels:
    return Kernels(places.cache_folder() / "kernels")
