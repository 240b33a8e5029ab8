"""Which images a model gets wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.data.types import ImageSet
from modiste.evaluate.metrics import probabilities

# That are kept of a model, and shown.
NUM_KEPT = 48


def worst_errors(
    logits_NK: npt.NDArray[np.float32],
    images: ImageSet,
    count: int = NUM_KEPT,
    *,
    are_probabilities: bool = True,
) -> dict[str, Any]:
    """The images that are most surely wrong, worst first.

    Args:
        logits_NK: One row for each image.
        images: With their true labels.
        count: At most so many.
        are_probabilities: Whether softmax makes probabilities of the logits; if not, it still
            says which errors are worst.

    Returns:
        ``images`` (uint8, N x H x W or N x H x W x 3), ``labels``, ``predicted``,
        ``probabilities_NK`` (NaN where there are none) and ``image_ids``.
    """
    chances_NK = probabilities(logits_NK)
    predicted = logits_NK.argmax(axis=1)
    given = chances_NK[np.arange(len(images)), images.labels_N]
    wrong = np.flatnonzero(predicted != images.labels_N)
    worst = wrong[np.argsort(given[wrong], kind="stable")][:count]
    pixels = images.images_NCHW[worst]
    if not are_probabilities:
        chances_NK[:] = np.nan
    return {
        "images": pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1),
        "labels": images.labels_N[worst],
        "predicted": predicted[worst],
        "probabilities_NK": chances_NK[worst].astype(np.float32),
        "image_ids": images.ids_N[worst],
    }
