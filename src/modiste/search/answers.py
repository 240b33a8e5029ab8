"""What runs said of images: from their logits, or from what `collect` kept of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.errors import StoreError
from modiste.evaluate.metrics import probabilities
from modiste.runs import files
from modiste.runs.run import Epoch, Run


class Answers(NamedTuple):
    """What a run said of each image, and what was right.

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
    return _said(
        run, epoch, "val", saved[f"logits_{epoch}_NK"], saved["labels"], saved["image_ids"]
    )


def held_answers_of(run: Run, epoch: Epoch) -> Answers:
    """The same of the fold that was held out from it.

    Raises:
        StoreError: If there was none.
    """
    saved = run.predictions
    if f"held_logits_{epoch}_NK" not in saved:
        raise StoreError(f"{run.folder}: no fold was held out from this run.")
    logits_NK = saved[f"held_logits_{epoch}_NK"]
    return _said(run, epoch, "held", logits_NK, saved["held_labels"], saved["held_ids"])


def _said(
    run: Run,
    epoch: Epoch,
    part: Literal["val", "held"],
    logits_NK: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    ids_N: npt.NDArray[np.int64],
) -> Answers:
    highest_N = probabilities(logits_NK).max(axis=1).astype(np.float16)
    if run.metrics[epoch][part]["loss"] is None:
        highest_N[:] = np.nan
    return Answers(logits_NK.argmax(axis=1), highest_N, labels_N, ids_N)


class Kept:
    """The answers that lie in a folder of collected results, read when they are first asked for.

    Runs that are not among them tell their own, if they have their logits.

    Args:
        folder: Holds ``STAGE/predictions.npz``; see `modiste.search.collect`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, fingerprint: str) -> bool:
        return fingerprint in self._found

    def answers(self, run: Run, epoch: Epoch) -> Answers:
        """Of validation images.

        Raises:
            StoreError: If they were not kept.
        """
        if run.fingerprint not in self._found:
            if run.has_predictions:
                return answers_of(run, epoch)
            raise StoreError(f"{run.folder}: neither its logits nor its answers were kept.")
        kept, index = self._found[run.fingerprint]
        classes, labels, image_ids = (
            (kept[f"{name}_RN"][index] if f"{name}_RN" in kept else kept[f"{name}_N"]).astype(
                np.int64
            )
            for name in (f"classes_{epoch}", "labels", "image_ids")
        )
        return Answers(classes, kept[f"probabilities_{epoch}_RN"][index], labels, image_ids)

    def held_answers(self, run: Run, epoch: Epoch) -> Answers:
        """Of the fold that was held out.

        Raises:
            StoreError: If they were not kept.
        """
        if run.fingerprint not in self._found and run.has_predictions:
            return held_answers_of(run, epoch)
        kept, index = self._found.get(run.fingerprint, ({}, 0))
        if "held_ends_R" not in kept:
            raise StoreError(f"{run.folder}: answers for a held-out fold were not kept.")
        first, last = ([0, *kept["held_ends_R"]][at] for at in (index, index + 1))
        classes, labels, image_ids = (
            kept[f"held_{name}_M"][first:last].astype(np.int64)
            for name in (f"classes_{epoch}", "labels", "image_ids")
        )
        highest_N = kept[f"held_probabilities_{epoch}_M"][first:last]
        return Answers(classes, highest_N, labels, image_ids)

    @cached_property
    def _found(self) -> dict[str, tuple[dict[str, npt.NDArray[Any]], int]]:
        """By fingerprint: the arrays of its stage, and its row in them."""
        found = {}
        for path in sorted(self._folder.glob("*/predictions.npz")):
            arrays = files.read_npz(path.read_bytes())
            for index, fingerprint in enumerate(arrays["fingerprints_R"].tolist()):
                found[str(fingerprint)] = arrays, index
        return found
