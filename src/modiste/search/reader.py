"""Reading studies of other tools: one file in `modiste.search.readers` adds one tool."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modiste.errors import SpecError, unknown_name
from modiste.search.imported import Imported
from modiste.spec.registry import Registry

Direction = Literal["max", "min"]

_LESS_IS_BETTER = re.compile(r"loss|error|mae|mse|crossentropy", re.IGNORECASE)
_ACCURACY = re.compile(r"acc", re.IGNORECASE)


@dataclass(frozen=True)
class Stated:
    """What a person says beside the file.

    Attributes:
        study: Of a file that holds several.
        metric: The figure that ranks; the tool's own choice if not given.
        direction: Which figure is better; as the tool or the metric's name says if not given.
    """

    study: str | None = None
    metric: str | None = None
    direction: Direction | None = None


@dataclass(frozen=True)
class Reader:
    """How studies of one tool are read.

    Attributes:
        expects: What it reads, in words.
        can_read: Whether a path looks like one.
        read: Reads it.
    """

    expects: str
    can_read: Callable[[Path], bool]
    read: Callable[[Path, Stated], Imported]


READERS: Registry[Reader] = Registry("tool to import from", "modiste.search.readers")


def read_foreign(path: Path, asked: Stated | None = None) -> Imported:
    """Read whatever study of another tool lies there.

    Raises:
        SpecError: If no reader knows it, or something in it makes no sense.
    """
    if not path.exists():
        raise SpecError(f"{path}: there is no such file or folder.")
    for name in READERS.names():
        reader = READERS.get(name)
        if reader.can_read(path):
            return reader.read(path, asked or Stated())
    expected = "; ".join(READERS.get(name).expects for name in READERS.names())
    raise SpecError(f"{path}: no study of a tool that is known. Expected one of: {expected}.")


def direction_of(metric: str) -> Direction:
    """Which is better, as the name of a metric says.

    Example:
        >>> direction_of("val_loss"), direction_of("val_accuracy")
        ('min', 'max')
    """
    return "min" if _LESS_IS_BETTER.search(metric) else "max"


def is_accuracy(metric: str) -> bool:
    """Whether the name of a metric says that it is a share of right answers.

    Example:
        >>> is_accuracy("val_sparse_categorical_accuracy"), is_accuracy("val_auc")
        (True, False)
    """
    return bool(_ACCURACY.search(metric))


def choose_metric(asked: str | None, known: Iterable[str], where: str) -> str:
    """The figure that ranks: the one asked for, or the validation accuracy, or the only one.

    Raises:
        SpecError: If there is none of that name, or nothing tells which one is meant.
    """
    names = list(dict.fromkeys(known))
    if asked is not None:
        if asked not in names:
            raise SpecError(f"--metric {asked}: {where}: {unknown_name('figure', asked, names)}")
        return asked
    for choice in (*_AMONG_MANY, *([names[0]] if len(names) == 1 else [])):
        if choice in names:
            return choice
    raise SpecError(f"{where}: which figure ranks? Name one with --metric: {', '.join(names)}.")


_AMONG_MANY = ("val_accuracy", "val_acc")


def finite(value: Any) -> float | None:
    """A number, if it is one and finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def plain(value: Any) -> Any:
    """A setting as JSON can hold it: what is infinite or no number becomes a word."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
