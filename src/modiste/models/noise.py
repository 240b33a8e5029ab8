"""What a net asks for chance in training."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from modiste.kernels.blocks import Kept
from modiste.kernels.ops import Drawn


class Noise(Protocol):
    """Where dropout's chance comes from; nothing in a net draws for itself."""

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        """Zeros, and one over the share that is kept, for each of `values`."""

    def kept(self, layer: int, count: int, rate: float) -> Kept:
        """The same chance as bytes, for so many values in the order they lie in memory."""

    def drawn(self, layer: int, rate: float) -> Drawn:
        """The same chance as what it is drawn from."""
