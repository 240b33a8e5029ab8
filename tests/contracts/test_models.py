"""What every family of nets promises. A new family is tested here unasked."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from modiste.models.build import Network
from modiste.models.layers import describe, table
from modiste.spec.parts import MODELS, ModelFamily, with_preset
from modiste.train.loss import cross_entropy
from modiste.train.noise import ByteNoise

FAMILIES = [name for name in MODELS.names() if issubclass(MODELS.get(name), ModelFamily)]
PRESETS = ["keras", "torch"]
SHAPES = [(1, 28, 28), (3, 9, 13)]
NUM_CLASSES = 10

every_family = pytest.mark.parametrize("family", FAMILIES)
every_preset = pytest.mark.parametrize("preset", PRESETS)
every_shape = pytest.mark.parametrize("shape_CHW", SHAPES, ids=str)


def params(family: str, preset: str = "keras", **values: Any) -> ModelFamily:
    """Its defaults, and of `values` those that the family knows."""
    cls = MODELS.get(family)
    known = {key: value for key, value in values.items() if key in cls.model_fields}
    found = cls.parse(with_preset(cls, known, preset), "model.params")
    assert isinstance(found, ModelFamily)
    return found


def build(
    family: str,
    preset: str = "keras",
    shape_CHW: tuple[int, ...] = (1, 28, 28),
    seed: int = 7,
    dtype: torch.dtype = torch.float32,
    **values: Any,
) -> Network:
    spec = params(family, preset, **values)
    layers = spec.layers(shape_CHW, NUM_CLASSES)
    return Network(layers, shape_CHW, spec.initialisation, seed, dtype=dtype)


def some_images(
    count: int = 6, shape_CHW: tuple[int, ...] = (1, 28, 28), dtype: torch.dtype = torch.float32
) -> Tensor:
    chance = torch.Generator().manual_seed(1)
    return torch.rand(count, *shape_CHW, generator=chance, dtype=torch.float64).to(dtype)


@every_preset
@every_family
def test_same_seed_gives_the_same_weights(family: str, preset: str) -> None:
    one, two = build(family, preset), build(family, preset)
    assert torch.equal(one.weights, two.weights)
    assert torch.equal(one.statistics, two.statistics)


@every_preset
@every_family
def test_another_seed_gives_other_kernels(family: str, preset: str) -> None:
    one, two = build(family, preset, seed=7), build(family, preset, seed=8)
    pairs = zip(one.named_weights(), two.named_weights(), strict=True)
    for (name, first), (_, second) in pairs:
        if name.endswith(".weight"):
            # Two float32 draws agree by chance once in millions; these are fixed, and none does.
            assert not (first == second).any(), name


@every_family
def test_building_draws_nothing_from_the_global_generators(family: str) -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    build(family)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@every_shape
@every_preset
@every_family
def test_the_layer_table_counts_what_the_net_holds(
    family: str, preset: str, shape_CHW: tuple[int, ...]
) -> None:
    net = build(family, preset, shape_CHW, dropout=0.25)
    spec = params(family, preset, dropout=0.25)
    found = table(spec.layers(shape_CHW, NUM_CLASSES), shape_CHW)
    assert found["parameters"]["trainable"] == len(net.weights)
    assert found["parameters"]["total"] == len(net.weights) + len(net.statistics)
    by_name = [tensor.numel() for _, tensor in net.named_weights() + net.named_statistics()]
    assert found["parameters"]["total"] == sum(by_name)
    assert found["parameters"]["total"] == sum(row["parameters"] for row in found["layers"])


@every_shape
@every_family
def test_one_logit_comes_out_for_each_image_and_class(
    family: str, shape_CHW: tuple[int, ...]
) -> None:
    logits_NK = build(family, shape_CHW=shape_CHW)(some_images(3, shape_CHW))
    assert logits_NK.shape == (3, NUM_CLASSES)
    # Logits, not probabilities: softmax belongs to the loss.
    assert not torch.allclose(logits_NK.sum(1), torch.ones(3))


@every_shape
@every_preset
@every_family
def test_every_layer_gets_a_finite_gradient(
    family: str, preset: str, shape_CHW: tuple[int, ...]
) -> None:
    net = build(family, preset, shape_CHW, hidden=(30,), dropout=0.25)
    images_NCHW = some_images(20, shape_CHW)
    # Whose gradient is asked for goes through torch's graph, in every net.
    logits_NK = net(images_NCHW.clone().requires_grad_(), ByteNoise(0, 0))
    _, slope_NK = cross_entropy(logits_NK, torch.arange(20) % NUM_CLASSES, 0.0, None)
    found = torch.autograd.grad(logits_NK, net.parameters, slope_NK)
    grads = [grad.clone() for grad in found]  # the net may write the next ones in their place
    for name, grad in zip(net.names, grads, strict=True):
        assert torch.isfinite(grad).all(), name
        assert (grad != 0).any(), name
    net.grads.fill_(torch.nan)
    flat = net.gradients(net(images_NCHW, ByteNoise(0, 0)), slope_NK)
    assert torch.isfinite(flat).all()
    # Laid out like the weights: a step along the flat vector is a step of each named tensor.
    before = [tensor.clone() for _, tensor in net.named_weights()]
    net.weights.sub_(flat)
    for old, grad, (name, new) in zip(before, grads, net.named_weights(), strict=True):
        assert torch.equal(old - grad, new), name


@every_family
def test_inference_is_deterministic_and_moves_nothing(family: str) -> None:
    net = build(family, dropout=0.5)
    weights, statistics = net.weights.clone(), net.statistics.clone()
    first, second = net(some_images()), net(some_images())
    assert torch.equal(first, second)
    assert torch.equal(net.weights, weights)
    assert torch.equal(net.statistics, statistics)


@every_family
def test_what_an_image_is_taken_for_does_not_depend_on_its_neighbours(family: str) -> None:
    net, images = build(family, dtype=torch.float64), some_images(6, dtype=torch.float64)
    together, alone = net(images), torch.cat([net(image[None]) for image in images])
    # The same sums in another order: a few roundings (2.2e-16) of numbers of about 1.
    assert torch.allclose(together, alone, rtol=1e-12, atol=1e-12)


@every_family
def test_training_moves_moving_statistics(family: str) -> None:
    net = build(family)
    statistics = net.statistics.clone()
    net(some_images(), ByteNoise(0, 0))
    for name, tensor in net.named_statistics():
        assert torch.isfinite(tensor).all(), name
    if len(statistics):
        assert not torch.equal(net.statistics, statistics)


@every_family
def test_dropout_acts_in_training_alone(family: str) -> None:
    net, without = build(family, hidden=(30,), dropout=0.5), build(family, hidden=(30,))
    images = some_images()
    assert torch.equal(net(images), without(images))
    if "dropout" in type(params(family)).model_fields:
        trained = net(images, ByteNoise(0, 0))
        assert not torch.allclose(trained, build(family, hidden=(30,))(images, ByteNoise(0, 0)))
        again = build(family, hidden=(30,), dropout=0.5)(images, ByteNoise(0, 0))
        assert torch.equal(trained, again)
        later = build(family, hidden=(30,), dropout=0.5)(images, ByteNoise(0, 1))
        assert not torch.equal(trained, later)


@every_family
def test_it_computes_in_float64_as_well(family: str) -> None:
    narrow, wide = build(family), build(family, dtype=torch.float64)
    assert torch.equal(wide.weights.float(), narrow.weights)
    images = some_images(dtype=torch.float64)
    logits = wide(images)
    assert logits.dtype == torch.float64
    # A rounding of float32 is 6e-8; a layer adds up about a thousand numbers of at most 1, with
    # errors that grow like the root of their number, through a handful of layers.
    assert torch.allclose(narrow(images.float()).double(), logits, rtol=0, atol=5e-5)


@every_family
def test_its_hyperparameters_survive_being_written_down(family: str) -> None:
    for preset in PRESETS:
        spec = params(family, preset, dropout=0.25)
        assert type(spec).parse(spec.to_dict()) == spec


def test_hyperparameters_and_layer_tables_load_without_torch() -> None:
    code = (
        "import sys; from modiste.spec.parts import MODELS; "
        "from modiste.models.layers import describe; "
        "[describe(MODELS.get(n)(), (1, 28, 28), 10) for n in MODELS.names()]; "
        "print('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (answer.stdout.strip(), answer.stderr) == ("False", "")


# --- the nets of the reference study --------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "values", "total", "trainable"),
    [
        ("mlp", {}, 7_850, 7_850),
        ("mlp", {"hidden": [768], "dropout": 0.3}, 610_570, 610_570),
        ("cnn", {"num_layers": 4, "filters": 8, "dropout": 0.2}, 27_434, 27_194),
        ("cnn", {"num_layers": 3, "filters": 128, "dropout": 0.25}, 1_562_122, 1_560_330),
    ],
)
def test_the_parameters_of_the_study_are_exact(
    family: str, values: dict[str, Any], total: int, trainable: int
) -> None:
    net = build(family, **values)
    assert (len(net.weights) + len(net.statistics), len(net.weights)) == (total, trainable)
    found = table(params(family, **values).layers((1, 28, 28), 10), (1, 28, 28))
    assert found["parameters"] == {"total": total, "trainable": trainable}


def test_flops_are_twice_the_multiply_adds() -> None:
    found = table(params("mlp", hidden=(768,)).layers((1, 28, 28), 10), (1, 28, 28))
    assert found["flops_forward"] == 2 * (784 * 768 + 768 * 10) == 1_219_584
    cnn = table(params("cnn", filters=(8,)).layers((1, 28, 28), 10), (1, 28, 28))
    assert cnn["flops_forward"] == 2 * (28 * 28 * 8 * 9 + 14 * 14 * 8 * 10)


def test_layers_are_called_as_the_study_calls_them() -> None:
    mlp = table(params("mlp", hidden=(768,), dropout=0.3).layers((1, 28, 28), 10), (1, 28, 28))
    assert [(row["name"], row["output_shape"], row["parameters"]) for row in mlp["layers"]] == [
        ("flatten_0", [784], 0),
        ("dense_0_768_relu", [768], 602_880),
        ("dropout_0_0.3", [768], 0),
        ("dense_1_10_softmax", [10], 7_690),
    ]
    cnn = params("cnn", num_layers=4, filters=8)
    rows = table(cnn.layers((1, 28, 28), 10), (1, 28, 28))["layers"]
    assert [(row["name"], row["output_shape"], row["parameters"]) for row in rows] == [
        ("conv_0_8_3.3_1.1_same_1.1_relu", [28, 28, 8], 80),
        ("batch_norm_0", [28, 28, 8], 32),
        ("max_pool_0_2.2_2.2_same", [14, 14, 8], 0),
        ("conv_1_16_3.3_1.1_same_1.1_relu", [14, 14, 16], 1_168),
        ("batch_norm_1", [14, 14, 16], 64),
        ("max_pool_1_2.2_2.2_same", [7, 7, 16], 0),
        ("conv_2_32_3.3_1.1_same_1.1_relu", [7, 7, 32], 4_640),
        ("batch_norm_2", [7, 7, 32], 128),
        ("max_pool_2_2.2_2.2_same", [4, 4, 32], 0),
        ("conv_3_64_3.3_1.1_same_1.1_relu", [4, 4, 64], 18_496),
        ("batch_norm_3", [4, 4, 64], 256),
        ("max_pool_3_2.2_2.2_same", [2, 2, 64], 0),
        ("flatten_0", [256], 0),
        ("dense_0_10_softmax", [10], 2_570),
    ]


def test_pooling_rounds_up_all_the_way_to_one_pixel() -> None:
    rows = table(params("cnn", num_layers=6, filters=2).layers((1, 28, 28), 10), (1, 28, 28))
    sides = [r["output_shape"][0] for r in rows["layers"] if r["name"].startswith("max_pool")]
    assert sides == [14, 7, 4, 2, 1, 1]
    assert all(after == -(-before // 2) for before, after in pairwise([28, *sides]))


@every_family
def test_a_mirrored_view_makes_both_sides_of_an_image_the_same(family: str) -> None:
    params = MODELS.get(family).parse({"views": "mirror"}, "model.params")
    assert isinstance(params, ModelFamily)
    layers = params.layers((1, 8, 10), 4)
    net = Network(layers, (1, 8, 10), params.initialisation, seed=1, views=params.views)
    images = torch.rand(6, 1, 8, 10)
    with torch.inference_mode():
        one, other = net(images), net(images.flip(3))
        alone = Network(layers, (1, 8, 10), params.initialisation, seed=1)
        sides = alone(images), alone(images.flip(3))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one, (sides[0] + sides[1]) / 2)
    assert not torch.allclose(*sides)
    assert (
        describe(params, (1, 8, 10), 4)["flops_forward"]
        == 2 * table(layers, (1, 8, 10))["flops_forward"]
    )
