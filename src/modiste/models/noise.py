"""What a net asks for chance in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from modiste.kernels.blocks import Kept
from modiste.kernels.on_gpu import Chance
from modiste.kernels.ops import Drawn


class Noise(Protocol):
    """Where dropout's chance comes from; nothing in a net draws for itself."""

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        """Zeros, and one over the share that is kept, for each of `values`."""

    def kept(self, layer: int, count: int, rate: float) -> Kept:
        """The same chance as bytes, for so many values in the order they lie in memory."""

    def drawn(self, layer: int, rate: float) -> Drawn:
        """The same chance as what it is drawn from."""

    def chance(self, layer: int, like: Tensor, rate: float) -> Chance:
        """The same chance as random bytes, for values that lie in memory as these do."""


class Noises(Protocol):
    """The same for several nets that are computed as one, each with chance of its own."""

    def each(self, layer: int, parts: Sequence[Tensor], rates: Sequence[float]) -> list[Tensor]:
        """What `Noise.multiplier` gives for each net's values and rate."""

    def stacked(self, layer: int, values_PNF: Tensor, rates: Sequence[float]) -> Tensor:
        """The same for values that lie together, P x N x F."""
