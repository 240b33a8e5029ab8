"""Every family of nets can be exported as ONNX and then answers as before; new ones unasked."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch

from modiste.artifact.graph import OPSET, build
from modiste.artifact.model import open_session
from modiste.data.preprocess import Preprocess
from modiste.evaluate.metrics import probabilities
from modiste.models.build import Network
from modiste.models.layers import Activation, Layer
from modiste.spec.parts import MODELS, ModelFamily, with_preset

FAMILIES = [name for name in MODELS.names() if issubclass(MODELS.get(name), ModelFamily)]
PRESETS = ["keras", "torch"]
SHAPES = [(1, 28, 28), (3, 9, 13)]
NUM_CLASSES = 10
TEMPERATURE = 1.3
# A rounding of float32 is 6e-8; a layer adds up about a thousand numbers of about 1, with errors
# that grow like the root of their number, through a handful of layers: logits are good to 5e-5. A
# probability moves by at most half of what the logits do.
TOLERANCE = 5e-5

every_family = pytest.mark.parametrize("family", FAMILIES)
every_shape = pytest.mark.parametrize("shape_CHW", SHAPES, ids=str)
Shape = tuple[int, int, int]


def preprocess(channels: int) -> Preprocess:
    """Another mean and deviation for each channel, so that none can stand in for another."""
    means = tuple(0.2 + 0.1 * channel for channel in range(channels))
    return Preprocess("standard", means, tuple(0.3 + mean for mean in means))


def made(family: str, preset: str, shape_CHW: Shape, values: dict[str, Any]) -> ModelFamily:
    cls = MODELS.get(family)
    found = cls.parse(with_preset(cls, values, preset), "model.params")
    assert isinstance(found, ModelFamily)
    return found


def net_of(params: ModelFamily, shape_CHW: Shape) -> Network:
    """With statistics and biases that are not those of the start, which would hide mistakes."""
    layers = params.layers(shape_CHW, NUM_CLASSES)
    net = Network(layers, shape_CHW, params.initialisation, seed=3, views=params.views)
    chance = torch.Generator().manual_seed(1)
    for name, tensor in net.named_weights() + net.named_statistics():
        if not name.endswith(".weight"):
            tensor.add_(torch.rand(tensor.shape, generator=chance))
    return net


def weights_of(net: Network) -> dict[str, npt.NDArray[np.float32]]:
    named = net.named_weights() + net.named_statistics()
    return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in named}


def patches(num_images: int, shape_CHW: Shape) -> npt.NDArray[np.uint8]:
    """Images of a few patches each: noise looks the same to a net, however it is drawn."""
    channels, height, width = shape_CHW
    chance = np.random.default_rng(0)
    levels = chance.integers(0, 256, (num_images, channels, 3, 3), np.uint8)
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 3 // width
    return np.ascontiguousarray(levels[:, :, rows][:, :, :, columns])


def check_answers(params: ModelFamily, shape_CHW: Shape, num_images: int = 70) -> None:
    """PyTorch and onnxruntime give the same probabilities."""
    channels = shape_CHW[0]
    net, rule = net_of(params, shape_CHW), preprocess(channels)
    layers = params.layers(shape_CHW, NUM_CLASSES)
    model = build(layers, shape_CHW, weights_of(net), rule, TEMPERATURE, {}, params.views)
    images = patches(num_images, shape_CHW)
    with torch.inference_mode():
        logits = net(torch.from_numpy(rule.apply(images))).double().numpy()
    expected = probabilities(logits / TEMPERATURE)
    # A graph that forgot a layer must show: images move probabilities by far more than that.
    assert np.ptp(expected, axis=0).max() > 200 * TOLERANCE
    session = open_session(model.SerializeToString(), "model.onnx")
    found = session.run(images.transpose(0, 2, 3, 1))
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < TOLERANCE
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@every_shape
@pytest.mark.parametrize("preset", PRESETS)
@every_family
def test_it_answers_as_pytorch_does(family: str, preset: str, shape_CHW: Shape) -> None:
    cls = MODELS.get(family)
    wanted = {"dropout": 0.25, "hidden": [30]}
    values = {key: value for key, value in wanted.items() if key in cls.model_fields}
    check_answers(made(family, preset, shape_CHW, values), shape_CHW)


@pytest.mark.parametrize("activation", sorted(set(get_args(Activation)) - {"softmax"}))
@pytest.mark.parametrize(
    "family", [name for name in FAMILIES if "activation" in MODELS.get(name).model_fields]
)
def test_with_every_activation(family: str, activation: str) -> None:
    values: dict[str, Any] = {"activation": activation}
    if family == "mlp":
        values["hidden"] = [30, 20]
    check_answers(made(family, "keras", SHAPES[1], values), SHAPES[1])


@pytest.mark.parametrize(
    "values",
    [
        {"padding": "valid", "pooling": "valid"},
        {"pooling": "none", "batch_norm": False},
        {"stride": 2, "pooling": "none"},
        {"stride": 3, "kernel": 5},
        {"kernel": 1, "stride": 2},
        {"kernel": 7, "dilation": 2},
        {"dilation": 3},
        {"filters": [4, 5, 6, 7]},
    ],
    ids=str,
)
def test_with_every_way_to_slide_a_window(values: dict[str, Any]) -> None:
    # 13 x 22 pixels: what rounds down and what rounds up differ, and so do rows and columns.
    shape_CHW = (3, 13, 22)
    check_answers(made("cnn", "keras", shape_CHW, {"filters": [4, 5], **values}), shape_CHW)


@every_shape
@every_family
def test_neighbours_and_their_number_do_not_matter(family: str, shape_CHW: Shape) -> None:
    params = made(family, "keras", shape_CHW, {})
    net = net_of(params, shape_CHW)
    layers = params.layers(shape_CHW, NUM_CLASSES)
    model = build(layers, shape_CHW, weights_of(net), preprocess(shape_CHW[0]), 1.0, {})
    session = open_session(model.SerializeToString(), "model.onnx")
    shape_NHWC = (9, *shape_CHW[1:], shape_CHW[0])
    images = np.random.default_rng(0).integers(0, 256, shape_NHWC, np.uint8)
    together = session.run(images)
    alone = np.concatenate([session.run(image[np.newaxis]) for image in images])
    # Other kernels may serve one image than many; the sums are the same, in another order.
    assert np.abs(together - alone).max() < TOLERANCE
    assert session.run(images[:0]).shape == (0, NUM_CLASSES)


@every_family
def test_the_same_net_gives_the_same_bytes(family: str) -> None:
    params, shape_CHW = made(family, "keras", SHAPES[0], {}), SHAPES[0]
    weights = weights_of(net_of(params, shape_CHW))
    one, two = (
        build(params.layers(shape_CHW, 10), shape_CHW, weights, preprocess(1), 2.0, {"a": 1})
        for _ in range(2)
    )
    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)
    assert [(entry.domain, entry.version) for entry in one.opset_import] == [("", OPSET)]


def test_every_kind_of_layer_can_be_written() -> None:
    """Not by a family that happens to use it: by the kinds themselves."""
    used = {
        type(layer)
        for family in FAMILIES
        for values in ({"dropout": 0.1},)
        for layer in made(family, "keras", SHAPES[0], values).layers(SHAPES[0], NUM_CLASSES)
    }
    assert used == set(Layer.__subclasses__()), "a kind of layer that no family here uses"


@pytest.mark.parametrize(
    "values",
    [{"pool": "average"}, {"blocks": 0}, {"stem_stride": 2, "stem_kernel": 5, "blocks": [1, 2]}],
    ids=str,
)
def test_with_residual_blocks_and_either_global_pooling(values: dict[str, Any]) -> None:
    check_answers(made("compact", "keras", SHAPES[1], values), SHAPES[1])


@every_shape
@every_family
def test_the_mean_of_both_sides_of_an_image(family: str, shape_CHW: Shape) -> None:
    check_answers(made(family, "keras", shape_CHW, {"views": "mirror"}), shape_CHW)
