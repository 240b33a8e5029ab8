"""What the seeds of a model said: of test images where they were shown them, else of validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from modiste.errors import StoreError
from modiste.evaluate.metrics import FloatsNK
from modiste.report.context import Context
from modiste.report.facts import RowFacts
from modiste.report.looks import Look
from modiste.runs import files

Part = Literal["test", "validation"]
IntsN = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Said:
    """The answers of a row's seeds to the same images, at the epoch that ranks.

    Attributes:
        part: Whose images.
        look: That showed them test images; none of validation images.
        labels_N, image_ids_N: The right classes, and which images.
        classes: What each run took the images for, by its fingerprint, in the order of the seeds;
            without those that answered other images than the first.
        logits: Of those whose logits were kept.
    """

    part: Part
    look: Look | None
    labels_N: IntsN
    image_ids_N: IntsN
    classes: Mapping[str, IntsN]
    logits: Mapping[str, FloatsNK]


def shown_part(context: Context, row: RowFacts) -> Part:
    """``test`` if the first run of the row was shown test images and its answers are there."""
    return "validation" if _look(context, row) is None else "test"


def said(context: Context, row: RowFacts, part: Part) -> Said | None:
    """The answers of a row with finished runs to images of that part; none if there are none.

    Raises:
        StoreError: If what was stored cannot be read.
    """
    if part == "validation":
        return _of_validation(context, row)
    look = _look(context, row)
    return None if look is None else _of_test(context, row, look)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """An `.npz` file of ours.

    Raises:
        StoreError: If it cannot be read; names it.
    """
    try:
        return files.read_npz(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}).") from None


def _look(context: Context, row: RowFacts) -> Look | None:
    """The first one that showed test images to the row's first run."""
    name = row.runs[0].fingerprint
    return next((look for look in context.looks if look.file("predictions", name).is_file()), None)


def _of_test(context: Context, row: RowFacts, look: Look) -> Said:
    key = f"logits_{context.epoch}_NK"
    found = {}
    for run in row.runs:
        path = look.file("predictions", run.fingerprint)
        if path.is_file():
            found[run.fingerprint] = read_arrays(path)
    first = found[row.runs[0].fingerprint]
    logits = {name: arrays[key] for name, arrays in found.items()}
    classes = {name: values.argmax(axis=1) for name, values in logits.items()}
    return Said("test", look, first["labels"], first["image_ids"], classes, logits)


def _of_validation(context: Context, row: RowFacts) -> Said | None:
    runs = [run for run in row.runs if context.study.has_answers(run)]
    if not runs:
        return None
    found = {run.fingerprint: context.study.answers(run, context.epoch) for run in runs}
    first = found[runs[0].fingerprint]
    alike = [
        run for run in runs if np.array_equal(found[run.fingerprint].image_ids_N, first.image_ids_N)
    ]
    key = f"logits_{context.epoch}_NK"
    return Said(
        "validation",
        None,
        first.labels_N,
        first.image_ids_N,
        {run.fingerprint: found[run.fingerprint].classes_N for run in alike},
        {run.fingerprint: run.predictions[key] for run in alike if run.has_predictions},
    )
