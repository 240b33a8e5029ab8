"""Precision, recall and F1 of each class, each with its interval.

Letters: K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modiste.evaluate.intervals import f1_interval, wilson
from modiste.evaluate.metrics import CountsKK
from modiste.evaluate.summary import Figure


@dataclass(frozen=True)
class ClassFigures:
    """What a model's answers are worth for one class, with 95 % intervals for the images.

    Attributes:
        images: Of this class.
        answered: Images that were taken for it.
        right: Images of it that were taken for it.
        recall: Share of its images that were found; none if it has no images.
        precision: Share of what was taken for it that belongs to it; none if nothing was.
        f1: Their harmonic mean; none where neither an image nor an answer is of this class.
    """

    images: int
    answered: int
    right: int
    recall: Figure | None
    precision: Figure | None
    f1: Figure | None


def per_class(counts_KK: CountsKK) -> list[ClassFigures]:
    """Recall, precision and F1 of every class, in the order of the classes.

    Args:
        counts_KK: From `metrics.confusion`.

    Example:
        >>> one, two = per_class(np.array([[90, 10], [20, 80]]))
        >>> f"{one.recall.value:.4f} {one.precision.value:.4f} {one.f1.value:.4f}"
        '0.9000 0.8182 0.8571'
        >>> f"{one.f1.interval.low:.4f} {one.f1.interval.high:.4f}"
        '0.7992 0.9004'
    """
    rights_K = np.diag(counts_KK)
    return [
        _figures(int(images), int(answered), int(right))
        for images, answered, right in zip(
            counts_KK.sum(axis=1), counts_KK.sum(axis=0), rights_K, strict=True
        )
    ]


def _figures(images: int, answered: int, right: int) -> ClassFigures:
    f1 = None
    if images + answered:
        interval = f1_interval(right, images - right, answered - right)
        f1 = Figure(2 * right / (images + answered), interval)
    return ClassFigures(images, answered, right, _share(right, images), _share(right, answered), f1)


def _share(right: int, total: int) -> Figure | None:
    return Figure(right / total, wilson(right, total)) if total else None
