"""What a run said of the images that it was validated on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.evaluate.metrics import probabilities
from modiste.runs.run import Epoch, Run


class Answers(NamedTuple):
    """What a run said of each validation image, and what was right.

    Attributes:
        probabilities_N: Of the class that it said, rounded as `collect` keeps it; NaN for a model
            that gives none.
    """

    classes_N: npt.NDArray[np.int64]
    probabilities_N: npt.NDArray[np.float16]
    labels_N: npt.NDArray[np.int64]
    image_ids_N: npt.NDArray[np.int64]


def answers_of(run: Run, epoch: Epoch) -> Answers:
    """The validation answers of a run that kept its logits."""
    saved = run.predictions
    logits_NK = saved[f"logits_{epoch}_NK"]
    highest_N = probabilities(logits_NK).max(axis=1).astype(np.float16)
    if run.metrics[epoch]["val"]["loss"] is None:
        highest_N[:] = np.nan
    return Answers(logits_NK.argmax(axis=1), highest_N, saved["labels"], saved["image_ids"])
