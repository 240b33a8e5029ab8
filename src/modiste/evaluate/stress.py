"""Images made worse on purpose, by a stated amount, to see what a model still gets right.

Four kinds, as whole bytes, each the same for the same image and seed. No torch: what serves a
model can be put under the same stress.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from modiste.seeds import generator

ImagesNCHW = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Stress:
    """One way to make images worse, at one strength.

    Attributes:
        name: Of the kind: ``shift``, ``noise``, ``blur`` or ``contrast``.
        amount: In the unit of its kind.
        unit: What the amount counts.
        apply: Gives changed images of the same shape.
    """

    name: str
    amount: float
    unit: str
    apply: Callable[[ImagesNCHW], ImagesNCHW]


def shifted(images_NCHW: ImagesNCHW, pixels: int, seed: int = 0) -> ImagesNCHW:
    """Each image moved by so many pixels in one of the four directions; black comes in.

    Example:
        >>> moved = shifted(np.full((1, 1, 3, 3), 9, np.uint8), 1)
        >>> int((moved == 0).sum())
        3
    """
    directions_N = generator(seed, "stress shift").integers(0, 4, len(images_NCHW))
    answer = np.zeros_like(images_NCHW)
    for direction, (down, right) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        own = directions_N == direction
        answer[own] = _moved(images_NCHW[own], down * pixels, right * pixels)
    return answer


def noisy(images_NCHW: ImagesNCHW, deviation: float, seed: int = 0) -> ImagesNCHW:
    """Normal noise on every pixel, of that standard deviation as a share of 255."""
    noise = generator(seed, "stress noise").standard_normal(images_NCHW.shape, np.float32)
    return _bytes(images_NCHW + 255 * deviation * noise)


def blurred(images_NCHW: ImagesNCHW, sigma: float) -> ImagesNCHW:
    """Each channel blurred by a Gaussian of that standard deviation in pixels."""
    from scipy import ndimage  # takes a while to load

    values = images_NCHW.astype(np.float32)
    return _bytes(ndimage.gaussian_filter(values, (0, 0, sigma, sigma), mode="nearest"))


def flattened(images_NCHW: ImagesNCHW, contrast: float) -> ImagesNCHW:
    """Pixels drawn towards the image's mean, to that share of their contrast."""
    means = images_NCHW.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
    return _bytes(means + contrast * (images_NCHW - means))


def stresses() -> list[Stress]:
    """Those that are tried, weakest first within a kind."""
    return [
        *(Stress("shift", by, "pixels", partial(shifted, pixels=by)) for by in (1, 2, 4)),
        *(
            Stress("noise", by, "of the range", partial(noisy, deviation=by))
            for by in (0.05, 0.1, 0.2)
        ),
        *(Stress("blur", by, "pixels", partial(blurred, sigma=by)) for by in (0.5, 1.0, 1.5)),
        *(
            Stress("contrast", by, "of its own", partial(flattened, contrast=by))
            for by in (0.75, 0.5, 0.25)
        ),
    ]


def _moved(images_NCHW: ImagesNCHW, down: int, right: int) -> ImagesNCHW:
    height, width = images_NCHW.shape[2:]
    answer = np.zeros_like(images_NCHW)
    rows_to, rows_from = _overlap(down, height)
    columns_to, columns_from = _overlap(right, width)
    answer[:, :, rows_to, columns_to] = images_NCHW[:, :, rows_from, columns_from]
    return answer


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    by = max(-size, min(size, by))
    return slice(max(0, by), size + min(0, by)), slice(max(0, -by), size - max(0, by))


def _bytes(values: npt.NDArray[np.float32]) -> ImagesNCHW:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
