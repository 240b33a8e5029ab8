"""Dropout masks from cheap random bytes, as a function of seed, update and layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modiste import seeds
from modiste.kernels.blocks import Kept
from modiste.kernels.ops import Drawn
from modiste.train.kept import kept_share, threshold


class ByteNoise:
    """Dropout's chance for one update of one run.

    torch's own dropout draws each value on one thread with a slow generator, which costs more
    than the rest of a small net's step. Here eight values share one 64-bit draw, and what is
    kept is scaled by the share really kept. Nothing is stored: to resume, draw again.

    Args:
        seed: Of the run.
        update: 0 for the first one.
    """

    def __init__(self, seed: int, update: int) -> None:
        self._seed = seed
        self._update = update

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        """Zeros, and one over the share that is kept, laid out in memory like `values`."""
        scale = 1.0 / kept_share(rate)
        if values.is_cuda:
            chance = torch.Generator(values.device)
            chance.manual_seed(seeds.derive(self._seed, "dropout", self._update, layer))
            draws = torch.empty_like(values, dtype=torch.uint8).random_(generator=chance)
            return (draws >= threshold(rate)).to(values.dtype).mul_(scale)
        multiplier = self.kept(layer, values.numel(), rate).mask.to(values.dtype).mul_(scale)
        if values.dim() == 4:
            batch, channels, height, width = values.shape
            return multiplier.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return multiplier.view(values.shape)

    def kept(self, layer: int, count: int, rate: float) -> Kept:
        """The same as bytes, on the CPU, for values in the order that they lie in memory."""
        source = np.random.SFC64(seeds.sequence(self._seed, "dropout", self._update, layer))
        raw = source.random_raw(-(-count // 8)).view(np.uint8)[:count]
        # NumPy compares bytes, and torch turns bytes (not booleans) into floats, at full speed.
        mask = torch.from_numpy((raw >= threshold(rate)).view(np.uint8))
        return Kept(mask, 1.0 / kept_share(rate))

    def drawn(self, layer: int, rate: float) -> Drawn:
        """The same as what a kernel draws it from."""
        words = seeds.words(self._seed, "dropout", self._update, layer)
        return Drawn(words, threshold(rate), 1.0 / kept_share(rate))
