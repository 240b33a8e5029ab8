"""The compiled kernels against torch's own layers in float64, and against themselves."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.data import places
from modiste.data.batches import Batches
from modiste.data.preprocess import Scaling, fit
from modiste.data.types import ImageSet
from modiste.errors import SpecError
from modiste.kernels import build
from modiste.kernels.blocks import BlockShape, Kept
from modiste.kernels.ops import NARROW, Kernels
from modiste.train.loss import cross_entropy
from modiste.train.noise import ByteNoise
from modiste.train.session import Session, batches_of
from tests import small

pytestmark = pytest.mark.compiler

# Half a register, one register, one and a half; sides that pooling has to round up.
SHAPES = ((5, 8, 6, 6), (3, 16, 7, 5), (4, 24, 9, 8), (1, 3, 1, 1), (2, 10, 1, 4))
PARTS = [
    BlockShape(is_act_first=first, is_pooled=pooled, epsilon=1e-3, is_relu_after=after)
    for first, pooled, after in itertools.product((True, False), repeat=3)
    if not (first and after)
]


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return Kernels(places.cache_folder() / "kernels")


@pytest.fixture(autouse=True)
def _same_number_of_threads_afterwards() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def drawn(shape: tuple[int, int, int, int], dtype: torch.dtype) -> dict[str, Tensor]:
    """Values, and what belongs to each channel; one scale is negative and one nearly nothing."""
    torch.manual_seed(sum(shape))
    count, channels, height, width = shape
    values = torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last)
    scale = torch.rand(channels) + 0.5
    scale[0], scale[-1] = -1.0, 1e-6
    pooled = (count, (height + 1) // 2, (width + 1) // 2, channels)
    return {
        "values": values,
        "bias": torch.randn(channels) / 4,
        "scale": scale,
        "shift": torch.randn(channels),
        "mask_plain": (torch.rand(count, height, width, channels) > 0.25).to(torch.uint8),
        "mask_pooled": (torch.rand(pooled) > 0.25).to(torch.uint8),
    }


def of_channels(given: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Bias, scale and shift."""
    return given["bias"], given["scale"], given["shift"]


def by_torch(
    values: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, shape: BlockShape, kept: Kept | None
) -> Tensor:
    """The block layer by layer, as a net without kernels computes it."""
    if shape.is_act_first:
        values = torch.relu(values + bias[:, None, None])
    mean = values.mean((0, 2, 3), keepdim=True)
    variance = values.var((0, 2, 3), unbiased=False, keepdim=True)
    norm = (values - mean) / (variance + shape.epsilon).sqrt()
    out = norm * scale[:, None, None] + shift[:, None, None]
    out = torch.relu(out) if shape.is_relu_after else out
    out = F.max_pool2d(out, 2, 2, ceil_mode=True) if shape.is_pooled else out
    if kept is not None:
        out = out * (kept.mask.to(out.dtype) * kept.scale).permute(0, 3, 1, 2)
    return out


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("shape", PARTS, ids=str)
@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_a_block_and_its_gradients_are_those_of_the_layers_one_by_one(
    kernels: Kernels, size: tuple[int, int, int, int], shape: BlockShape, dropout: bool
) -> None:
    given = drawn(size, torch.float32)
    mask = given["mask_pooled" if shape.is_pooled else "mask_plain"]
    kept = Kept(mask, 1 / 0.75) if dropout else None
    names = ("values", "bias", "scale", "shift")
    ours = [given[name].clone().requires_grad_() for name in names]
    theirs = [given[name].double().requires_grad_() for name in names]
    bias = ours[1] if shape.is_act_first else None
    out, mean, variance = kernels.block(ours[0], bias, ours[2], ours[3], shape, kept)
    values, bias, scale, shift = theirs
    expected = by_torch(values, bias, scale, shift, shape, kept)
    # float32 carries 6e-8 of each value; sums over at most 288 pixels, and a division by a
    # deviation that may be as small as sqrt(epsilon), make up to 30 times that of it.
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)
    gradient = torch.randn_like(out)
    found = torch.autograd.grad(out, ours, gradient, allow_unused=True)
    wanted = torch.autograd.grad(expected, theirs, gradient.double(), allow_unused=True)
    for name, mine, exact in zip(names, found, wanted, strict=True):
        if name == "bias" and not shape.is_act_first:
            assert mine is None
            continue
        torch.testing.assert_close(mine.double(), exact, rtol=2e-4, atol=2e-5, msg=name)
    seen = given["values"].double()
    seen = torch.relu(seen + given["bias"][:, None, None]) if shape.is_act_first else seen
    torch.testing.assert_close(mean.double(), seen.mean((0, 2, 3)), rtol=1e-6, atol=1e-7)
    biased = seen.var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(variance.double(), biased, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_act_first", [True, False])
@pytest.mark.parametrize("middle", [3.0, 30.0, 1e3, 1e5])
def test_a_channel_that_varies_little_around_its_mean_has_its_variance(
    kernels: Kernels, middle: float, is_act_first: bool
) -> None:
    torch.manual_seed(0)
    values = torch.randn(32, 6, 14, 14)
    values[:, 1::2] = values[:, 1::2] * 0.1 + middle
    values[:, 5] = middle
    values = values.contiguous(memory_format=torch.channels_last)
    shape = BlockShape(is_act_first=is_act_first, is_pooled=False, epsilon=1e-3)
    bias, one = torch.zeros(6), torch.ones(6)
    out, mean, variance = kernels.block(values, bias, one, bias, shape)
    exact = values.double().relu() if is_act_first else values.double()
    torch.testing.assert_close(mean.double(), exact.mean((0, 2, 3)), rtol=1.2e-7, atol=1e-7)
    wanted = exact.var((0, 2, 3), unbiased=False)
    # Taken around the mean float32's 6e-8 stays that; else it grows by mean^2 / variance, which
    # is below 1000, less what averages out over 6272 values.
    torch.testing.assert_close(variance.double(), wanted, rtol=2e-5, atol=0)
    assert variance[5] == 0
    # The offset, mean / deviation, is rounded to 6e-8 of it.
    norm = (exact - exact.mean((0, 2, 3), keepdim=True)) / (wanted[:, None, None] + 1e-3).sqrt()
    torch.testing.assert_close(out.double(), norm, rtol=1e-4, atol=max(1e-5, 2e-6 * middle))
    beside = values[:, ::2].clone(memory_format=torch.channels_last)
    _, mean_alone, variance_alone = kernels.block(beside, bias[::2], one[::2], bias[::2], shape)
    assert torch.equal(mean[::2], mean_alone)
    assert torch.equal(variance[::2], variance_alone)


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("shape", PARTS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_value_is_normed_to_exactly_the_shift_and_nothing_flows_back(
    kernels: Kernels, dtype: torch.dtype, shape: BlockShape, dropout: bool
) -> None:
    torch.manual_seed(0)
    values = (torch.randn(1, 40, 1, 1) * 300).to(dtype).requires_grad_()
    bias, scale, shift = (torch.randn(40).requires_grad_() for _ in range(3))
    kept = Kept(torch.ones(1, 1, 1, 40, dtype=torch.uint8), 2.0) if dropout else None
    out, mean, variance = kernels.block(values, bias, scale, shift, shape, kept)
    wanted = torch.relu(shift) if shape.is_relu_after else shift
    wanted = wanted * 2 if dropout else wanted
    assert torch.equal(out.flatten(), wanted.to(dtype))
    assert torch.equal(variance, torch.zeros(40))
    seen = values.detach().float().flatten()
    assert torch.equal(mean, torch.relu(seen + bias) if shape.is_act_first else seen)
    gradient = torch.ones_like(out)
    into, of_bias, of_scale, of_shift = torch.autograd.grad(
        out, (values, bias, scale, shift), gradient
    )
    assert not any(each.any() for each in (into, of_bias, of_scale))
    is_open = shift > 0 if shape.is_relu_after else torch.ones(40)
    assert torch.equal(of_shift, is_open * (2.0 if dropout else 1.0))


@pytest.mark.parametrize("shape", [part for part in PARTS if part.is_pooled], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_pooling_loses_no_value_that_is_none(
    kernels: Kernels, shape: BlockShape, sign: int
) -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 16, 7, 7)
    values[torch.rand(values.shape) < 0.1] = torch.nan
    ones = torch.ones(16)
    given = (ones, sign * ones, ones)
    values = values.contiguous(memory_format=torch.channels_last)
    out = kernels.infer(values, *given, shape, 0 * ones, ones - shape.epsilon)
    seen = torch.relu(values + 1) if shape.is_act_first else values
    normed = torch.relu(sign * seen + 1) if shape.is_relu_after else sign * seen + 1
    wanted = F.max_pool2d(normed, 2, 2, ceil_mode=True)
    assert 0 < torch.isnan(wanted).sum() < wanted.numel()
    torch.testing.assert_close(out, wanted, equal_nan=True)


@pytest.mark.parametrize("shape", PARTS, ids=str)
def test_inference_takes_the_statistics_it_is_given(kernels: Kernels, shape: BlockShape) -> None:
    given = drawn((4, 24, 9, 8), torch.float32)
    bias = given["bias"] if shape.is_act_first else None
    scale, shift = given["scale"], given["shift"]
    out, mean, variance = kernels.block(given["values"].clone(), bias, scale, shift, shape)
    again = kernels.infer(given["values"], bias, scale, shift, shape, mean, variance)
    assert torch.equal(out, again)
    other = kernels.infer(given["values"], bias, scale, shift, shape, mean + 1, variance)
    assert not torch.equal(out, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_do_not_depend_on_the_number_of_threads(
    kernels: Kernels, dtype: torch.dtype
) -> None:
    given = drawn((40, 24, 14, 14), dtype)
    shape = PARTS[0]
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        leaves = [given[n].clone().requires_grad_() for n in ("values", "bias", "scale", "shift")]
        values, bias, scale, shift = leaves
        out, mean, variance = kernels.block(values, bias, scale, shift, shape)
        images = given["values"][:, :1].contiguous()
        kernel = torch.ones((24, 1, 3, 3), dtype=dtype, requires_grad=True)
        first = kernels.conv1(images, kernel)
        grads = torch.autograd.grad([out, first], [*leaves, kernel], [out, first])
        found.append([out, mean, variance, first, *grads])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_bfloat16_rounds_once_and_computes_in_float32(kernels: Kernels) -> None:
    given = drawn((4, 24, 9, 8), torch.bfloat16)
    plain = BlockShape(is_act_first=True, is_pooled=False, epsilon=1e-3)
    values, (bias, scale, shift) = given["values"], of_channels(given)
    low, mean, variance = kernels.block(values.clone(), bias, scale, shift, plain)
    full, exact_mean, exact_variance = kernels.block(values.float(), bias, scale, shift, plain)
    assert torch.equal(low, full.to(torch.bfloat16))
    assert torch.equal(mean, exact_mean)
    assert torch.equal(variance, exact_variance)


@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("filters", [8, 16, 20])
def test_a_convolution_over_one_channel_is_torchs(
    kernels: Kernels, side: int, filters: int
) -> None:
    torch.manual_seed(side * filters)
    images = torch.randn(6, 1, 9, 7)
    kernel = torch.randn((filters, 1, side, side), requires_grad=True)
    exact = kernel.detach().double().requires_grad_()
    out = kernels.conv1(images, kernel)
    wanted = F.conv2d(images.double(), exact, None, 1, side // 2)
    assert out.is_contiguous(memory_format=torch.channels_last)
    # Sums of up to 49 products, and of 378 in the gradient, in float32.
    torch.testing.assert_close(out.double(), wanted, rtol=1e-5, atol=1e-5)
    gradient = torch.randn_like(out)
    (found,) = torch.autograd.grad(out, kernel, gradient)
    (expected,) = torch.autograd.grad(wanted, exact, gradient.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)


# Sides of one tile and of several, of 4 pixels, of 3, of both, and where there is a rest; the last
# is more images than are kept in the caches together.
CONV3 = [
    *((3, 32, side, side, 32) for side in (1, 2, 3, 4, 5, 6, 7, 14)),
    (5, 16, 9, 6, 32),
    (2, 32, 1, 28, 48),
    (200, 96, 7, 5, 64),
    (1000, 96, 7, 7, 96),  # long sums lose digits where they are not sums of sums
]


@pytest.mark.parametrize("size", CONV3, ids=str)
def test_a_convolution_with_fewer_multiplications_is_torchs(
    kernels: Kernels, size: tuple[int, int, int, int, int]
) -> None:
    count, inputs, height, width, outputs = size
    torch.manual_seed(sum(size))
    leaves = [torch.randn(count, inputs, height, width), torch.randn(outputs, inputs, 3, 3)]
    ours = [leaf.clone().requires_grad_() for leaf in leaves]
    theirs = [leaf.double().requires_grad_() for leaf in leaves]
    out = kernels.conv3(*ours)
    wanted = F.conv2d(*theirs, padding=1)
    assert out.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(out)
    found = torch.autograd.grad(out, ours, gradient)
    expected = torch.autograd.grad(wanted, theirs, gradient.double())
    for name, mine, exact in zip(
        ("out", "images", "kernel"), (out, *found), (wanted, *expected), strict=True
    ):
        off = (mine.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt()
        # float32 carries 6e-8; transforms with factors up to 4 and back make it some thirty times
        # that. A wrong entry of one matrix makes it 1e-2 and more.
        assert off < 3e-6, (name, float(off))


@pytest.mark.parametrize("inputs", [16, 64])
def test_such_a_convolution_rounds_what_it_gives_to_bfloat16_once(
    kernels: Kernels, inputs: int
) -> None:
    torch.manual_seed(0)
    given = torch.randn(9, inputs, 7, 7), torch.randn(32, inputs, 3, 3)
    low = [each.bfloat16().requires_grad_() for each in given]
    full = [each.detach().float().requires_grad_() for each in low]
    gradient = torch.randn(9, 32, 7, 7).bfloat16()
    out, exact = kernels.conv3(*low), kernels.conv3(*full)
    found = torch.autograd.grad(out, low, gradient)
    wanted = torch.autograd.grad(exact, full, gradient.float())
    for mine, theirs in zip((out, *found), (exact, *wanted), strict=True):
        assert mine.dtype == torch.bfloat16
        assert torch.equal(mine, theirs.bfloat16())


def test_such_a_convolution_does_not_depend_on_the_number_of_threads(kernels: Kernels) -> None:
    torch.manual_seed(0)
    found = []
    given = torch.randn(150, 16, 14, 7), torch.randn(64, 16, 3, 3)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        leaves = [each.clone().requires_grad_() for each in given]
        out = kernels.conv3(*leaves)
        found.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_such_a_convolution_takes_any_layout_and_gives_the_gradients_that_are_wanted(
    kernels: Kernels,
) -> None:
    torch.manual_seed(0)
    given = torch.randn(4, 32, 6, 6), torch.randn(32, 32, 3, 3)
    laid_out = [each.contiguous(memory_format=torch.channels_last) for each in given]
    assert torch.equal(kernels.conv3(*given), kernels.conv3(*laid_out))
    gradient = torch.ones(()).expand(4, 32, 6, 6)  # as from a sum; laid out as nothing else is
    both = [each.clone().requires_grad_() for each in given]
    wanted = torch.autograd.grad(kernels.conv3(*both), both, gradient)
    for place in (0, 1):
        leaves = list(given)
        leaves[place] = leaves[place].clone().requires_grad_()
        (found,) = torch.autograd.grad(kernels.conv3(*leaves), leaves[place], gradient)
        assert torch.equal(found, wanted[place])


@pytest.mark.parametrize("size", [(0, 16, 6, 6, 16), (0, 96, 6, 6, 96), (2, 96, 0, 6, 96)], ids=str)
def test_of_no_pixels_nothing_is_learnt(
    kernels: Kernels, size: tuple[int, int, int, int, int]
) -> None:
    count, inputs, height, width, outputs = size
    leaves = [torch.ones(count, inputs, height, width), torch.ones(outputs, inputs, 3, 3)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    out = kernels.conv3(*leaves)
    assert out.shape == (count, outputs, height, width)
    d_images, d_kernel = torch.autograd.grad(out.sum(), leaves)
    assert d_images.shape == leaves[0].shape
    assert torch.equal(d_kernel, torch.zeros_like(d_kernel))


@pytest.mark.parametrize(
    ("images", "kernel"),
    [
        (torch.ones(2, 16, 5, 5), torch.ones(16, 16, 5, 5)),
        (torch.ones(2, 16, 5, 5), torch.ones(16, 32, 3, 3)),
        (torch.ones(16, 5, 5), torch.ones(16, 16, 3, 3)),
        (torch.ones(2, 24, 5, 5), torch.ones(16, 24, 3, 3)),
        (torch.ones(2, 16, 5, 5), torch.ones(8, 16, 3, 3)),
        (torch.ones(2, 16, 5, 5).double(), torch.ones(16, 16, 3, 3).double()),
        (torch.ones(2, 16, 5, 5).bfloat16(), torch.ones(16, 16, 3, 3)),
        (torch.ones(2, 16, 5, 5, device="meta"), torch.ones(16, 16, 3, 3, device="meta")),
    ],
)
def test_what_such_a_convolution_cannot_take_is_said(
    kernels: Kernels, images: Tensor, kernel: Tensor
) -> None:
    with pytest.raises(ValueError, match="conv3 takes"):
        kernels.conv3(images, kernel)


def test_no_kernel_can_be_differentiated_twice(kernels: Kernels) -> None:
    given = drawn((4, 16, 6, 6), torch.float32)
    values = given["values"].requires_grad_()
    weight = torch.ones(16, 16, 3, 3, requires_grad=True)
    first = torch.ones(16, 1, 3, 3, requires_grad=True)
    for out, leaf in (
        (kernels.conv3(values, weight), weight),
        (kernels.conv1(torch.ones(4, 1, 6, 6), first), first),
        (kernels.block(values, *of_channels(given), PARTS[0])[0], values),
    ):
        (found,) = torch.autograd.grad(out.square().sum(), leaf, create_graph=True)
        with pytest.raises(RuntimeError, match="differentiate twice"):
            found.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_image_that_is_no_number_leaves_the_others_alone(
    kernels: Kernels, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    images, kernel = torch.randn(9, 32, 7, 7).to(dtype), torch.randn(32, 32, 3, 3).to(dtype)
    out = kernels.conv3(images, kernel)
    images[4, 5, 3, 3] = float("nan")
    again = kernels.conv3(images, kernel)
    assert torch.isnan(again[4]).any()
    others = [n for n in range(9) if n != 4]
    assert torch.equal(out[others], again[others])


def test_values_that_somebody_else_keeps_are_not_overwritten(kernels: Kernels) -> None:
    given = drawn((4, 24, 9, 8), torch.float32)
    bias, scale, shift = of_channels(given)
    for may, is_same in ((False, True), (True, False)):
        shape = BlockShape(is_act_first=True, is_pooled=True, epsilon=1e-3, may_overwrite=may)
        values = given["values"].clone().requires_grad_()
        out, _, _ = kernels.block(values, bias, scale, shift, shape)
        torch.autograd.grad(out, values, torch.ones_like(out))
        assert torch.equal(values.detach(), given["values"]) == is_same


def test_a_value_that_is_no_number_stays_none(kernels: Kernels) -> None:
    given = drawn((4, 24, 9, 8), torch.bfloat16)
    given["values"][1, 5, 3, 3] = float("nan")
    out, mean, _ = kernels.block(given["values"], *of_channels(given), PARTS[2])
    assert torch.isnan(mean[5]) or torch.isnan(out[:, 5]).any()
    assert torch.isfinite(out[:, :5]).all()


def test_without_a_compiler_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "compiler", lambda: None)
    with pytest.raises(SpecError, match=r"needs a C\+\+ compiler.*kernels: torch"):
        build.library(tmp_path)


@pytest.mark.parametrize("count", [1, 7, 64, 20_003])
@pytest.mark.parametrize("seed", [0, 3, 2**32 + 5, 2**70])
def test_relu_and_dropout_keep_what_numpy_draws(kernels: Kernels, count: int, seed: int) -> None:
    torch.manual_seed(count)
    values, gradient = torch.randn(count), torch.randn(count)
    for update, layer, rate, threads in ((0, 1, 0.3, 1), (2**33, 2, 0.01, 2), (5, 0, 0.99, 3)):
        torch.set_num_threads(threads)
        noise = ByteNoise(seed, update)
        leaf = values.clone().requires_grad_()
        wanted = torch.relu(leaf) * noise.multiplier(layer, leaf, rate)
        (wanted_grad,) = torch.autograd.grad(wanted, leaf, gradient)
        found, found_grad = values.clone(), gradient.clone()
        drawn = noise.drawn(layer, rate)
        kernels.relu_dropout(found, drawn)
        kernels.relu_dropout_backward(found_grad, found, drawn.scale)
        assert torch.equal(found, wanted)
        assert torch.equal(found_grad, wanted_grad)


def test_without_dropout_it_is_relu_alone(kernels: Kernels) -> None:
    values = torch.tensor([-1.0, 0.0, 2.0, torch.nan])
    kernels.relu_dropout(values, None)
    torch.testing.assert_close(values, torch.tensor([0.0, 0.0, 2.0, torch.nan]), equal_nan=True)
    gradient = torch.ones(3)
    kernels.relu_dropout_backward(gradient, values[:3].contiguous(), 1.0)
    assert gradient.tolist() == [0.0, 0.0, 1.0]


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.cpp"
    broken.write_text("#error no such luck\n", encoding="utf-8")
    monkeypatch.setattr(build, "SOURCES", (broken,))
    with pytest.raises(SpecError, match=r"no such luck.*kernels: torch"):
        build.library(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def told_to_compile_by(
    script: str, monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str
) -> None:
    """A compiler that is these lines of a shell, and sources of these names."""
    program = folder / "compiler"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\n{script}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    monkeypatch.setattr(build, "SOURCES", tuple(folder / f"{name}.cpp" for name in names))
    for source in build.SOURCES:
        source.touch()


# The file that a compiler is to make is the last it is told.
LAST = 'for last in "$@"; do :; done'


def test_a_failure_to_compile_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = f'echo once >> "{tmp_path}/calls"; echo "error: not today" >&2; exit 1'
    told_to_compile_by(script, monkeypatch, tmp_path, "one")
    for _ in range(2):
        with pytest.raises(SpecError, match=r"could not be compiled .*error: not today"):
            build.library(tmp_path / "cache")
    assert (tmp_path / "calls").read_text() == "once\n"


def test_a_compiler_that_takes_too_long_is_ended_with_all_that_it_began(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    told_to_compile_by(f'(echo begun; sleep 600) > "{alive}"; true', monkeypatch, tmp_path, "one")
    monkeypatch.setattr(build, "PATIENCE_SECONDS", 2)
    with os.fdopen(os.open(alive, os.O_RDONLY | os.O_NONBLOCK)) as pipe:
        with pytest.raises(SpecError, match=r"it took over 2 seconds\. Say `kernels: torch`"):
            build.library(tmp_path / "cache")
        os.set_blocking(pipe.fileno(), True)
        assert pipe.read() == "begun\n"  # which ends once nobody is left to write
    assert list((tmp_path / "cache").iterdir()) == []


def test_sources_are_compiled_side_by_side_and_the_first_that_fails_ends_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Each waits until the other has begun.
    both = f'{LAST}; echo > "$last.begun"; until [ $(ls "${{last%/*}}"/*.begun | wc -l) = 2 ]'
    both = f'case "$*" in *" -c "*) {both}; do sleep 0.05; done;; *) {LAST};; esac; echo > "$last"'
    monkeypatch.setattr(build, "num_cores", lambda: 2)
    told_to_compile_by(both, monkeypatch, tmp_path, "one", "two")
    found = build._compiled(build.compiler(), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [found]
    one = 'case "$*" in *one.cpp*) echo "error: of one" >&2; exit 1;; esac; sleep 600'
    told_to_compile_by(one, monkeypatch, tmp_path, "two", "one")
    with pytest.raises(SpecError, match="error: of one"):
        build.library(tmp_path / "other")


def test_a_compiler_that_does_not_run_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "no-program"
    program.write_bytes(b"\x7fELF and nothing that follows")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    with pytest.raises(SpecError, match=r"could not be compiled \(.*no-program\).*kernels: torch"):
        build.library(tmp_path / "cache")


def test_the_variable_for_a_compiler_holds_words_as_for_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = build.compiler()
    assert real is not None
    monkeypatch.setenv("CXX", f"env A='b c' '{real[0]}'")
    assert build.compiler() == (shutil.which("env"), "A=b c", real[0])
    tiny = tmp_path / "tiny.cpp"
    tiny.write_text('extern "C" int answer() { return 42; }\n', encoding="utf-8")
    monkeypatch.setattr(build, "SOURCES", (tiny,))
    assert build.library(tmp_path / "cache").answer() == 42
    blank = tmp_path / "with a blank"
    blank.symlink_to(real[0])
    monkeypatch.setenv("CXX", str(blank))
    assert build.compiler() == (str(blank),)
    for named in ("no-such-compiler -O1", "'", " "):
        monkeypatch.setenv("CXX", named)
        with pytest.raises(SpecError, match=r"CXX names .*, which is not there.*kernels: torch"):
            build.library(tmp_path)


# --- dense layers of few outputs ------------------------------------------------------------------

# Rows that fill no tile, inputs that fill no vector, and every number of outputs there can be.
NARROW_SHAPES = [(5, 33, 10), (9, 144, 3), (4, 16, 1), (1, 7, 2), (130, 784, 10), (3, 65, 11)]
NARROW_SHAPES += [(6, 70, outputs) for outputs in range(4, NARROW + 1)]


@pytest.mark.parametrize("shape", NARROW_SHAPES, ids=str)
def test_a_narrow_layer_and_its_gradients_are_exact_on_whole_numbers(
    kernels: Kernels, shape: tuple[int, int, int]
) -> None:
    """Whole numbers whose sums float32 holds: every order of adding gives the same."""
    count, inputs, outputs = shape
    chance = torch.Generator().manual_seed(sum(shape))

    def whole(*size: int) -> Tensor:
        return torch.randint(-8, 9, size, generator=chance).float()

    values, weight = whole(count, inputs), whole(outputs, inputs)
    bias, slope = whole(outputs), whole(count, outputs)
    assert torch.equal(kernels.narrow(values, weight, bias), values @ weight.t() + bias)
    d_weight, d_bias = torch.empty_like(weight), torch.empty_like(bias)
    kernels.narrow_weights(slope, values, d_weight, d_bias)
    assert torch.equal(d_weight, slope.t() @ values)
    assert torch.equal(d_bias, slope.sum(0))
    before = slope @ weight
    assert torch.equal(kernels.narrow_values(slope, weight), before)
    through = kernels.narrow_values(slope, weight, values, 2.0)
    assert torch.equal(through, torch.where(values > 0, 2 * before, 0))


def test_a_narrow_layer_gives_the_same_bits_on_any_number_of_threads(kernels: Kernels) -> None:
    torch.manual_seed(0)
    values, weight, bias = torch.randn(203, 790), torch.randn(10, 790), torch.randn(10)
    slope, found = torch.randn(203, 10), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        d_weight, d_bias = torch.empty_like(weight), torch.empty_like(bias)
        kernels.narrow_weights(slope, values, d_weight, d_bias)
        out = kernels.narrow(values, weight, bias)
        found.append((out, d_weight, d_bias, kernels.narrow_values(slope, weight, values)))
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("scaling", ["unit", "standard", "raw"])
@pytest.mark.parametrize("shape_CHW", [(1, 28, 28), (3, 7, 5)])
def test_batches_are_cut_and_scaled_to_the_same_bits(
    kernels: Kernels,
    shape_CHW: tuple[int, int, int],
    scaling: Scaling,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(threads)
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (300, *shape_CHW), np.uint8)
    images = ImageSet(pixels, np.arange(300) % 2, ("a", "b"), np.arange(300), "train")
    which = torch.from_numpy(chance.permutation(300)[:130])
    calls = counted_takes(monkeypatch)
    theirs = Batches(images, fit(pixels, scaling)).take(which)
    assert not calls
    found = Batches(images, fit(pixels, scaling), kernels=kernels).take(which)
    assert len(calls) == 1
    for ours, wanted in zip(found, theirs, strict=True):
        assert torch.equal(ours, wanted)
        assert ours.dtype == wanted.dtype


def counted_takes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of a taker is asked for."""
    calls: list[int] = []

    def counting(self: Kernels, images: Tensor, factor: Tensor) -> Callable[[Tensor], Tensor]:
        take = taker(self, images, factor)

        def counted(which: Tensor) -> Tensor:
            calls.append(len(which))
            return take(which)

        return counted

    taker = Kernels.taker
    monkeypatch.setattr(Kernels, "taker", counting)
    return calls


def test_what_they_are_not_for_is_cut_by_torch(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted_takes(monkeypatch)
    images = small.images()
    floats = images.images_NCHW.astype(np.float32)
    of_floats = replace(images, images_NCHW=floats)
    which = torch.arange(5)
    mirror = small.run_spec({"train.augment": ["mirror"]}).train.augment
    scaled = fit(images.images_NCHW, "unit")
    Batches(of_floats, fit(floats, "raw"), kernels=kernels).take(which)
    Batches(images, scaled, dtype=torch.float64, kernels=kernels).take(which)
    Batches(images, scaled, kernels=kernels).take(which, mirror)
    assert not calls


@pytest.mark.parametrize("name", ["fused", "winograd"])
@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("cnn", {"filters": [1, 4]}),
        ("cnn", {"filters": [4, 1, 4]}),
        ("cnn", {"filters": [16, 32], "batch_norm": False}),
        ("compact", {"stem": 1, "widths": [1, 16]}),
        ("compact", {"stem": 16, "widths": [16, 32], "blocks": 1}),
    ],
    ids=str,
)
def test_a_whole_net_learns_what_it_learns_by_torch(
    family: str, params: dict[str, Any], name: str
) -> None:
    """From the last layer to the first: a layer of one channel is not always the first."""
    found = {}
    for kernels in ("torch", name):
        spec = small.run_spec({"model": {"family": family, "params": params}, "kernels": kernels})
        session = Session(spec, small.data())
        images, labels = batches_of(spec, small.data())[0].take(torch.arange(25))
        logits = session.net(images, ByteNoise(0, 0))
        _, slope = cross_entropy(logits, labels, 0.0, None)
        gradients = session.net.gradients(logits, slope)
        found[kernels] = {
            slot.name: gradients[slot.start : slot.stop].double() for slot in session.net.layout
        }
    for slot, wanted in found["torch"].items():
        # Of a bias before a batch norm all is rounding. The largest difference elsewhere is 5e-5.
        largest = max(1e-2, float(wanted.abs().max()))
        assert float((found[name][slot] - wanted).abs().max()) < 1e-3 * largest, slot


@pytest.mark.parametrize("name", ["torch", "fused"])
def test_a_training_cuts_its_batches_by_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted_takes(monkeypatch)
    session = Session(small.run_spec({"kernels": name, "train.augment": []}), small.data())
    next(session.advance())
    assert bool(calls) == (name == "fused")


@pytest.mark.parametrize("number", [-1, 3])
def test_an_image_that_is_not_there_is_not_taken(kernels: Kernels, number: int) -> None:
    images, factor = torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.ones(1)
    with pytest.raises(IndexError, match="3 images, 0 to 2"):
        kernels.taker(images, factor)(torch.tensor([0, number]))
