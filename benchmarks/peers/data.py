"""Noise in the shape of Fashion-MNIST: a step takes as long whatever the pixels show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COUNT = 8_192


def images_N11() -> npt.NDArray[np.uint8]:
    """COUNT x 28 x 28."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28), np.uint8)


def labels_N() -> npt.NDArray[np.int64]:
    """As many labels, 0 to 9 in turn."""
    return np.arange(COUNT, dtype=np.int64) % 10
