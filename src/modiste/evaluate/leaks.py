"""Whether images that choose are among those that were trained on, pixel by pixel."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from modiste.data.types import ImagesNCHW


def equal_across(train_NCHW: ImagesNCHW, val_NCHW: ImagesNCHW) -> npt.NDArray[np.bool_]:
    """Which validation images equal a training image in every pixel, whatever their labels.

    It costs seconds, so every study does it; mirrored and near duplicates take minutes, and
    `modiste audit`.

    Args:
        train_NCHW: Images to train on.
        val_NCHW: Images to choose by, of the same shape.

    Example:
        >>> one = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
        >>> equal_across(one, one[1:] + np.array([[[[0]]], [[[1]]]], np.uint8)).tolist()
        [True, False]
    """
    seen = {_digest(image) for image in train_NCHW}
    return np.array([_digest(image) in seen for image in val_NCHW], bool)


def _digest(image_CHW: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image_CHW).tobytes(), digest_size=16).digest()
