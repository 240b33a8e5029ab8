"""Keras on JAX: `fit` on arrays in memory; it is always compiled."""

from __future__ import annotations

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting
from benchmarks.peers.keras_tensorflow import fitting

NEEDS = ("keras", "jax")


def settings(net: Net, threads: int) -> list[Setting]:
    # XLA has no number of threads to set; one core is given to it by the system.
    environment = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return [
        {"jit": True, "steps_per_execution": steps, "threads": threads, "environment": environment}
        for steps in ((1, 16) if net.family == "mlp" else (1,))
    ]


def build(net: Net, setting: Setting) -> Run:
    import keras

    return fitting(net, setting, keras)
