"""Layers against slow and obvious NumPy versions, in float64, and their traps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.errors import SpecError
from modiste.models.build import Network
from modiste.models.layers import BatchNorm, Conv, Dense, Dropout, Flatten, Layer, MaxPool
from modiste.models.steps import convolution
from modiste.train.kept import kept_share
from modiste.train.noise import ByteNoise, multiplier_of

Floats = npt.NDArray[np.float64]

# Sums of about 100 products of numbers near 1, in another order: roundings of 2.2e-16 each.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def random(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


def net_of(*layers: Layer, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Network:
    net = Network(layers, shape, seed=3, dtype=dtype)
    for index, (_, tensor) in enumerate(net.named_weights()):
        tensor.copy_(torch.from_numpy(random(*tensor.shape, seed=index + 10)))
    return net


def run(net: Network, images: Floats, noise: Any = None) -> Floats:
    return net(torch.from_numpy(images), noise).detach().numpy()


def windows(size: int, span: int, stride: int, padding: str) -> list[int]:
    """Where each window begins: TensorFlow's definition of SAME and VALID, for one side."""
    if padding == "valid":
        return list(range(0, size - span + 1, stride))
    count = math.ceil(size / stride)
    total = max((count - 1) * stride + span - size, 0)
    return [index * stride - total // 2 for index in range(count)]


def slow_conv(images: Floats, weight: Floats, bias: Floats, layer: Conv) -> Floats:
    num, _, height, width = images.shape
    span = (layer.kernel - 1) * layer.dilation + 1
    rows = windows(height, span, layer.stride, layer.padding)
    columns = windows(width, span, layer.stride, layer.padding)
    out = np.zeros((num, layer.filters, len(rows), len(columns)))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            total = np.tile(bias, (num, 1))
            for a in range(layer.kernel):
                for b in range(layer.kernel):
                    y, x = top + a * layer.dilation, left + b * layer.dilation
                    if 0 <= y < height and 0 <= x < width:
                        total += images[:, :, y, x] @ weight[:, :, a, b].T
            out[:, :, i, j] = total
    return out


@pytest.mark.parametrize("size", [(8, 9), (7, 7)], ids=str)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_is_the_sum_it_says(
    kernel: int, stride: int, dilation: int, padding: Any, size: tuple[int, int]
) -> None:
    layer = Conv(4, kernel, stride, padding, dilation)
    if padding == "valid" and (kernel - 1) * dilation + 1 > min(size):
        with pytest.raises(SpecError, match="does not fit"):
            layer.output_shape((3, *size))
        return
    net = net_of(layer, shape=(3, *size))
    images = random(2, 3, *size, seed=1)
    weights = {name: tensor.numpy() for name, tensor in net.named_weights()}
    wanted = slow_conv(images, weights["conv_0.weight"], weights["conv_0.bias"], layer)
    found = run(net, images)
    assert found.shape[1:] == layer.output_shape((3, *size))
    np.testing.assert_allclose(found, wanted, **CLOSE)


@pytest.mark.parametrize("side", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (2, 1), (3, 3), (2, 3)])
def test_pooling_takes_the_largest_of_each_window(
    window: int, stride: int, padding: Any, side: int
) -> None:
    layer = MaxPool(window, stride, padding)
    if padding == "valid" and window > side:
        with pytest.raises(SpecError, match="does not fit"):
            layer.output_shape((3, side, side + 1))
        return
    # All below zero: a padding with zeros would win, and must not.
    images = -1 - np.abs(random(2, 3, side, side + 1, seed=2))
    rows, columns = (windows(n, window, stride, padding) for n in (side, side + 1))
    wanted = np.empty((2, 3, len(rows), len(columns)))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            part = images[:, :, max(top, 0) : top + window, max(left, 0) : left + window]
            wanted[:, :, i, j] = part.max(axis=(2, 3))
    found = run(net_of(layer, shape=(3, side, side + 1)), images)
    assert found.shape[1:] == layer.output_shape((3, side, side + 1))
    assert np.array_equal(found, wanted)


def slow_norm(
    images: Floats, mean: Floats, variance: Floats, scale: Floats, shift: Floats, epsilon: float
) -> Floats:
    mean, variance, scale, shift = (v[:, None, None] for v in (mean, variance, scale, shift))
    return (images - mean) / np.sqrt(variance + epsilon) * scale + shift


@pytest.mark.parametrize(("momentum", "epsilon"), [(0.99, 1e-3), (0.9, 1e-5), (0.0, 1e-3)])
def test_batch_norm_uses_the_batch_in_training_and_its_moving_statistics_after(
    momentum: float, epsilon: float
) -> None:
    net = net_of(BatchNorm(momentum, epsilon), shape=(3, 4, 5))
    weights = {name: tensor.numpy() for name, tensor in net.named_weights()}
    scale, shift = weights["batch_norm_0.scale"], weights["batch_norm_0.shift"]
    mean, variance = np.zeros(3), np.ones(3)
    for step in range(3):
        images = 2 + 3 * random(6, 3, 4, 5, seed=step)
        batch_mean = images.mean(axis=(0, 2, 3))
        # The biased variance, which Keras moves as well; torch would move the unbiased one.
        batch_variance = images.var(axis=(0, 2, 3))
        found = run(net, images, ByteNoise(0, step))
        wanted = slow_norm(images, batch_mean, batch_variance, scale, shift, epsilon)
        np.testing.assert_allclose(found, wanted, **CLOSE)
        mean = momentum * mean + (1 - momentum) * batch_mean
        variance = momentum * variance + (1 - momentum) * batch_variance
    moved = {name: tensor.numpy() for name, tensor in net.named_statistics()}
    np.testing.assert_allclose(moved["batch_norm_0.moving_mean"], mean, **CLOSE)
    np.testing.assert_allclose(moved["batch_norm_0.moving_variance"], variance, **CLOSE)
    images = random(2, 3, 4, 5, seed=9)
    wanted = slow_norm(images, mean, variance, scale, shift, epsilon)
    np.testing.assert_allclose(run(net, images), wanted, **CLOSE)


def test_batch_norm_of_one_value_a_channel_gives_its_shift() -> None:
    net = net_of(BatchNorm(0.9), Flatten(), Dense(2), shape=(3, 1, 1))
    images = torch.from_numpy(random(1, 3, 1, 1)).requires_grad_()
    weights = dict(net.named_weights())
    logits = net(images, ByteNoise(0, 0))
    wanted = F.linear(
        weights["batch_norm_0.shift"][None], weights["dense_0.weight"], weights["dense_0.bias"]
    )
    torch.testing.assert_close(logits, wanted, **CLOSE)
    grads = torch.autograd.grad(logits.sum(), net.parameters)
    assert all(torch.isfinite(grad).all() for grad in grads)
    moved = dict(net.named_statistics())
    torch.testing.assert_close(moved["batch_norm_0.moving_mean"], 0.1 * images[0, :, 0, 0].detach())
    torch.testing.assert_close(
        moved["batch_norm_0.moving_variance"], torch.full((3,), 0.9).double()
    )


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_strided_convolution_of_one_pixel_learns_by_its_middle_alone(
    kernel: int, stride: int
) -> None:
    """In bfloat16 oneDNN leaves what lies beside it unwritten, and there is what was there."""
    layer = Conv(8, kernel, stride)
    convolve = convolution(layer, (8, 1, 1))
    torch.manual_seed(0)
    for _ in range(3):
        torch.full((200_000,), torch.nan)  # what may be there next
        values = torch.randn(4, 8, 1, 1).bfloat16().to(memory_format=torch.channels_last)
        weight = torch.randn(8, 8, kernel, kernel).bfloat16().requires_grad_()
        out = convolve(values, weight, None)
        (found,) = torch.autograd.grad(out.sum(), weight)
        wanted = torch.zeros_like(found)
        wanted[:, :, kernel // 2, kernel // 2] = values.sum(0)[:, 0, 0]
        torch.testing.assert_close(found, wanted, rtol=2e-2, atol=2e-2)


def test_flatten_goes_row_by_row_with_the_channels_innermost_as_keras_does() -> None:
    images = random(2, 3, 4, 5)
    found = run(net_of(Flatten(), shape=(3, 4, 5)), images)
    assert np.array_equal(found, images.transpose(0, 2, 3, 1).reshape(2, -1))


@pytest.mark.parametrize(
    ("activation", "wanted"),
    [
        ("linear", lambda x: x),
        ("softmax", lambda x: x),
        ("relu", lambda x: max(x, 0.0)),
        ("tanh", math.tanh),
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("elu", lambda x: x if x > 0 else math.expm1(x)),
        ("silu", lambda x: x / (1 + math.exp(-x))),
        ("gelu", lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    ],
)
def test_a_dense_layer_is_its_matrix_its_bias_and_its_activation(
    activation: Any, wanted: Any
) -> None:
    net = net_of(Dense(4, activation), shape=(3,))
    weights = {name: tensor.numpy() for name, tensor in net.named_weights()}
    values = random(5, 3)
    linear = values @ weights["dense_0.weight"].T + weights["dense_0.bias"]
    np.testing.assert_allclose(run(net, values), np.vectorize(wanted)(linear), **CLOSE)


# --- a trap: oneDNN issue 6035 --------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("stride", [2, 3])
def test_gradients_of_strided_1x1_convolutions_are_right_in_channels_last(
    channels: int, stride: int
) -> None:
    shape = (channels, 13, 13)
    layers = Conv(6, 3), Conv(16, 1, stride), Flatten(), Dense(10)
    narrow = net_of(*layers, shape=shape, dtype=torch.float32)
    images = torch.from_numpy(random(16, *shape, seed=4)).float()
    assert narrow.uses_channels_last

    def by_hand(images: Tensor, parameters: list[Tensor]) -> Tensor:
        """The same net in float64, plain layout, with torch's own strided convolution."""
        kernel, bias, kernel_1, bias_1, matrix, bias_2 = parameters
        values = F.conv2d(images, kernel, bias, padding=1)
        values = F.conv2d(values, kernel_1, bias_1, stride=stride)
        return F.linear(values.permute(0, 2, 3, 1).flatten(1), matrix, bias_2)

    parameters = [
        p.detach().double().contiguous().clone().requires_grad_() for p in narrow.parameters
    ]
    wanted_logits = by_hand(images.double(), parameters)
    # A weighted sum instead of a loss: every logit counts, and nothing saturates.
    weights = torch.from_numpy(random(16, 10, seed=5))
    wanted = torch.autograd.grad((wanted_logits * weights).sum(), parameters)
    logits = narrow(images, ByteNoise(0, 0))
    found = torch.autograd.grad((logits * weights.float()).sum(), narrow.parameters)
    for name, one, two in zip(narrow.names, found, wanted, strict=True):
        # float32: roundings of 6e-8 in sums of up to 16 x 169 terms; relative to the largest.
        limit = 6e-8 * math.sqrt(16 * 169) * 10 * float(two.abs().max())
        assert float((one.double() - two).abs().max()) < limit, name


# --- dropout from bytes ---------------------------------------------------------------------------


class DrawnByTorch(ByteNoise):
    """As on a GPU, whose generator draws the bytes where they are needed."""

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        return multiplier_of(self.chance(layer, values, rate), values.dtype)


every_noise = pytest.mark.parametrize("noise", [ByteNoise, DrawnByTorch])
RATES = [0.001, 0.1, 0.2, 0.25, 0.3, 0.5, 0.9, 0.999]


@every_noise
@pytest.mark.parametrize("rate", RATES)
def test_dropout_keeps_the_share_it_records_and_scales_by_it(
    rate: float, noise: type[ByteNoise]
) -> None:
    values = torch.ones(1_000, 1_000)
    multiplier = noise(1, 2).multiplier(3, values, rate)
    share = kept_share(rate)
    assert set(multiplier.unique().tolist()) == {0.0, float(torch.tensor(1 / share))}
    # A million draws: four standard errors of a binomial share; passed once in 16,000.
    error = math.sqrt(share * (1 - share) / values.numel())
    assert float((multiplier > 0).double().mean()) == pytest.approx(share, abs=4 * error)
    # Hence the mean stays 1, as dropout promises.
    assert float(multiplier.double().mean()) == pytest.approx(1.0, abs=4 * error / share)
    # A byte decides: at most half of 1/256 from the rate asked for, and at least one of 256.
    assert abs(1 - share - rate) <= max(0.5 / 256, 1 / 256 - rate, rate - 255 / 256)


@every_noise
def test_masks_of_other_layers_updates_and_seeds_are_independent(noise: type[ByteNoise]) -> None:
    values = torch.ones(1_000, 1_000)
    cases = [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3), (3, 2, 1)]  # seed, update, layer
    kept = [noise(s, u).multiplier(layer, values, 0.5) > 0 for s, u, layer in cases]
    for index, one in enumerate(kept):
        for two in kept[:index]:
            # Of fair independent coins half agree: standard error 0.0005; ten pairs, five of them.
            assert float((one == two).double().mean()) == pytest.approx(0.5, abs=5 * 0.0005)
    again = noise(1, 2).multiplier(3, values, 0.5) > 0
    assert torch.equal(again, kept[0])


@every_noise
def test_bits_within_a_mask_do_not_depend_on_their_neighbours(noise: type[ByteNoise]) -> None:
    kept = (noise(1, 2).multiplier(0, torch.ones(1_000_000), 0.5) > 0).double()
    for distance in (1, 2, 3, 7, 8, 16, 64, 256, 784):
        share = float((kept[distance:] == kept[:-distance]).double().mean())
        # As above: half of them agree, standard error 0.0005, nine distances, five of them.
        assert share == pytest.approx(0.5, abs=5 * 0.0005)


@every_noise
@pytest.mark.parametrize("shape", [(5,), (3, 7), (3, 2, 5, 7)], ids=str)
def test_a_mask_has_the_shape_dtype_and_layout_of_its_values(
    shape: tuple[int, ...], noise: type[ByteNoise]
) -> None:
    values = torch.ones(shape, dtype=torch.float64)
    if len(shape) == 4:
        values = values.contiguous(memory_format=torch.channels_last)
    multiplier = noise(0, 0).multiplier(0, values, 0.5)
    assert (multiplier.shape, multiplier.dtype) == (values.shape, values.dtype)
    assert multiplier.stride() == values.stride()


@every_noise
def test_two_dropout_layers_of_one_net_drop_different_units(noise: type[ByteNoise]) -> None:
    net = net_of(Dropout(0.5), Dropout(0.5), shape=(4_000,))
    kept = run(net, np.ones((1, 4_000)), noise(0, 0)) > 0
    # Independent: a quarter is left. 4000 draws: standard error 0.0068, four of them.
    assert kept.mean() == pytest.approx(0.25, abs=4 * 0.0068)
