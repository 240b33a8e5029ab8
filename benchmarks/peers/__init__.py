"""One file for each rival: its settings, and how it runs steps of a net at one of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from benchmarks.nets import Net

Setting = Mapping[str, Any]
# Runs so many training steps, one after another, and returns when they are done.
Run = Callable[[int], None]

NAMES = ("modiste", "pytorch", "pytorch_compiled", "keras_tensorflow", "keras_jax", "jax", "skorch")


class Peer(Protocol):
    """What each of these modules holds."""

    # Libraries that it needs, as they are imported.
    NEEDS: tuple[str, ...]

    def settings(self, net: Net, threads: int) -> list[Setting]:
        """What is tried; `environment` in one is set before anything is imported."""

    def build(self, net: Net, setting: Setting) -> Run:
        """Get ready: weights, data in memory, whatever is compiled."""


def peer(name: str) -> Peer:
    """The peer of that name."""
    return importlib.import_module(f"benchmarks.peers.{name}")  # type: ignore[return-value]
