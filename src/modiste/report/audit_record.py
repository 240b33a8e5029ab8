"""An audit as one value, and as JSON: every find by the id of its image."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modiste.counts import UNKNOWN, Unknown
from modiste.evaluate.audit import Audit, Comparison, by_kind
from modiste.evaluate.duplicates import KINDS, NEIGHBOUR, SAME, Counts
from modiste.evaluate.worth import Measured

SCHEMA = 1


@dataclass(frozen=True)
class AuditReport:
    """What the pages are written from.

    Attributes:
        name: Of the data source.
        audit: What was found.
        split_seed: Of the division into training and validation.
        data_digest: Of all images that the source lets be trained on.
        models: What the finds are worth; empty where no study was named.
        study: Where the models came from, as it was named.
        notes: What was left out of `models`, and why.
        comparison: With the test images, if that was asked for.
        reason: What it was asked for.
        openings: Of the test set so far, by the ledger; unknown if it does not add up. Empty
            without a comparison.
        words: The options that make this audit again, the comparison aside.
    """

    name: str
    audit: Audit
    split_seed: int
    data_digest: str
    models: Sequence[Measured] = ()
    study: str = ""
    notes: Sequence[str] = ()
    comparison: Comparison | None = None
    reason: str = ""
    openings: Sequence[Mapping[str, Any]] | Unknown = ()
    words: Sequence[str] = ()

    @property
    def command(self) -> str:
        """Makes the audit again, without the test images."""
        return shlex.join(["modiste", "audit", self.name, *self.words])

    @property
    def test_command(self) -> str:
        """Makes it again with them, which is one more entry in the ledger."""
        more = ["--with-test", "--reason", self.reason]
        return shlex.join(["modiste", "audit", self.name, *self.words, *more])


def record(report: AuditReport) -> dict[str, Any]:
    """What `audit.json` holds.

    Images are named by their ids: positions in the training part of the source. Probabilities are
    rounded to four digits, distances to five.
    """
    audit = report.audit
    ids_N, labels_N, is_val_N = audit.images.ids_N, audit.images.labels_N, audit.is_val_N
    return {
        "schema": SCHEMA,
        "data": report.name,
        "data_digest": report.data_digest,
        "split_seed": report.split_seed,
        "num_train": int((~is_val_N).sum()),
        "num_val": int(is_val_N.sum()),
        "classes": [
            {
                "name": name,
                "train": int(((labels_N == label) & ~is_val_N).sum()),
                "val": int(((labels_N == label) & is_val_N).sum()),
            }
            for label, name in enumerate(audit.images.class_names)
        ],
        "duplicates": _duplicates(audit),
        "suspects": {
            "train": int((audit.is_suspect_N & ~is_val_N).sum()),
            "val": int((audit.is_suspect_N & is_val_N).sum()),
            "accuracy_of_the_net": round(audit.accuracy, 4),
            "images": _suspects(audit),
        },
        "outliers": {
            "neighbour": NEIGHBOUR,
            "from": round(audit.fence, 5),
            "images": [
                {
                    "id": int(ids_N[position]),
                    "part": _part(audit, position),
                    "distance": round(float(audit.twins.isolation_N[position]), 5),
                }
                for position in audit.outliers_M
            ],
        },
        "models": [asdict(model) for model in report.models],
        "notes": list(report.notes),
        "test": None
        if report.comparison is None
        else {
            **asdict(report.comparison),
            "reason": report.reason,
            "openings": UNKNOWN if report.openings == UNKNOWN else list(report.openings),
        },
    }


def to_lines(value: Any, indent: str = "") -> str:
    """JSON with one line for each find: only what holds an object, or a list of lists, is spread.

    Example:
        >>> print(to_lines({"schema": 1, "pairs": [{"ids": [1, 2]}, {"ids": [3, 4]}]}))
        {
         "schema": 1,
         "pairs": [
          {"ids": [1, 2]},
          {"ids": [3, 4]}
         ]
        }
    """
    is_whole = not indent or _is_deep(value)
    if is_whole and isinstance(value, Mapping):
        names = (json.dumps(name, ensure_ascii=False) for name in value)
        items = zip(names, value.values(), strict=True)
        lines = [f"{indent} {name}: {to_lines(each, indent + ' ')}" for name, each in items]
        return "\n".join(["{", ",\n".join(lines), f"{indent}}}"])
    if is_whole and isinstance(value, list | tuple):
        lines = [f"{indent} {to_lines(each, indent + ' ')}" for each in value]
        return "\n".join(["[", ",\n".join(lines), f"{indent}]"])
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _is_deep(value: Any) -> bool:
    """Whether something in it is an object, or a list that holds more than numbers and words."""
    inner: Iterable[Any] = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    return any(
        isinstance(each, Mapping) or (isinstance(each, list | tuple) and _is_nested(each))
        for each in inner
    )


def _is_nested(value: Sequence[Any]) -> bool:
    return any(isinstance(each, Mapping | list | tuple) for each in value)


def _duplicates(audit: Audit) -> dict[str, Any]:
    train_N, val_N = ~audit.is_val_N, audit.is_val_N
    same_N, kinds_N = audit.same_label_N(train_N), audit.train_twins_N
    pairs: dict[str, Counts] = {
        "train": audit.twins.between(train_N, train_N),
        "val": audit.twins.between(val_N, val_N),
        "across": audit.twins.between(train_N, val_N),
    }
    return {
        "closeness": audit.closeness,
        "neighbour": NEIGHBOUR,
        "same": round(SAME, 5),
        "num_pairs": pairs,
        "val_with_duplicate_in_train": {
            "count": int(audit.leaks_N.sum()),
            "same_label": by_kind(kinds_N[audit.leaks_N & same_N]),
            "other_label": by_kind(kinds_N[audit.leaks_N & ~same_N]),
            "ids": audit.images.ids_N[audit.leaks_N].tolist(),
        },
        "pairs": [_pair(audit, index) for index in range(len(audit.twins))],
    }


def _pair(audit: Audit, index: int) -> dict[str, Any]:
    twins = audit.twins
    ends = (int(twins.first_P[index]), int(twins.second_P[index]))
    return {
        "kind": KINDS[twins.kinds_P[index]],
        "distance": round(float(twins.distances_P[index]), 5),
        "ids": [int(audit.images.ids_N[position]) for position in ends],
        "parts": [_part(audit, position) for position in ends],
        "labels": [_label(audit, audit.images.labels_N[position]) for position in ends],
    }


def _suspects(audit: Audit) -> list[dict[str, Any]]:
    found = audit.suspects
    answer = []
    for position, taken in zip(found.positions_M, found.suggested_M, strict=True):
        given = audit.images.labels_N[position]
        chances_K = audit.probabilities_NK[position]
        answer.append(
            {
                "id": int(audit.images.ids_N[position]),
                "part": _part(audit, position),
                "label": _label(audit, given),
                "taken_for": _label(audit, taken),
                "probabilities": [
                    round(float(chances_K[given]), 4),
                    round(float(chances_K[taken]), 4),
                ],
            }
        )
    return answer


def _part(audit: Audit, position: int | np.int64) -> str:
    return "val" if audit.is_val_N[position] else "train"


def _label(audit: Audit, label: np.int64) -> str:
    return audit.images.class_names[label]
