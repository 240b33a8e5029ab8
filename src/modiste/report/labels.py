"""Short names of points: what tells the rows of one stage apart, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modiste.report.cuts import show
from modiste.search.row import Row
from modiste.spec.settings import CHOICES, Settings, label


def short_labels(rows: Sequence[Row]) -> list[str]:
    """A name for each row; one that the study file gives is kept as it is.

    Parts chosen by name, such as optimizers, drop what is the same in all parts of that name:
    ``sgd learning_rate=0.01 momentum=0.9 nesterov=True`` becomes ``sgd nesterov`` where the rate
    and the momentum of all sgd rows are the same.
    """
    names = [_short(row.settings, rows) if _is_made(row) else row.label for row in rows]
    # Whatever would no longer be told apart keeps its long name.
    return [
        name if names.count(name) == 1 else row.label for name, row in zip(names, rows, strict=True)
    ]


def _is_made(row: Row) -> bool:
    """Whether the label was made from the settings, not written by a person."""
    return bool(row.settings) and row.label == label(row.settings)


def _short(settings: Settings, rows: Sequence[Row]) -> str:
    words = []
    for key, value in settings.items():
        last = key.rpartition(".")[2]
        others = [row.settings[key] for row in rows if key in row.settings]
        if isinstance(value, Mapping):
            words.append(_part(value, [other for other in others if isinstance(other, Mapping)]))
        else:
            words.append(_whole(f"{last} {show(value)}"))
    return ", ".join(words)


def _whole(word: str) -> str:
    """A line may break between two settings, not inside one."""
    return word.replace(" ", "\u00a0")


def _part(value: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    choice = next((word for word in CHOICES if word in value), None)
    like = [other for other in others if choice is None or other.get(choice) == value[choice]]
    words = [] if choice is None else [str(value[choice])]
    for key, inner in value.items():
        if key == choice or (all(other.get(key) == inner for other in like) and choice):
            continue
        if inner is True:
            words.append(key)
        elif inner is not False:
            words.append(_whole(f"{key} {show(inner)}"))
    return " ".join(words)
