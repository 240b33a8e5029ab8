"""Move images by whole pixels, filling with zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.spec.parts import AUGMENTATIONS, Augmentation, Seen

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@AUGMENTATIONS.register("shift")
class Shift(Augmentation):
    """Moves each image by up to `pixels` up or down and left or right, filled with zeros.

    Attributes:
        pixels: The longest way along either side.
    """

    name: Literal["shift"] = "shift"
    pixels: int = Field(2, ge=1, le=64)

    def apply(
        self, images: Tensor, chance: np.random.Generator, seen: Seen | None = None
    ) -> Tensor:
        from modiste.data.sending import send

        offsets = chance.integers(-self.pixels, self.pixels, (len(images), 2), endpoint=True)
        return shift(images, send(offsets, images.device))


def shift(images: Tensor, offsets: Tensor) -> Tensor:
    """Move each image by its own whole number of pixels, filling with zeros.

    Args:
        images: N x C x H x W, any dtype, any device.
        offsets: N x 2, ``(dy, dx)`` for each image; positive is down and right.

    Returns:
        A new tensor; ``images`` is not changed.
    """
    import torch

    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - offsets[:, :1]
    columns = torch.arange(width, device=images.device) - offsets[:, 1:]
    is_inside = ((rows >= 0) & (rows < height))[:, None, :, None] & (
        (columns >= 0) & (columns < width)
    )[:, None, None, :]
    which = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[
        which, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ].permute(0, 3, 1, 2)
    return moved * is_inside.to(moved.dtype)
