"""A net with compiled kernels is the same net: same layers, same masks, same losses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from modiste.data import places
from modiste.errors import SpecError
from modiste.kernels import on_gpu
from modiste.kernels.blocks import BlockShape
from modiste.kernels.ops import Kernels
from modiste.models.build import Network
from modiste.models.fused import Block, leading_block, suits_conv3
from modiste.models.layers import Activate, BatchNorm, Conv, Dropout, Flatten, Layer, MaxPool
from modiste.models.places import places_of
from modiste.runs.run import RunRecord
from modiste.spec.run import RunSpec
from modiste.train import session
from modiste.train.loss import cross_entropy
from modiste.train.noise import ByteNoise, multiplier_of
from modiste.train.record import is_out_of_memory
from modiste.train.session import Session
from tests import small

CNNS: dict[str, dict[str, Any]] = {
    "as in the study": {"num_layers": 2, "filters": 8, "dropout": 0.25},
    "of one wide kernel": {"num_layers": 1, "filters": 5, "kernel": 5},
    "without pooling": {"num_layers": 2, "filters": 4, "pooling": "none", "stride": 2},
    "with valid pooling and tanh": {"num_layers": 2, "pooling": "valid", "activation": "tanh"},
    "without activation": {"num_layers": 2, "activation": "linear", "dropout": 0.5},
    "without a norm": {"num_layers": 2, "batch_norm": False},
    "wide": {"num_layers": 2, "filters": 32, "dropout": 0.25},
    "wide, without a norm": {"num_layers": 2, "filters": 32, "batch_norm": False},
}


COMPACT = {"stem": 4, "widths": [6, 8], "blocks": [0, 1], "dropout": 0.2}


def spec(params: dict[str, Any], family: str = "cnn", **more: Any) -> RunSpec:
    return small.run_spec({**small.CNN, "model": {"family": family, "params": params}, **more})


def train(run: RunSpec) -> RunRecord:
    session = Session(run, small.data())
    for _ in session.advance():
        pass
    steps = session.finish()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: RunRecord = end.value
            return found


def leading(*layers: Layer, shape: tuple[int, ...] = (1, 8, 8)) -> Block | None:
    return leading_block(places_of(layers, shape))


def test_a_block_is_what_can_be_done_in_one_go() -> None:
    conv = Conv(8, activation="relu")
    study = leading(conv, BatchNorm(), MaxPool(), Dropout(0.2), Flatten())
    assert study is not None
    assert study.length == 4
    norm = leading(BatchNorm(), Activate("relu"), MaxPool(), shape=(8, 8, 8))
    assert norm is not None
    assert (norm.length, norm.conv) == (3, None)
    assert leading(Conv(8, activation="gelu"), BatchNorm()) is None
    assert leading(Conv(8, has_bias=False), BatchNorm()) is None  # the norm begins the next one
    assert leading(conv, MaxPool()) is None
    # 'valid' loses the seventh pixel, and the kernel would round up.
    odd = leading(conv, BatchNorm(), MaxPool(2, 2, "valid"), shape=(8, 7, 7))
    assert odd is not None
    assert odd.pool is None


@pytest.mark.compiler
@pytest.mark.parametrize("params", [*CNNS.values(), COMPACT], ids=[*CNNS, "compact"])
def test_outputs_gradients_and_statistics_are_those_of_torch(params: dict[str, Any]) -> None:
    family = spec(params, "compact" if params is COMPACT else "cnn").model.net
    images = torch.rand(20, 1, 9, 9)
    folder = places.cache_folder() / "kernels"
    found = []
    for given in (None, Kernels(folder), Kernels(folder, has_conv3=True)):
        net = Network(family.layers((1, 9, 9), 4), (1, 9, 9), seed=5, kernels=given)
        logits = net(images, ByteNoise(7, 3))
        flat = net.gradients(logits, 2 * logits.detach())  # of the sum of their squares
        with torch.inference_mode():
            inferred = net(images)
        found.append((logits.detach(), flat, net.statistics, inferred))
    for theirs, *ours in zip(*found, strict=True):
        # float32 through two layers; torch's own batch norm adds up less exactly than ours.
        scale = float(theirs.abs().max()) if theirs.numel() else 0.0
        for mine in ours:
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.compiler
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_convolution_that_suits_takes_fewer_multiplications(
    batch_norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"num_layers": 3, "filters": 16, "batch_norm": batch_norm}
    kernels = Kernels(places.cache_folder() / "kernels", has_conv3=True)
    seen: list[tuple[int, ...]] = []
    real = kernels.conv3

    def watched(images: Tensor, kernel: Tensor) -> Tensor:
        seen.append(tuple(kernel.shape))
        return real(images, kernel)

    monkeypatch.setattr(kernels, "conv3", watched)
    layers = spec(params).model.net.layers((1, 9, 9), 4)
    Network(layers, (1, 9, 9), seed=5, kernels=kernels)(torch.rand(3, 1, 9, 9))
    assert seen == [(32, 16, 3, 3), (64, 32, 3, 3)]


@pytest.mark.compiler
def test_a_fused_run_learns_what_torch_learns_and_says_that_it_is_another() -> None:
    plain, fused = spec(CNNS["as in the study"]), spec(CNNS["as in the study"], kernels="fused")
    assert plain.fingerprint("d") != fused.fingerprint("d")
    one, two = train(plain), train(fused)
    first = [record.history[0] for record in (one, two)]
    # Four updates: rounding has had no time to grow.
    assert first[1]["train_loss"] == pytest.approx(first[0]["train_loss"], rel=1e-4)
    assert first[1]["val_loss"] == pytest.approx(first[0]["val_loss"], rel=1e-3)
    again = train(fused)
    assert np.array_equal(two.predictions["logits_last_NK"], again.predictions["logits_last_NK"])


@pytest.mark.compiler
def test_fewer_multiplications_learn_the_same_and_are_another_run() -> None:
    # SGD: where a gradient is nothing but rounding, Adam makes a whole step of it.
    sgd = {"train.optimizer": {"name": "sgd", "learning_rate": 0.01}}
    specs = [spec(CNNS["wide"], kernels=name, **sgd) for name in ("fused", "winograd")]
    assert specs[0].fingerprint("d") != specs[1].fingerprint("d")
    fused, winograd = map(train, specs)
    # Four updates: no rounding has made pooling or relu choose otherwise.
    one, two = fused.history[0], winograd.history[0]
    assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
    assert two["val_loss"] == pytest.approx(one["val_loss"], rel=1e-5)
    logits = [each.predictions["logits_last_NK"] for each in (fused, winograd, train(specs[1]))]
    assert not np.array_equal(logits[0], logits[1])
    assert np.array_equal(logits[1], logits[2])


def test_only_convolutions_that_suit_take_fewer_multiplications() -> None:
    suits = [
        suits_conv3(layer, shape)
        for layer, shape in (
            (Conv(32), (32, 7, 7)),
            (Conv(96), (16, 1, 28)),
            (Conv(32), (1, 28, 28)),
            (Conv(40), (32, 7, 7)),
            (Conv(32), (24, 7, 7)),
            (Conv(32, kernel=5), (32, 7, 7)),
            (Conv(32, stride=2), (32, 7, 7)),
            (Conv(32, dilation=2), (32, 7, 7)),
            (Conv(32, padding="valid"), (32, 7, 7)),
        )
    ]
    assert suits == [True, True, *([False] * 7)]


@pytest.mark.parametrize(
    ("family", "params", "kernels"),
    [
        ("mlp", {}, "torch"),
        ("cnn", CNNS["as in the study"], "torch"),
        pytest.param("mlp", {}, "fused", marks=pytest.mark.compiler),
        pytest.param("cnn", CNNS["as in the study"], "fused", marks=pytest.mark.compiler),
        pytest.param(
            "cnn", {"num_layers": 2, "filters": 16}, "winograd", marks=pytest.mark.compiler
        ),
    ],
)
def test_low_precision_trains_and_keeps_full_weights(
    family: str, params: dict[str, Any], kernels: str
) -> None:
    model = {"family": family, "params": params}
    low = small.run_spec({"model": model, "kernels": kernels, "train.precision": "bfloat16"})
    full = small.run_spec({"model": model, "kernels": kernels})
    assert low.fingerprint("d") != full.fingerprint("d")
    one, two = train(low), train(full)
    # bfloat16 keeps 8 bits: 0.4 % of each product, less of a loss over 90 images.
    assert one.history[0]["train_loss"] == pytest.approx(two.history[0]["train_loss"], rel=0.02)
    assert one.history != two.history
    weights = one.weights["last/dense_0.weight"]
    assert weights.dtype == np.float32
    rounded = torch.from_numpy(weights).to(torch.bfloat16).float().numpy()
    assert not np.array_equal(weights, rounded)


def test_defaults_leave_fingerprints_as_they_were() -> None:
    assert "kernels" not in spec({}).identity()
    assert "precision" not in spec({}).identity()["train"]


def test_winograd_is_for_the_cpu() -> None:
    with pytest.raises(SpecError, match="kernels: 'winograd' is for the CPU, not for 'cuda'"):
        spec({}, kernels="winograd", device="cuda")


@pytest.mark.parametrize(
    "model",
    [
        small.CNN["model"],
        {"family": "compact", "params": {"stem": 4, "widths": [6], "dropout": 0.2}},
    ],
    ids=["cnn", "compact"],
)
def test_what_is_compiled_for_a_gpu_computes_what_the_layers_do(
    model: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU, uncompiled, which saves a minute; tests/unit/train/test_on_gpu.py compiles."""
    monkeypatch.setattr(on_gpu, "_compiled_block_of", on_gpu._block_of)
    params = small.run_spec({"model": model}).model.net
    layers, blocks = (
        Network(
            params.layers((1, 8, 8), 4), (1, 8, 8), seed=1, dtype=torch.float64, kernels=kernels
        )
        for kernels in (None, on_gpu.BlocksOnGPU(9))
    )

    class Bytes(ByteNoise):
        def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
            return multiplier_of(self.chance(layer, values, rate), values.dtype)

    for update in range(2):
        images, labels = torch.rand(9, 1, 8, 8, dtype=torch.float64), torch.arange(9) % 4
        found = []
        for net in (layers, blocks):
            logits = net(images.clone(), Bytes(3, update))
            _, slope = cross_entropy(logits, labels, 0.0, None)
            found.append((logits.detach(), net.gradients(logits, slope), net.statistics))
        for expected, answer in zip(*found, strict=True):
            torch.testing.assert_close(answer, expected, rtol=1e-10, atol=1e-12)
    with torch.inference_mode():
        torch.testing.assert_close(blocks(images), layers(images), rtol=1e-10, atol=1e-12)


def compile_by(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be compiled for a GPU is called so: with the function, and with its tensors."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: functools.partial(call, function))
    uncached = on_gpu._compiled_block_of.__wrapped__
    monkeypatch.setattr(on_gpu, "_compiled_block_of", uncached)


def norm(blocks: on_gpu.BlocksOnGPU, size: int) -> None:
    shape = BlockShape(is_act_first=False, is_pooled=False, epsilon=1e-3)
    blocks.block(torch.rand(size, 3, 4, 4), None, torch.ones(3), torch.zeros(3), shape)


def test_torchs_compiler_is_told_how_to_compile_blocks_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch._dynamo import config as tracing  # a second, and only here
    from torch._inductor import config as compiling

    def settings() -> tuple[Any, ...]:
        limits = tracing.recompile_limit, tracing.accumulated_recompile_limit
        return (*limits, compiling.compile_threads)

    told: list[tuple[Any, ...]] = []

    def call(function: Callable[..., Any], *tensors: Tensor | None) -> Any:
        told.append(settings())
        return function(*tensors)

    compile_by(call, monkeypatch)
    with compiling.patch(compile_threads=7):
        before = settings()
        norm(on_gpu.BlocksOnGPU(5), 5)
        assert settings() == before
    assert told == [(1024, 4096, 1)]


@pytest.mark.parametrize(("batch_size", "expected"), [(25, [25, 25]), (500, [90])])
def test_blocks_are_compiled_for_a_runs_full_batches_wherever_it_was_cut(
    batch_size: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch of a run that goes on may be an epoch's last one, which is smaller."""
    compiled: list[int] = []

    def call(function: Callable[..., Any], values: Tensor, *others: Tensor | None) -> Any:
        compiled.append(len(values))
        return function(values, *others)

    compile_by(call, monkeypatch)
    run = small.run_spec({"train.batch_size": batch_size}, device="cuda", kernels="fused")
    blocks = session._kernels(run, small.data().train)
    assert isinstance(blocks, on_gpu.BlocksOnGPU)
    for size in (15, 25, 90, 25):
        norm(blocks, size)
    assert compiled == expected


def missing(kind: str) -> Exception:
    """What torch raises where something to compile with is not there."""
    from torch._inductor import exc  # a second, and only here

    no_compiler = RuntimeError("Failed to find C compiler. Please specify via CC.\nmore")
    kinds: dict[str, Callable[[], Exception]] = {
        "Triton": lambda: exc.TritonMissing(None),
        "C compiler": lambda: exc.InductorError(no_compiler, None),
        "C++ compiler": lambda: exc.InductorError(exc.InvalidCxxCompiler("g++"), None),
        "memory": lambda: exc.InductorError(torch.OutOfMemoryError("CUDA out of memory."), None),
    }
    return kinds[kind]()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Triton", "Cannot find a working triton installation"),
        ("C compiler", "Failed to find C compiler"),
        ("C++ compiler", r"Compiler: g\+\+ is not found"),
    ],
)
def test_a_gpu_without_what_compiles_for_it_is_told_the_remedy(
    kind: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*_: object) -> Any:
        raise missing(kind)

    compile_by(call, monkeypatch)
    with pytest.raises(SpecError, match=rf"here: {said}\. Install .* or say `kernels: torch`"):
        norm(on_gpu.BlocksOnGPU(5), 5)


def test_memory_that_does_not_last_to_compile_is_said_to_be_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def call(*_: object) -> Any:
        raise missing("memory")

    compile_by(call, monkeypatch)
    with pytest.raises(RuntimeError) as caught:
        norm(on_gpu.BlocksOnGPU(5), 5)
    assert is_out_of_memory(caught.value)
