"""Fifty updates under the preset `keras`, against Keras 3: the rules alone, then whole nets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from modiste.models.build import Network
from modiste.models.layers import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
    Shape,
)
from modiste.spec.parts import MODELS, OPTIMIZERS, ModelFamily, Optimizer, with_preset
from modiste.train.loss import cross_entropy

pytestmark = pytest.mark.peers

# Our name, their class, and options that both call the same; all else is left to the preset here,
# to Keras's defaults there.
PAIRS = [
    pytest.param("sgd", "SGD", {}, id="sgd"),
    pytest.param("sgd", "SGD", {"momentum": 0.9}, id="sgd-momentum"),
    pytest.param("sgd", "SGD", {"momentum": 0.9, "nesterov": True}, id="sgd-nesterov"),
    pytest.param("adagrad", "Adagrad", {}, id="adagrad"),
    pytest.param("adadelta", "Adadelta", {}, id="adadelta"),
    pytest.param("rmsprop", "RMSprop", {}, id="rmsprop"),
    pytest.param("rmsprop", "RMSprop", {"momentum": 0.9}, id="rmsprop-momentum"),
    pytest.param("adam", "Adam", {}, id="adam"),
    pytest.param("adam", "Adam", {"amsgrad": True}, id="amsgrad"),
    pytest.param("nadam", "Nadam", {}, id="nadam"),
    pytest.param("adamw", "AdamW", {}, id="adamw"),
    pytest.param("adamw", "AdamW", {"amsgrad": True}, id="adamw-amsgrad"),
]
NUM_STEPS, DROP_AT, BATCH = 50, 25, 8
# Where Keras's default would hardly move a net within 50 steps.
NET_RATES = {"adadelta": {"learning_rate": 1.0}, "adagrad": {"learning_rate": 0.01}}

# TensorFlow rounds Python numbers to float32 on their way to float64: Keras's beta_2 is then
# 0.99900001 in some places and 0.999 in others. Numbers that float32 holds exactly keep its float64
# runs free of that.
EXACT = {
    "momentum": 0.875,
    "initial_accumulator": 0.125,
    "beta_1": 0.875,
    "beta_2": 1 - 2.0**-10,
    "weight_decay": 2.0**-8,
}
# TensorFlow's f32(0.999) in place of 0.999 makes Adam's first updates 6.5e-6 longer; for the rest,
# both sides round each of about ten operations of an update: 20 roundings of 1.2e-7 or 2.2e-16.
RULE_SHARE = {"float32": 1e-5, "float64": 20 * 2.0**-52}
# Through a net, rounding feeds on itself: measured, up to 2e-5 in float32 and 2e-14 in float64. Any
# difference of rules, such as torch's Adam epsilon in place of Keras's, is larger than either.
NET_SHARE = {"float32": 1e-4, "float64": 1e-11}
# Keras has no option for the 0.96 of Nadam's warm-up, which float32 misses by 4e-8 of itself.
NADAM_SHARE, NADAM_NET_SHARE = 1e-7, 1e-6
THEIR_WORDS = {"initial_accumulator": "initial_accumulator_value"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Beside TensorFlow, on a busy machine, a second thread of torch's mostly waits and spins."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest, keras: ModuleType) -> Iterator[str]:
    """Also Keras's own: it keeps the learning rate and running products in that."""
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def both(
    keras: ModuleType, name: str, theirs: str, options: dict[str, Any], dtype: str
) -> tuple[Optimizer, Any]:
    """Our optimizer and Keras's."""
    cls = OPTIMIZERS.get(name)
    if dtype == "float64":
        always = {key: value for key, value in EXACT.items() if key != "momentum"}
        wanted = {**always, "momentum": EXACT["momentum"]} if "momentum" in options else always
        known = {key: value for key, value in wanted.items() if key in cls.model_fields}
        options = {**options, **known}
    peer = getattr(keras.optimizers, theirs)(
        **{THEIR_WORDS.get(key, key): value for key, value in options.items()}
    )
    return cls.parse(with_preset(cls, options, "keras"), "train.optimizer"), peer


def rate_at(optimizer: Optimizer, step: int) -> float:
    return optimizer.learning_rate * (1.0 if step < DROP_AT else 0.1)


@pytest.mark.parametrize(("name", "theirs", "options"), PAIRS)
def test_what_is_not_said_means_the_same(
    keras: ModuleType, name: str, theirs: str, options: dict[str, Any]
) -> None:
    optimizer, peer = both(keras, name, theirs, options, "float32")
    config = peer.get_config()
    ours = {THEIR_WORDS.get(key, key): value for key, value in optimizer.to_dict().items()}
    # What Keras has no word for is a choice that it does not offer.
    assert set(ours) - set(config) <= {
        "rate_in_velocity",
        "epsilon_in_root",
        "epsilon_hat",
        "momentum_decay",
    }
    for key in set(ours) & set(config) - {"name"}:
        # Keras holds the learning rate in float32.
        assert ours[key] == pytest.approx(config[key], rel=6e-8), key


@pytest.mark.parametrize(("name", "theirs", "options"), PAIRS)
def test_the_rules_agree_on_the_same_gradients(
    keras: ModuleType, dtype: str, name: str, theirs: str, options: dict[str, Any]
) -> None:
    chance = np.random.default_rng(0)
    start = chance.normal(0, 0.05, 301).astype(dtype)
    start[::2] = 0.0  # here even the smallest step is not lost in rounding
    # From far below every epsilon to far above: a misplaced epsilon shows.
    sizes = 10.0 ** chance.permutation(np.linspace(-10, 1, 301))
    grads = [(chance.normal(0, 1, 301) * sizes).astype(dtype) for _ in range(NUM_STEPS)]

    optimizer, peer = both(keras, name, theirs, options, dtype)
    weights = torch.from_numpy(start.copy())
    state = optimizer.start(weights)
    variable = keras.Variable(start, dtype=dtype)
    peer.build([variable])
    epsilon = np.finfo(dtype).eps
    path, sums = np.zeros(301), np.zeros(301)
    for step, grad in enumerate(grads, start=1):
        optimizer.update(weights, torch.from_numpy(grad), state, step, rate_at(optimizer, step))
        if step == DROP_AT:
            peer.learning_rate = float(peer.learning_rate.numpy()) * 0.1
        before = variable.numpy()
        peer.apply([keras.ops.convert_to_tensor(grad)], [variable])
        path += np.abs(variable.numpy().astype(np.float64) - before)
        sums += epsilon * np.abs(before)
    apart = np.abs(weights.numpy().astype(np.float64) - variable.numpy())
    share = RULE_SHARE[dtype] if (name, dtype) != ("nadam", "float64") else NADAM_SHARE
    assert (path[::2] > 0).all(), "too little moved to tell"
    assert (apart <= share * path + sums).all()


class GivenMasks:
    """Dropout's multipliers, drawn ahead and handed to both sides."""

    def __init__(self, masks: Mapping[int, np.ndarray]) -> None:
        self.masks = masks

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        return torch.from_numpy(self.masks[layer])


@dataclass(frozen=True)
class Lesson:
    """What both sides are taught: batches and masks for every step, in our order of axes."""

    images_TNCHW: np.ndarray
    labels_TN: np.ndarray
    masks_T: list[dict[int, np.ndarray]]


def draw_lesson(layers: Sequence[Layer], shape: Shape, seed: int, dtype: str) -> Lesson:
    chance = np.random.default_rng(seed)
    prototypes = chance.random((10, *shape))
    labels = chance.integers(0, 10, (NUM_STEPS, BATCH))
    images = 0.7 * prototypes[labels] + 0.3 * chance.random((NUM_STEPS, BATCH, *shape))
    masks: list[dict[int, np.ndarray]] = []
    for _ in range(NUM_STEPS):
        masks.append({})
        size = shape
        for index, layer in enumerate(layers):
            size = layer.output_shape(size)
            if isinstance(layer, Dropout):
                is_kept = chance.random((BATCH, *size)) >= layer.rate
                masks[-1][index] = (is_kept / (1 - layer.rate)).astype(dtype)
    return Lesson(images.astype(dtype), labels, masks)


def channels_last(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


class KerasNet:
    """The same layers, put together from Keras's own, their weights in one vector for speed.

    Attributes:
        variables: Keras's variables under our names.
        weights: All trainable ones in one vector, in our order; what Keras's optimizer moves.
        step: Takes images, labels and masks, gives the loss and its gradients by `weights`.
    """

    def __init__(self, keras: ModuleType, layers: Sequence[Layer], shape: Shape) -> None:
        import tensorflow as tf

        self.layers = list(layers)
        self.theirs = [self._layer(keras.layers, layer) for layer in layers]
        loss_of = keras.losses.SparseCategoricalCrossentropy()
        self._call(np.zeros((1, *shape[1:], shape[0])), {}, training=False)
        self.variables = self._by_our_names()
        self.trainable = [variable for variable in self.variables.values() if variable.trainable]
        sizes = [math.prod(variable.shape) for variable in self.trainable]
        self.weights = keras.Variable(np.zeros(sum(sizes)))

        @tf.function  # type: ignore[untyped-decorator]
        def step(images_NHWC: Any, labels_N: Any, masks: dict[int, Any]) -> Any:
            for variable, part in zip(
                self.trainable, tf.split(self.weights.value, sizes), strict=True
            ):
                variable.assign(tf.reshape(part, variable.shape))
            with tf.GradientTape() as tape:
                loss = loss_of(labels_N, self._call(images_NHWC, masks, training=True))
            grads = tape.gradient(loss, [variable.value for variable in self.trainable])
            return loss, tf.concat([tf.reshape(grad, [-1]) for grad in grads], 0)

        self.step = step

    def put(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Give all variables these values."""
        for name, array in arrays.items():
            self.variables[name].assign(array)
        trainable = [arrays[name] for name, v in self.variables.items() if v.trainable]
        self.weights.assign(np.concatenate([array.reshape(-1) for array in trainable]))

    def get(self) -> dict[str, np.ndarray]:
        """The values of all variables, after the last update."""
        arrays, start = {}, 0
        flat = self.weights.numpy()
        for name, variable in self.variables.items():
            arrays[name] = variable.numpy()
            if variable.trainable:
                stop = start + arrays[name].size
                arrays[name] = flat[start:stop].reshape(arrays[name].shape)
                start = stop
        return arrays

    def _layer(self, k: ModuleType, layer: Layer) -> Any:
        match layer:
            case Flatten():
                return k.Flatten()
            case Dense(units, activation):
                return k.Dense(units, activation=activation)
            case Conv(filters, kernel, stride, padding):
                return k.Conv2D(filters, kernel, stride, padding, activation=layer.activation)
            case BatchNorm():
                return k.BatchNormalization()
            case MaxPool(size, stride, padding):
                return k.MaxPooling2D(size, stride, padding)
            case Dropout():
                return None
        raise AssertionError(layer)

    def _call(self, values: Any, masks: dict[int, Any], *, training: bool) -> Any:
        for index, theirs in enumerate(self.theirs):
            if theirs is not None:
                values = theirs(values, training=training)
            elif training:
                values = values * masks[index]
        return values

    def _by_our_names(self) -> dict[str, Any]:
        words = {"kernel": "weight", "gamma": "scale", "beta": "shift"}
        named, counts = {}, dict[str, int]()
        for layer, theirs in zip(self.layers, self.theirs, strict=True):
            index = counts.get(layer.kind, 0)
            counts[layer.kind] = index + 1
            for variable in theirs.variables if theirs is not None else []:
                word = words.get(variable.name, variable.name)
                named[f"{layer.kind}_{index}.{word}"] = variable
        return named


def study_layers(family: str) -> tuple[Sequence[Layer], Shape]:
    """The nets of the reference study, small. Pooling rounds 7 pixels up to 4, and 4 to 2."""
    cls = MODELS.get(family)
    values: dict[str, Any] = {
        "mlp": {"hidden": [32], "dropout": 0.3},
        "cnn": {"num_layers": 2, "filters": 4, "dropout": 0.25},
    }[family]
    shape = {"mlp": (1, 28, 28), "cnn": (1, 7, 7)}[family]
    params = cls.parse(with_preset(cls, values, "keras"))
    assert isinstance(params, ModelFamily)
    return params.layers(shape, 10), shape


@pytest.fixture(scope="module")
def keras_nets() -> dict[tuple[str, str], KerasNet]:
    """Those already built, because TensorFlow takes seconds to trace one."""
    return {}


@pytest.mark.parametrize("family", ["mlp", "cnn"])
@pytest.mark.parametrize(("name", "theirs", "options"), PAIRS)
def test_nets_taught_the_same_stay_the_same(
    keras: ModuleType,
    keras_nets: dict[tuple[str, str], KerasNet],
    dtype: str,
    family: str,
    name: str,
    theirs: str,
    options: dict[str, Any],
) -> None:
    layers, shape = study_layers(family)
    if (family, dtype) not in keras_nets:
        keras_nets[family, dtype] = KerasNet(keras, layers, shape)
    keras_net = keras_nets[family, dtype]
    options = NET_RATES.get(name, {}) | options

    # In float32 a rounding can carry one unit past relu's corner, and from there on the two runs
    # differ by more than rounding: so does our float32 from our float64, in one start of ten. Hence
    # three starts and their median.
    num_starts = 3 if dtype == "float32" else 1
    apart = []
    for seed in range(num_starts):
        optimizer, peer = both(keras, name, theirs, options, dtype)
        net = Network(layers, shape, seed=seed, dtype=getattr(torch, dtype))
        lesson = draw_lesson(layers, shape, seed, dtype)
        apart.append(teach_both(net, optimizer, keras_net, peer, lesson))
    weights, statistics, losses = np.median(apart, axis=0)
    allowed = NET_SHARE[dtype] if (name, dtype) != ("nadam", "float64") else NADAM_NET_SHARE
    assert weights <= allowed
    assert statistics <= allowed
    assert losses <= allowed


def teach_both(
    net: Network, optimizer: Optimizer, keras_net: KerasNet, peer: Any, lesson: Lesson
) -> tuple[float, float, float]:
    """Train both from our weights.

    Returns:
        How far they end apart: weights and moving statistics as shares of the way they went,
        and the losses, at worst, as a share of the loss.
    """
    start = arrays_of(net)
    assert set(start) == set(keras_net.variables)
    keras_net.put(start)
    peer.build([keras_net.weights])
    state = optimizer.start(net.weights)
    losses = []
    for step in range(1, NUM_STEPS + 1):
        images, labels = lesson.images_TNCHW[step - 1], lesson.labels_TN[step - 1]
        masks = lesson.masks_T[step - 1]
        logits = net(torch.from_numpy(images), GivenMasks(masks))
        loss, slope = cross_entropy(logits, torch.from_numpy(labels), 0.0, None)
        grads = net.gradients(logits, slope)
        optimizer.update(net.weights, grads, state, step, rate_at(optimizer, step))

        if step == DROP_AT:
            peer.learning_rate = float(peer.learning_rate.numpy()) * 0.1
        their_masks = {index: channels_last(mask) for index, mask in masks.items()}
        their_loss, their_grads = keras_net.step(channels_last(images), labels, their_masks)
        peer.apply([their_grads], [keras_net.weights])
        losses.append(abs(loss.item() / float(their_loss.numpy()) - 1))

    ours, theirs = arrays_of(net), keras_net.get()
    weights = [name for name, _ in net.named_weights()]
    statistics = [name for name, _ in net.named_statistics()]
    return share(ours, theirs, start, weights), share(ours, theirs, start, statistics), max(losses)


def arrays_of(net: Network) -> dict[str, np.ndarray]:
    """Weights and statistics of ours as Keras lays them: inputs x units, or H x W x I x O."""
    named = {
        name: tensor.numpy().copy() for name, tensor in net.named_weights() + net.named_statistics()
    }
    return {
        name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        for name, array in named.items()
    }


def share(
    ours: dict[str, np.ndarray],
    theirs: dict[str, np.ndarray],
    start: dict[str, np.ndarray],
    names: Sequence[str],
) -> float:
    """The distance between both ends over the length of the way there."""
    apart = sum(float(np.square(ours[name] - theirs[name]).sum()) for name in names)
    moved = sum(float(np.square(theirs[name] - start[name]).sum()) for name in names)
    return math.sqrt(apart / moved) if names else 0.0
