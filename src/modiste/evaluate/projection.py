"""Images as short vectors, near each other where the images are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from modiste.data.types import ImagesNCHW

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

FloatsND = npt.NDArray[np.float32]

MAX_VALUES = 1024  # of a thumbnail: 28 x 28 grey and 32 x 32 grey stay whole, 32 x 32 colour halves
NUM_COMPONENTS = 100
_BLOCK = 4096  # images


def thumbnails(images_NCHW: ImagesNCHW) -> FloatsND:
    """Pixels as proportions, averaged over squares until at most `MAX_VALUES` are left.

    Squares at the right and the lower edge may be cut.

    Example:
        >>> thumbnails(np.full((1, 3, 32, 32), 51, np.uint8)).shape
        (1, 768)
    """
    num_images, channels, height, width = images_NCHW.shape
    side = 1
    while channels * -(-height // side) * -(-width // side) > MAX_VALUES:
        side += 1
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)
    sizes_HW = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    answer = np.empty((num_images, channels * sizes_HW.size), np.float32)
    for start in range(0, num_images, _BLOCK):
        block = images_NCHW[start : start + _BLOCK].astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(block, rows, axis=2), columns, axis=3)
        answer[start : start + _BLOCK] = (sums / (255 * sizes_HW)).reshape(len(block), -1)
    return answer


def fit_projection(images_NCHW: ImagesNCHW) -> PCA:
    """Principal components of these images' thumbnails; `project` applies them.

    The projection is orthogonal: two images are never nearer in the pixels than in it.

    Args:
        images_NCHW: At least two that differ.
    """
    from sklearn.decomposition import PCA

    small_ND = thumbnails(images_NCHW)
    number = min(NUM_COMPONENTS, *small_ND.shape)
    # The one solver that neither draws random numbers nor factors all N rows.
    return PCA(number, svd_solver="covariance_eigh").fit(small_ND)


def project(projection: PCA, images_NCHW: ImagesNCHW) -> FloatsND:
    """Images, N x C x H x W, as vectors of at most `NUM_COMPONENTS` values."""
    return np.asarray(projection.transform(thumbnails(images_NCHW)), np.float32)
