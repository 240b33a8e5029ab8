"""Which images look unlike those that a model was trained on: a rule simple enough to be read.

Four numbers say how an image looks. For each the export states the range in which nearly all
training images lie; an image outside of one of them is unlike them. That finds inverted images,
light backgrounds, blank ones and noise. It cannot find everything: an image inside all four ranges
may still show something that is of none of the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.data.types import ImagesNCHW

Floats = npt.NDArray[np.float64]

# The share of the training images that may lie beyond each end of a range.
TAIL = 0.001
# Ranges are this much wider, in levels of 255: nobody sees it, and where all borders are nearly
# black, one that is black is no surprise.
SLACK = 2.0
# Images looked at together: their pixels are copied as numbers of 8 bytes.
_CHUNK = 1_000


def _border(images_NCHW: Floats) -> Floats:
    edges = (
        images_NCHW[..., 0, :],
        images_NCHW[..., -1, :],
        images_NCHW[..., 1:-1, 0],
        images_NCHW[..., 1:-1, -1],
    )
    return np.asarray(np.concatenate(edges, axis=-1).mean(axis=(1, 2)))


def _detail(images_NCHW: Floats) -> Floats:
    steps = [np.abs(np.diff(images_NCHW, axis=axis)) for axis in (2, 3)]
    count = max(1, sum(step[0].size for step in steps))
    return np.asarray(sum(step.sum(axis=(1, 2, 3)) for step in steps) / count)


# In levels of 0 to 255, over all channels: mean of the outermost pixels, mean of all, standard
# deviation of all, mean difference of neighbours.
STATISTICS = {
    "border": _border,
    "brightness": lambda images_NCHW: images_NCHW.mean(axis=(1, 2, 3)),
    "contrast": lambda images_NCHW: images_NCHW.std(axis=(1, 2, 3)),
    "detail": _detail,
}


def statistics(images_NCHW: ImagesNCHW) -> Floats:
    """`STATISTICS` of each image, N x 4."""
    rows = []
    for start in range(0, len(images_NCHW), _CHUNK):
        images = images_NCHW[start : start + _CHUNK].astype(np.float64)
        rows.append(np.stack([measure(images) for measure in STATISTICS.values()], axis=1))
    return np.concatenate(rows) if rows else np.empty((0, len(STATISTICS)))


@dataclass(frozen=True)
class Typical:
    """What training images look like.

    Attributes:
        ranges: The lowest and the highest typical value of each of `STATISTICS`, by name.
        num_images: How many images they were taken from.
    """

    ranges: Mapping[str, tuple[float, float]]
    num_images: int

    def unlike(self, images_NCHW: ImagesNCHW) -> list[str | None]:
        """For each image what is unlike the training images, in words; none where nothing is."""
        return [
            self._words(image_CHW, values_S) if self._outside(values_S) else None
            for image_CHW, values_S in zip(images_NCHW, statistics(images_NCHW), strict=True)
        ]

    def _words(self, image_CHW: npt.NDArray[np.uint8], values_S: Floats) -> str:
        found = []
        for name in self._outside(values_S):
            low, high = self.ranges[name]
            value = values_S[list(STATISTICS).index(name)]
            found.append(f"{name} {value:.0f} (theirs {low:.0f} to {high:.0f})")
        (inverted_S,) = statistics(255 - image_CHW[np.newaxis])
        hint = "" if self._outside(inverted_S) else "; inverted, it would be like them"
        return f"unlike the training images: {', '.join(found)}{hint}"

    def _outside(self, values_S: Floats) -> list[str]:
        return [
            name
            for name, value in zip(STATISTICS, values_S, strict=True)
            if not self.ranges[name][0] <= value <= self.ranges[name][1]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "tail": TAIL,
            "slack": SLACK,
            "num_images": self.num_images,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Typical:
        """What `to_dict` gave."""
        given = values["ranges"]
        ranges = {name: (float(given[name][0]), float(given[name][1])) for name in STATISTICS}
        return cls(ranges, int(values["num_images"]))


def typical(images_NCHW: ImagesNCHW) -> Typical:
    """What these training images look like.

    Each range ends at values of images that are there (of fewer than a thousand, at the lowest and
    the highest), widened by `SLACK`.

    Example:
        >>> grey = np.arange(10, 30, dtype=np.uint8).reshape(5, 1, 2, 2)
        >>> typical(grey).ranges["brightness"]
        (9.5, 29.5)
    """
    values_NS = statistics(images_NCHW)
    lows_S = np.quantile(values_NS, TAIL, axis=0, method="lower") - SLACK
    highs_S = np.quantile(values_NS, 1 - TAIL, axis=0, method="higher") + SLACK
    ends = zip(STATISTICS, lows_S.tolist(), highs_S.tolist(), strict=True)
    ranges = {name: (max(0.0, round(low, 2)), round(high, 2)) for name, low, high in ends}
    return Typical(ranges, len(images_NCHW))


def warned(rule: Typical, images_NCHW: ImagesNCHW) -> float:
    """The share of images that the rule calls unlike the training images."""
    ranges_S2 = np.array([rule.ranges[name] for name in STATISTICS])
    values_NS = statistics(images_NCHW)
    outside_NS = (values_NS < ranges_S2[:, 0]) | (values_NS > ranges_S2[:, 1])
    return float(outside_NS.any(axis=1).mean())
