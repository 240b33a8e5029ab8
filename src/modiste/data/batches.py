"""Training images in memory, and the batches cut from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modiste import seeds
from modiste.data.preprocess import Preprocess
from modiste.data.types import ImageSet
from modiste.spec.parts import Augmentation, Seen

# Images inferred at once: small enough that the activations of a wide net stay in the cache.
INFERENCE_BATCH = 256


class Batches:
    """An image set on its device, as it came; cut, changed and scaled batch by batch.

    The whole of Fashion-MNIST is 47 MB: indexing it costs microseconds, where a loader with
    worker processes would cost most of a step.

    Args:
        images: What to cut from.
        preprocess: How pixels become numbers.
        device: Where batches are made.
        dtype: Of the scaled batches.
    """

    def __init__(
        self,
        images: ImageSet,
        preprocess: Preprocess,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.images = torch.from_numpy(images.images_NCHW).to(device)
        self.labels = torch.from_numpy(images.labels_N).to(device)
        factor_C, offset_C = preprocess.affine()
        self._factor_C11 = torch.from_numpy(factor_C).to(device, dtype)[:, None, None]
        self._offset_C11 = torch.from_numpy(offset_C).to(device, dtype)[:, None, None]
        self._has_offset = bool(offset_C.any())
        self._device = device

    def __len__(self) -> int:
        return len(self.labels)

    def num_batches(self, batch_size: int) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self) // batch_size)

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order of images in an epoch: a function of the run's seed and the epoch alone."""
        order = seeds.generator(seed, "order", epoch).permutation(len(self))
        return torch.from_numpy(order).to(self._device)

    def take(
        self,
        which: Tensor,
        augment: Sequence[Augmentation] = (),
        seed: int = 0,
        update: int = 0,
        epoch: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Scaled images and labels at these positions, changed at random if asked.

        Each augmentation draws from a stream of its own, a function of seed and update.
        """
        images = self.images.index_select(0, which)
        for augmentation in augment:
            chance = seeds.generator(seed, f"augment/{augmentation.name}", update)
            images = augmentation.apply(images, chance, Seen(which.cpu().numpy(), epoch, seed))
        return self.scale(images), self.labels.index_select(0, which)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, scaled, in the order they lie in."""
        for start in range(0, len(self), INFERENCE_BATCH):
            stop = start + INFERENCE_BATCH
            yield self.scale(self.images[start:stop]), self.labels[start:stop]

    def scale(self, images: Tensor) -> Tensor:
        """Pixels to numbers, by the run's rule, in memory of their own."""
        scaled = images.to(self._factor_C11.dtype, copy=True).mul_(self._factor_C11)
        return scaled.add_(self._offset_C11) if self._has_offset else scaled
