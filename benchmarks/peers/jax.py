"""The same nets in plain JAX: one compiled function from weights and batch to new weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting
from benchmarks.peers.data import images_N11, labels_N

NEEDS = ("jax",)


def settings(net: Net, threads: int) -> list[Setting]:
    return [{"donate": donate, "threads": threads} for donate in (False, True)]


def _weights(net: Net, key: Any) -> list[dict[str, Any]]:
    import jax
    import jax.numpy as jnp

    layers: list[dict[str, Any]] = []
    shapes = []
    if net.family == "mlp":
        widths = [784, *net.hidden, 10]
        shapes = list(itertools.pairwise(widths))
    else:
        channels, side = 1, 28
        for width in net.filters:
            shapes.append((3, 3, channels, width))
            channels, side = width, (side + 1) // 2
        shapes.append((channels * side * side, 10))
    for shape in shapes:
        key, draw = jax.random.split(key)
        fan = math.prod(shape[:-1]) + math.prod(shape[:-2]) * shape[-1]
        limit = math.sqrt(6.0 / fan)
        layer = {
            "w": jax.random.uniform(draw, shape, minval=-limit, maxval=limit),
            "b": jnp.zeros(shape[-1]),
        }
        if len(shape) == 4:
            layer |= {"scale": jnp.ones(shape[-1]), "shift": jnp.zeros(shape[-1])}
        layers.append(layer)
    return layers


def _forward(net: Net, weights: list[dict[str, Any]], images: Any, key: Any) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp
    from jax import lax

    moments = []
    values = images.reshape(len(images), -1) if net.family == "mlp" else images
    for layer in weights[:-1]:
        key, draw = jax.random.split(key)
        if net.family == "cnn":
            values = lax.conv_general_dilated(
                values, layer["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            values = jax.nn.relu(values + layer["b"])
            mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
            moments.append((mean, variance))
            norm = (values - mean) * lax.rsqrt(variance + 1e-3)
            values = norm * layer["scale"] + layer["shift"]
            window = (1, 2, 2, 1)
            values = lax.reduce_window(values, -jnp.inf, lax.max, window, window, "SAME")
        else:
            values = jax.nn.relu(values @ layer["w"] + layer["b"])
        if net.rate:
            kept = jax.random.bernoulli(draw, 1 - net.rate, values.shape)
            values = jnp.where(kept, values / (1 - net.rate), 0)
    flat = values.reshape(len(values), -1)
    return flat @ weights[-1]["w"] + weights[-1]["b"], moments


def build(net: Net, setting: Setting) -> Run:
    import jax
    import jax.numpy as jnp

    key = jax.random.key(0)
    weights = _weights(net, key)
    zeros = jax.tree.map(jnp.zeros_like, weights)
    images = jnp.asarray(images_N11()[..., None], jnp.float32) / 255
    labels = jnp.asarray(labels_N())

    def loss_of(weights: Any, batch: Any, right: Any, draw: Any) -> tuple[Any, Any]:
        logits, moments = _forward(net, weights, batch, draw)
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), right[:, None], axis=1)
        return -picked.mean(), moments

    def step(weights: Any, mean: Any, square: Any, moving: Any, count: Any, key: Any) -> Any:
        key, first, second = jax.random.split(key, 3)
        which = jax.random.randint(first, (net.batch_size,), 0, len(labels))
        grads, moments = jax.grad(loss_of, has_aux=True)(
            weights, images[which], labels[which], second
        )
        moving = jax.tree.map(lambda old, new: 0.99 * old + 0.01 * new, moving, moments)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, grads)
        count = count + 1
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, mean, square
        )
        return weights, mean, square, moving, count, key

    compiled = jax.jit(step, donate_argnums=tuple(range(6)) if setting["donate"] else ())
    moving = [(jnp.zeros(w), jnp.ones(w)) for w in net.filters] if net.family == "cnn" else []
    state = (weights, zeros, jax.tree.map(jnp.copy, zeros), moving, jnp.zeros(()), key)

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state = compiled(*state)
        jax.block_until_ready(state)

    return run
