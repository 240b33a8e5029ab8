"""Dropout masks from cheap random bytes, as a function of seed, update and layer."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modiste import seeds
from modiste.data.sending import send
from modiste.kernels.blocks import Kept
from modiste.kernels.on_gpu import Chance
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
        if values.is_cuda:
            return multiplier_of(self.chance(layer, values, rate), values.dtype)
        kept = self.kept(layer, values.numel(), rate)
        multiplier = kept.mask.to(values.dtype).mul_(kept.scale)
        if values.dim() == 4:
            batch, channels, height, width = values.shape
            return multiplier.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return multiplier.view(values.shape)

    def chance(self, layer: int, like: Tensor, rate: float) -> Chance:
        """The same as bytes of their device's generator, laid out in memory like those values."""
        draws = torch.empty_like(like, dtype=torch.uint8)
        self.draw(layer, draws)
        return Chance(draws, threshold(rate), 1.0 / kept_share(rate))

    def draw(self, layer: int, draws: Tensor) -> None:
        """Overwrite bytes with chance, by their device's generator."""
        # Streams of neighbouring seeds have nothing in common: the generator is a cipher (Philox).
        seed = (_first_seed(self._seed, layer) + self._update) % 2**63
        draws.random_(generator=_generator(draws.device).manual_seed(seed))

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


@functools.lru_cache(1 << 16)
def _first_seed(seed: int, layer: int) -> int:
    return seeds.derive(seed, "dropout", layer)


@functools.cache
def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device)


class KeptNoise:
    """Dropout's chance in memory that stays where it is, so that a recorded step finds it there."""

    def __init__(self) -> None:
        self._draws: dict[int, Tensor] = {}

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        """As `ByteNoise` gives it, of what was drawn last."""
        return multiplier_of(self.chance(layer, values, rate), values.dtype)

    def chance(self, layer: int, like: Tensor, rate: float) -> Chance:
        """The bytes that were drawn last."""
        if layer not in self._draws:
            self._draws[layer] = torch.zeros_like(like, dtype=torch.uint8)
        return Chance(self._draws[layer], threshold(rate), 1.0 / kept_share(rate))

    def draw_all(self, noise: ByteNoise) -> None:
        """Draw anew for all layers that ever asked."""
        for layer, draws in self._draws.items():
            noise.draw(layer, draws)

    def kept(self, layer: int, count: int, rate: float) -> Kept:
        """Never: for kernels on the CPU, where nothing is recorded."""
        raise AssertionError("a step was recorded on a CPU")

    def drawn(self, layer: int, rate: float) -> Drawn:
        """Never, for the same reason."""
        raise AssertionError("a step was recorded on a CPU")


class ByteNoises:
    """The noise of several runs that are trained as one."""

    def __init__(self, noises: Sequence[ByteNoise]) -> None:
        self._noises = noises

    def each(self, layer: int, parts: Sequence[Tensor], rates: Sequence[float]) -> list[Tensor]:
        """Each run's multiplier for its values and its rate."""
        return [
            noise.multiplier(layer, part, rate)
            for noise, part, rate in zip(self._noises, parts, rates, strict=True)
        ]

    def stacked(self, layer: int, values_PNF: Tensor, rates: Sequence[float]) -> Tensor:
        """The same for values that lie together, P x N x F."""
        if not values_PNF.is_cuda:
            return torch.stack(self.each(layer, values_PNF.unbind(0), rates))
        # All that comes after the draws in one pass: asking a GPU takes as long as computing.
        draws = torch.empty_like(values_PNF, dtype=torch.uint8)
        for noise, part in zip(self._noises, draws, strict=True):
            noise.draw(layer, part)
        thresholds = np.array([threshold(rate) for rate in rates], np.uint8)
        scales = np.array([1.0 / kept_share(rate) for rate in rates])
        is_kept = draws >= send(thresholds, draws.device)[:, None, None]
        return is_kept * send(scales, draws.device).to(values_PNF.dtype)[:, None, None]


def multiplier_of(chance: Chance, dtype: torch.dtype) -> Tensor:
    """Zeros, and one over the share that is kept."""
    return (chance.draws >= chance.threshold).to(dtype).mul_(chance.scale)
