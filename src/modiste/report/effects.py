"""What each choice is worth: the points of a grid grouped by one key at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.evaluate.contrast import Contrast, contrast
from modiste.report.context import Context
from modiste.report.cuts import flatten, show
from modiste.report.facts import RowFacts, StageFacts
from modiste.search.standing import is_right
from modiste.spec.settings import CHOICES

HIDDEN = "model.params.hidden"


@dataclass(frozen=True)
class Effect:
    """Points that share one value of a key, against all points that have another.

    Attributes:
        key: Such as ``train.batch_size``, or the number of hidden layers.
        value: As it is shown.
        num_points: That have it.
        contrast: Their mean accuracy, that of the others, and the difference.
    """

    key: str
    value: str
    num_points: int
    contrast: Contrast


def effects(context: Context, stage: StageFacts) -> list[Effect]:
    """Every value of every key of a full grid; nothing of any other stage.

    Only where each value of a key meets all values of the others is its mean its own; half a grid
    may be its better half; and with one key the stage's own table says it all.
    """
    rows = [row for row in stage.rows if row.row.is_chosen]
    if not rows or not all(row.row.is_done and row.runs and not row.broken for row in rows):
        return []
    given = [_choices(row.row.settings) for row in rows]
    keys = [key for key in given[0] if len({show(values.get(key)) for values in given}) > 1]
    by_key = {key: [show(values.get(key)) for values in given] for key in keys}
    num_combinations = math.prod(len(set(values)) for values in by_key.values())
    num_different = len(set(zip(*by_key.values(), strict=True)))
    if len(keys) < 2 or not len(rows) == num_different == num_combinations:
        return []
    if HIDDEN in by_key:
        depths = [str(len(values[HIDDEN])) for values in given]
        by_key |= {"number of hidden layers": depths} if len(set(depths)) > 1 else {}
    right_PN = _right(context, rows)
    answer = []
    for key, values in by_key.items():
        for value in dict.fromkeys(values):
            has = np.array([other == value for other in values])
            answer.append(_effect(context, stage, rows, key, value, has, right_PN))
    return answer


def _choices(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings one key at a time; a part that is chosen by name stays whole."""
    answer: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and not any(word in value for word in CHOICES):
            answer |= flatten(value, key)
        else:
            answer[key] = value
    return answer


def _right(context: Context, rows: Sequence[RowFacts]) -> npt.NDArray[np.float64] | None:
    """Share of its seeds that got an image right, for each point and image; none if unpaired."""
    shares, ids = [], []
    for row in rows:
        found = [context.study.answers(run, context.epoch) for run in row.runs]
        shares.append(is_right(found).mean(axis=0))
        ids += [answers.image_ids_N for answers in found]
    if not all(np.array_equal(ids[0], other) for other in ids[1:]):
        return None
    return np.stack(shares)


def _effect(
    context: Context,
    stage: StageFacts,
    rows: Sequence[RowFacts],
    key: str,
    value: str,
    has_P: npt.NDArray[np.bool_],
    right_PN: npt.NDArray[np.float64] | None,
) -> Effect:
    own, others = (
        [row.values(context.epoch, "val", "accuracy") for row, has in zip(rows, has_P, strict=True)
         if has == wanted]
        for wanted in (True, False)
    )  # fmt: skip
    images_N = None
    if right_PN is not None:
        images_N = right_PN[has_P].mean(axis=0) - right_PN[~has_P].mean(axis=0)
    found = contrast(own, others, stage.seeds, images_N)
    return Effect(key, value, int(has_P.sum()), found)
