"""Keras on TensorFlow: `fit` on arrays in memory, as its users call it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting
from benchmarks.peers.data import COUNT, images_N11, labels_N

NEEDS = ("keras", "tensorflow")
BACKEND = "tensorflow"


def settings(net: Net, threads: int) -> list[Setting]:
    environment = {"KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return [
        {"jit": jit, "steps_per_execution": steps, "threads": threads, "environment": environment}
        for jit, steps in itertools.product((False, True), (1, 16))
        if net.family == "mlp" or steps == 1
    ]


def model(net: Net) -> Any:
    """Layer by layer what modiste builds under its preset `keras`."""
    import keras
    from keras import layers

    parts: list[Any] = [layers.Input((28, 28, 1))]
    if net.family == "mlp":
        parts.append(layers.Flatten())
        for units in net.hidden:
            parts += [layers.Dense(units, "relu"), layers.Dropout(net.rate)]
    for width in net.filters if net.family == "cnn" else []:
        parts += [
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2, padding="same"),
            layers.Dropout(net.rate),
        ]
    if net.family == "cnn":
        parts.append(layers.Flatten())
    return keras.Sequential([*parts, layers.Dense(10)])


def limit_threads(threads: int) -> None:
    """TensorFlow's own pools; before it computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def build(net: Net, setting: Setting) -> Run:
    import keras

    limit_threads(setting["threads"])
    return fitting(net, setting, keras)


def fitting(net: Net, setting: Setting, keras: Any) -> Run:
    """Steps by `fit`, whose own cost is spread over all of them."""
    net_here = model(net)
    net_here.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
        jit_compile=setting["jit"],
        steps_per_execution=setting["steps_per_execution"],
    )
    images = images_N11()[..., None].astype(np.float32) / 255
    labels = labels_N().astype(np.int32)
    most = COUNT // net.batch_size

    def run(steps: int) -> None:
        left = steps
        while left:
            now = min(left, most)
            count = now * net.batch_size
            net_here.fit(images[:count], labels[:count], batch_size=net.batch_size, verbose=0)
            left -= now

    return run
