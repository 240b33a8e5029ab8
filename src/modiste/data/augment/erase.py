"""Random erasing: a rectangle of each image is overwritten with noise or with zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from modiste.spec.parts import AUGMENTATIONS, Augmentation, Seen

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@AUGMENTATIONS.register("erase")
class Erase(Augmentation):
    """Overwrites a rectangle of random size, shape and place.

    Attributes:
        probability: Share of images that lose a rectangle.
        area: Smallest and largest share of the image's area.
        aspect: Smallest height over width; the largest is its inverse.
        fill: ``noise`` (each pixel drawn evenly from the whole range: 0 to 255 of bytes, of floats
            what the training images hold in that channel) or ``zero``.

    Source:
        Zhong et al., Random Erasing Data Augmentation, arXiv:1708.04896, algorithm 1. Sides that
        do not fit are cut to the image instead of drawn again.
    """

    name: Literal["erase"] = "erase"
    probability: float = Field(0.5, ge=0, le=1)
    area: tuple[float, float] = (0.02, 0.4)
    aspect: float = Field(0.3, gt=0, le=1)
    fill: Literal["noise", "zero"] = "noise"

    @field_validator("area")
    @classmethod
    def _smallest_first(cls, area: tuple[float, float]) -> tuple[float, float]:
        if not 0 < area[0] <= area[1] <= 1:
            raise ValueError("expected the smallest and the largest share, both above 0, up to 1")
        return area

    def apply(
        self, images: Tensor, chance: np.random.Generator, seen: Seen | None = None
    ) -> Tensor:
        import numpy as np
        import torch

        from modiste.data.sending import send

        count, channels, height, width = images.shape
        is_erased = chance.random(count) < self.probability
        area = chance.uniform(*self.area, count) * height * width
        limit = abs(np.log(self.aspect))
        aspect = np.exp(chance.uniform(-limit, limit, count))
        tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height)
        wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width)
        top = np.floor(chance.random(count) * (height - tall + 1))
        left = np.floor(chance.random(count) * (width - wide + 1))
        # Only corners are sent to where the images are; an image that keeps all has empty sides.
        corners = np.stack((top, top + tall * is_erased, left, left + wide * is_erased))
        first_row, end_row, first_column, end_column = send(corners, images.device)[:, :, None]
        rows = torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device)
        in_rows = (rows >= first_row) & (rows < end_row)
        in_columns = (columns >= first_column) & (columns < end_column)
        mask = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
        if self.fill == "zero":
            return images.masked_fill(mask, 0)
        pixels = chance.integers(0, 256, (count, channels, height, width), np.uint8)
        noise = send(pixels, images.device)
        if images.is_floating_point():
            noise = noise.to(images.dtype) / 255
            if seen is not None and seen.limits_2C is not None:
                lowest, highest = send(seen.limits_2C, images.device).to(noise.dtype)[
                    :, :, None, None
                ]
                noise = lowest * (1 - noise) + highest * noise
        return torch.where(mask, noise, images)
