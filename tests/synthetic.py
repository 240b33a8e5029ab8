"""A small set of images that any net learns in seconds, in the files of the MNIST family.

Class k is a bright square in the k-th of twelve cells, moved by up to a pixel each way, on noise.
Two classes never share a pixel, so a linear model can tell all of them apart.

A study uses it as ``data: {name: idx}`` with its folder named.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIDE_PX = 28
NUM_CLASSES = 10
_SQUARE_PX = 5


def write_idx(folder: Path, num_train: int = 600, num_test: int = 200, seed: int = 0) -> Path:
    """Write the four files, balanced over the classes as far as the numbers divide."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, count) in enumerate((("train", num_train), ("t10k", num_test))):
        images_NHW, labels_N = draw(count, seed=2 * seed + number)
        write_gzip(folder / f"{name}-images-idx3-ubyte.gz", idx_bytes(images_NHW))
        write_gzip(folder / f"{name}-labels-idx1-ubyte.gz", idx_bytes(labels_N))
    return folder


def draw(num_images: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images N x H x W and labels N."""
    chance = np.random.default_rng(seed)
    labels_N = chance.permutation(np.arange(num_images) % NUM_CLASSES).astype(np.uint8)
    images_NHW = chance.integers(0, 64, (num_images, SIDE_PX, SIDE_PX), np.uint8)
    for image_HW, label in zip(images_NHW, labels_N, strict=True):
        # Three rows of four cells, 7 pixels wide: a square of 5, moved by -1 to 1, stays inside.
        row, column = divmod(int(label), 4)
        top, left = np.array([2 + 9 * row, 1 + 7 * column]) + chance.integers(-1, 2, 2)
        square = slice(top, top + _SQUARE_PX), slice(left, left + _SQUARE_PX)
        image_HW[square] = chance.integers(160, 256)
    # Both ends of the range, as in real sets.
    images_NHW[:, 0, 0], images_NHW[:, 0, 1] = 0, 255
    return images_NHW, labels_N


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    """An unpacked IDX file of bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def write_gzip(path: Path, content: bytes) -> Path:
    """Pack, with no time in it: equal content, equal file."""
    path.write_bytes(gzip.compress(content, mtime=0))
    return path
