"""Training images in memory, and the batches cut from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modiste import seeds
from modiste.data.preprocess import Preprocess
from modiste.data.sending import send
from modiste.data.types import ImageSet
from modiste.kernels.ops import Kernels
from modiste.spec.parts import Augmentation, Seen

# Images inferred at once: so few that the activations of a wide net stay in a CPU's cache, so many
# that a GPU has enough to do between two calls. Nets that are computed as one share a GPU's, whose
# memory would not last otherwise, down to the least for each.
INFERRED_AT_ONCE = {"cpu": 256, "cuda": 2_000}
LEAST_AT_ONCE = {"cpu": 256, "cuda": 64}


class Batches:
    """An image set on its device, as it came; cut, changed and scaled batch by batch.

    The whole of Fashion-MNIST is 47 MB: indexing it costs microseconds, where a loader with
    worker processes would cost most of a step.

    Args:
        images: What to cut from.
        preprocess: How pixels become numbers.
        device: Where batches are made.
        dtype: Of the scaled batches.
        kernels: Compiled ones, which then cut and scale bytes in one pass; the same numbers.
    """

    def __init__(
        self,
        images: ImageSet,
        preprocess: Preprocess,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        kernels: Kernels | None = None,
    ) -> None:
        self.images = torch.from_numpy(images.images_NCHW).to(device)
        self.labels = torch.from_numpy(images.labels_N).to(device)
        factor_C, offset_C = preprocess.affine()
        self._factor_C11 = torch.from_numpy(factor_C).to(device, dtype)[:, None, None]
        self._offset_C11 = torch.from_numpy(offset_C).to(device, dtype)[:, None, None]
        self._has_offset = bool(offset_C.any())
        self._device = device
        is_of_bytes = self.images.dtype == torch.uint8 and self.images.is_contiguous()
        is_for_them = is_of_bytes and dtype == torch.float32 and self.images.is_cpu
        self._take: Callable[[Tensor], Tensor] | None = None
        if kernels is not None and is_for_them:
            self._take = kernels.taker(self.images, self._factor_C11)

    def __len__(self) -> int:
        return len(self.labels)

    def num_batches(self, batch_size: int) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self) // batch_size)

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order of images in an epoch: a function of the run's seed and the epoch alone."""
        return torch.from_numpy(seeds.generator(seed, "order", epoch).permutation(len(self)))

    def take(
        self,
        which: Tensor,
        augment: Sequence[Augmentation] = (),
        seed: int = 0,
        update: int = 0,
        epoch: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Scaled images and labels at these positions, changed at random if asked.

        Each augmentation draws from a stream of its own, a function of seed and update, also where
        one of its name comes before it.

        Args:
            which: The positions, on the CPU.
            augment: What to change, in this order.
            seed: Of the run.
            update: From 0.
            epoch: From 0.
        """
        positions_N = which.numpy()
        there = send(positions_N, self.labels.device)
        labels = self.labels.index_select(0, there)
        if self._take is not None and not augment:
            return self._shifted(self._take(which)), labels
        images = self.images.index_select(0, there)
        names = [augmentation.name for augmentation in augment]
        for index, augmentation in enumerate(augment):
            repeat = names[:index].count(augmentation.name)
            seen = Seen(positions_N, epoch, seed, repeat, self._limits_2C)
            chance = seeds.generator(seed, augmentation.stream(seen.repeat), update)
            images = augmentation.apply(images, chance, seen)
        return self.scale(images), labels

    def inferred_at_once(self, num_nets: int = 1) -> int:
        """Images that each of so many nets infers at once, which are computed as one."""
        return max(INFERRED_AT_ONCE[self._device] // num_nets, LEAST_AT_ONCE[self._device])

    def in_order(self, num_nets: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, scaled, in the order they lie in, as many at once as are inferred."""
        at_once = self.inferred_at_once(num_nets)
        for start in range(0, len(self), at_once):
            stop = start + at_once
            yield self.scale(self.images[start:stop]), self.labels[start:stop]

    def scale(self, images: Tensor) -> Tensor:
        """Pixels to numbers, by the run's rule, in memory of their own."""
        return self._shifted(images.to(self._factor_C11.dtype, copy=True).mul_(self._factor_C11))

    @functools.cached_property
    def _limits_2C(self) -> npt.NDArray[np.float32] | None:
        if not self.images.is_floating_point():
            return None
        lowest_C, highest_C = self.images.amin((0, 2, 3)), self.images.amax((0, 2, 3))
        return torch.stack((lowest_C, highest_C)).cpu().numpy()

    def _shifted(self, images: Tensor) -> Tensor:
        return images.add_(self._offset_C11) if self._has_offset else images
