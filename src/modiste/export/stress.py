"""How a trained model stands up to worse images than those it was shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from modiste.data.types import ImageSet
from modiste.evaluate.stress import stresses
from modiste.runs.run import Epoch, Run
from modiste.train.predictor import Predictor

# Enough to see a loss of two points, and few enough for a large net on one core.
NUM_IMAGES = 2_000


def under_stress(run: Run, epoch: Epoch, images: ImageSet) -> dict[str, Any]:
    """Which validation images a model gets right as they are, and made worse.

    Args:
        run: With its weights.
        epoch: Whose weights.
        images: Validation images; at most `NUM_IMAGES` of them are used, evenly spread.

    Returns:
        ``right_RN``: a row for the images as they are, then one for each stress; ``names``,
        ``amounts`` and ``units`` of the stresses; ``image_ids``.

    Raises:
        StoreError: If the run's weights were dropped.
    """
    step = max(1, -(-len(images) // NUM_IMAGES))
    pixels, labels_N = images.images_NCHW[::step], images.labels_N[::step]
    model = Predictor(run.spec, run.layers, run.weights(epoch))
    tried = stresses()
    given = [pixels, *(stress.apply(pixels) for stress in tried)]
    return {
        "right_RN": np.stack([model.logits(each).argmax(axis=1) == labels_N for each in given]),
        "names": np.array([stress.name for stress in tried]),
        "amounts": np.array([stress.amount for stress in tried]),
        "units": np.array([stress.unit for stress in tried]),
        "image_ids": images.ids_N[::step],
    }
