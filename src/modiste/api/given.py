"""What a function of the API is given: one or several, a folder or what lies in one, workers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modiste.cores import num_cores
from modiste.data.load import TrainingData
from modiste.errors import SpecError
from modiste.spec.files import parse_override, plain
from modiste.spec.study import Override


def each_name(given: str | Iterable[str], what: str) -> list[str]:
    """One word alone is one of them, and not its letters.

    Args:
        given: One, or several.
        what: The argument's name, for the error.

    Raises:
        SpecError: If it is neither.

    Example:
        >>> each_name("grid", "stages"), each_name(("grid", "final"), "stages")
        (['grid'], ['grid', 'final'])
    """
    found = [given] if isinstance(given, str) else _items(given)
    if found is None or not all(isinstance(item, str) for item in found):
        raise SpecError(f"{what}: expected one name or several, got {given!r}.")
    return found


def each_folder(
    given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], what: str
) -> list[str | os.PathLike[str]]:
    """The same of paths, and of what lies at one, such as a `Run` or a `Study`.

    Raises:
        SpecError: If it is neither.
    """
    found = [given] if isinstance(given, str | os.PathLike) else _items(given)
    if found is None or not all(isinstance(item, str | os.PathLike) for item in found):
        raise SpecError(f"{what}: expected one path or several, got {given!r}.")
    return found


def each_override(
    given: str | Mapping[str, Any] | Iterable[str], what: str, option: str
) -> list[Override]:
    """What is set over a study: ``[STAGE:]KEY=VALUE``, one or several, or keys and values.

    Args:
        given: As words, or as ``{"train.epochs": 5}``.
        what: The argument's name, for errors.
        option: That of the command line, which begins errors of one of them.

    Raises:
        SpecError: If one makes no sense.

    Example:
        >>> each_override({"grid:train.epochs": 5}, "settings", "--set")
        [Override(stage='grid', key='train.epochs', value=5)]
    """
    if not isinstance(given, Mapping):
        return [parse_override(text, option) for text in each_name(given, what)]
    found = []
    for key, value in given.items():
        if not isinstance(key, str) or "=" in key:
            raise SpecError(f"{what}: {key!r}: expected a key, such as train.epochs.")
        try:  # as it will stand in the study folder
            stored = json.loads(json.dumps(plain(value)))
        except (TypeError, ValueError):
            raise SpecError(
                f"{what}: {key}: expected what can stand in a study file, got {value!r}."
            ) from None
        found.append(replace(parse_override(f"{key}=", option), value=stored))
    return found


def need_workers(given: object, *words: str) -> int | str | None:
    """A number of workers, or one of the words that may stand for it.

    Raises:
        SpecError: If it is neither; says what would do.
    """
    if given is None or (isinstance(given, str) and given in words):
        return given
    if isinstance(given, int | np.integer) and not isinstance(given, bool) and given >= 1:
        return int(given)
    *first, last = ("a number from 1 up", *words)
    raise SpecError(f"num_workers={given!r}: expected {', '.join(first)} or {last}.")


def workers_to_measure(given: object) -> tuple[int, bool]:
    """For how many workers a study is planned, and whether that is this process itself.

    Raises:
        SpecError: If it is neither a number nor ``here``.
    """
    found = need_workers(given, "here")
    if isinstance(found, int):
        return found, False
    return (num_cores(), False) if found is None else (1, True)


def need_source(given: object) -> str | Path:
    """A data source by its name or its path.

    Raises:
        SpecError: If it is neither; says what would do.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, os.PathLike):
        return Path(given)
    raise SpecError(
        f"expected the name of a data source or the path of images, got {_kind(given)}. Images in "
        "memory become data with modiste.from_arrays(images, labels)."
    )


def need_data(given: object) -> TrainingData:
    """Data as `load` and `from_arrays` give them.

    Raises:
        SpecError: If it is anything else; says how to come by them.
    """
    if isinstance(given, TrainingData):
        return given
    remedy = "modiste.from_arrays(images, labels)"
    if isinstance(given, str | os.PathLike):
        remedy = f"modiste.load({os.fspath(given)!r})"
    raise SpecError(
        f"data: expected images that are divided, got {_kind(given)}. {remedy} gives them."
    )


def _items(given: Any) -> list[Any] | None:
    is_several = isinstance(given, Iterable) and not isinstance(given, Mapping | bytes)
    return list(given) if is_several else None


def _kind(given: object) -> str:
    """A word as it is; of anything else, which may be large, what it is."""
    return repr(given) if isinstance(given, str | os.PathLike | None) else type(given).__name__
