"""Which part of an image decided: cover a part, ask again, see what the class lost.

The windows overlap, and there are at most `LARGEST_GRID` squared of them, whatever the image.

Source:
    M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
    section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modiste.data.types import ImagesNCHW

Floats = npt.NDArray[np.float64]

LARGEST_GRID = 10
# A window is a fifth of the image a side: smaller ones change no answer of nets that saw erased
# parts in training, larger ones cannot tell where.
_WINDOW = 0.2


@dataclass(frozen=True)
class Occlusion:
    """What covering each part took from a class.

    Attributes:
        window_HW: In pixels.
        drops: Probability of the class less its probability with the window over that place, by
            rows and columns of places that spread evenly; negative where the class gained.
        evaluations: Images that the model was asked, the whole one included.
    """

    window_HW: tuple[int, int]
    drops: Floats
    evaluations: int


def occlusion(
    image_CHW: npt.NDArray[np.uint8],
    ask: Callable[[ImagesNCHW], Floats],
    whole: float,
    label: int,
) -> Occlusion:
    """How the probability of a class hangs on the parts of an image.

    Args:
        image_CHW: As the model sees it.
        ask: Gives the probabilities, N x K.
        whole: The probability of the class for the whole image.
        label: The class.
    """
    _, height, width = image_CHW.shape
    window_HW = max(1, math.ceil(height * _WINDOW)), max(1, math.ceil(width * _WINDOW))
    tops = _places(height, window_HW[0])
    lefts = _places(width, window_HW[1])
    fill = background(image_CHW)
    covered = np.repeat(image_CHW[np.newaxis], len(tops) * len(lefts), axis=0)
    places = [(top, left) for top in tops for left in lefts]
    for image, (top, left) in zip(covered, places, strict=True):
        image[:, top : top + window_HW[0], left : left + window_HW[1]] = fill[:, None, None]
    drops = whole - ask(covered)[:, label]
    return Occlusion(window_HW, drops.reshape(len(tops), len(lefts)), len(covered) + 1)


def background(image_CHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """For each channel the median of the outermost pixels: what most likely lies behind.

    Covering what is background changes nothing then, and covering the thing takes it away.
    """
    edges = (image_CHW[:, 0], image_CHW[:, -1], image_CHW[:, :, 0], image_CHW[:, :, -1])
    return np.asarray(np.median(np.concatenate(edges, axis=1), axis=1), np.uint8)


def _places(side: int, window: int) -> list[int]:
    """Where windows begin: evenly from one end to the other, no two at the same place."""
    count = min(LARGEST_GRID, side - window + 1)
    return sorted({round(place) for place in np.linspace(0, side - window, count).tolist()})
