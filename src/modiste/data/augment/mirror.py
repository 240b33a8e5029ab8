"""Mirror images left to right, each with its own toss of a coin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.spec.parts import AUGMENTATIONS, Augmentation

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@AUGMENTATIONS.register("mirror")
class Mirror(Augmentation):
    """Turns each image left to right with this probability."""

    name: Literal["mirror"] = "mirror"
    probability: float = Field(0.5, ge=0, le=1)

    def apply(self, images: Tensor, chance: np.random.Generator) -> Tensor:
        import torch

        is_mirrored = torch.from_numpy(chance.random(len(images)) < self.probability)
        is_mirrored = is_mirrored.to(images.device)[:, None, None, None]
        return torch.where(is_mirrored, images.flip(3), images)
