"""Talos: the CSV file of a Scan, of version 1 or 2; one line for each round.

Version 1 writes ``round_epochs``, then the last epoch of every column of Keras's history, then the
hyperparameters. Version 2 has more columns about the round, and a `metadata.json` beside the file
that says which are hyperparameters. A data frame that was saved is read as well.
"""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modiste.errors import SpecError
from modiste.evaluate.study_finding import Space
from modiste.search.imported import Imported, ImportedRow, ScoredOn, read_json_object
from modiste.search.reader import (
    READERS,
    Direction,
    Reader,
    Stated,
    choose_metric,
    direction_of,
    finite,
    plain,
)

LIMIT_BYTES = 64 << 20
_ROUND = {"start", "end", "duration", "execution_time", "round_epochs", "", "Unnamed: 0"}
_FIGURES = {"loss", "accuracy", "acc"}
_RATES = {"lr", "learning_rate"}
# What version 2 marks a value with that JSON has no form for, such as a class or a range.
_MARK = "__talos_type__"
# Of a range; nobody searches more, and a damaged file may say anything.
_MOST_VALUES = 100_000
# Talos averages these over slices of the data that one trained model answers.
_REFOLDED = re.compile(r"eval_(f1score|mae)_(mean|std)")


@dataclass(frozen=True)
class _Columns:
    """Which places of a line hold what, by name."""

    settings: Mapping[str, int]
    figures: Mapping[str, int]
    others: Mapping[str, int]


def _can_read(path: Path) -> bool:
    file = _file(path)
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.readline(1 << 16)
    return b"round_epochs" in head


def _file(path: Path) -> Path:
    return path / "results.csv" if path.is_dir() else path


def _read(path: Path, asked: Stated) -> Imported:
    file = _file(path)
    head, lines = _table(file)
    metadata = _metadata(file)
    columns = _columns(head, metadata)
    metric = choose_metric(
        asked.metric or _objective(metadata, columns.figures), columns.figures, str(file)
    )
    part: ScoredOn = "validation" if metric.startswith("val_") else "training"
    rows = tuple(
        _row(number, line, columns, metric, part, seed=_seed(metadata))
        for number, line in enumerate(lines, start=1)
    )
    refolded = tuple(name for name in columns.figures if _REFOLDED.fullmatch(name))
    return Imported(
        tool="Talos 2" if metadata else "Talos",
        source=path.name,
        figure=metric,
        direction=asked.direction or _direction(metadata, metric),
        epoch=None if metric in refolded else "last",
        scored_on=None if metric in refolded else part,
        rows=rows,
        space=_space(metadata),
        refolded=refolded,
        notes=_notes(metadata),
    )


def _table(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        if file.stat().st_size > LIMIT_BYTES:
            raise SpecError(f"{file}: larger than {LIMIT_BYTES:,} bytes.")
        text = file.read_text(encoding="utf-8-sig")
        table = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{file}: cannot be read as CSV ({error}).") from None
    head, *lines = table
    if len(head) == 1 and any(mark in head[0] for mark in ";\t"):
        raise SpecError(
            f"{file}: its columns are parted by {'semicolons' if ';' in head[0] else 'tabs'}. "
            "Talos writes commas: save it as CSV with commas."
        )
    for number, line in enumerate(lines, start=2):
        if len(line) != len(head):
            raise SpecError(
                f"{file}:{number}: {len(line)} values under {len(head)} columns. Talos 1 writes a "
                "value that holds a comma, such as a list, without quotes: put them in."
            )
    if not lines:
        raise SpecError(f"{file}: holds no round.")
    return head, lines


def _metadata(file: Path) -> dict[str, Any]:
    """What version 2 writes beside its results; empty of version 1."""
    beside = file.with_name("metadata.json")
    if file.name != "results.csv" or not beside.is_file():
        return {}
    return read_json_object(beside)


def _columns(head: Sequence[str], metadata: Mapping[str, Any]) -> _Columns:
    named = metadata.get("parameter_columns")
    settings: dict[str, int] = {}
    figures: dict[str, int] = {}
    others: dict[str, int] = {}
    for place, name in enumerate(head):
        if name in _ROUND or name.startswith("_"):
            others[name] = place
        elif isinstance(named, Mapping) and named:
            parameter = next((key for key, column in named.items() if column == name), None)
            if parameter is None:
                figures[name] = place
            else:
                settings[parameter] = place
        elif _is_figure(place, head):
            figures[name] = place
        else:
            settings[name] = place
    return _Columns(settings, figures, others)


def _is_figure(place: int, head: Sequence[str]) -> bool:
    """Whether a column is of Keras's history: the name or its ``val_`` says so.

    The learning rate of the last epoch is one, too, where it was scheduled: it then stands before
    the hyperparameters, and one of them is the rate that was set.
    """
    name = head[place]
    if name in _RATES:
        return any(later in _RATES for later in head[place + 1 :])
    return (
        name in _FIGURES
        or name.startswith(("val_", "eval_"))
        or f"val_{name}" in head
        or _REFOLDED.fullmatch(name) is not None
    )


def _row(
    number: int,
    line: Sequence[str],
    columns: _Columns,
    metric: str,
    part: ScoredOn,
    *,
    seed: int | None,
) -> ImportedRow:
    figures = {
        name: value
        for name, place in columns.figures.items()
        if (value := finite(_value(line[place]))) is not None
    }
    epochs = finite(_value(line[columns.others["round_epochs"]]))
    seconds = columns.others.get("duration")
    return ImportedRow(
        label=f"round {number}",
        settings={name: _value(line[place]) for name, place in columns.settings.items()},
        # An empty cell is a figure that was not asked for, such as that of `evaluate_models`.
        status="finished" if metric in figures or not line[columns.figures[metric]] else "failed",
        figure=figures.get(metric),
        figures=figures,
        epochs=None if epochs is None else int(epochs),
        seconds=None if seconds is None else finite(_value(line[seconds])),
        seeds=1,
        evidence=_evidence(metric, part, seed),
    )


def _evidence(metric: str, part: ScoredOn, seed: int | None) -> str:
    if _REFOLDED.fullmatch(metric):
        return "mean over slices of the data that one trained model answered"
    known = "its seed is not recorded" if seed is None else f"seed {seed} plus the rounds before it"
    images = (
        "the images that training was told to validate on"
        if part == "validation"
        else "training images, as seen in training"
    )
    return f"last epoch of one training ({known}), on {images}"


def _value(text: str) -> Any:
    """What a cell holds: a number, a truth value, nothing, or words.

    Example:
        >>> [_value(t) for t in ("128", "1e-3", "True", "None", "<class 'keras.optimizers.Adam'>")]
        [128, 0.001, True, None, 'Adam']
        >>> _value("128_64"), _value("\N{ARABIC-INDIC DIGIT THREE}")
        ('128_64', '٣')
        >>> _value("[512, 256]"), _value("(0.9, 'same')"), _value("[512")
        ([512, 256], [0.9, 'same'], '[512')
    """
    words = {"True": True, "False": False, "None": None, "": None}
    if text in words:
        return words[text]
    # Python reads more as numbers: `128_64`, and the digits of other scripts.
    for kind in (int, float) if text.isascii() and "_" not in text else ():
        try:
            return plain(kind(text))
        except ValueError:
            continue
    if found := re.fullmatch(r"<(?:class|function) '?(?:[\w.]*\.)?(\w+)'?(?: at 0x\w+)?>", text):
        return found.group(1)
    return _listed(text) if text[0] in "[(" else text


def _listed(text: str) -> Any:
    """The list or tuple that a cell holds, as a list; the text, if it holds none."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    is_flat = isinstance(found, list | tuple) and all(
        isinstance(item, str | int | float | None) for item in found
    )
    return [plain(item) for item in found] if is_flat else text


def _objective(metadata: Mapping[str, Any], figures: Mapping[str, int]) -> str | None:
    """The figure that a scan was to raise or lower, if it was measured.

    A scan that nobody told has the objective ``val_acc``, which Keras calls ``val_accuracy``.
    """
    objective = metadata.get("objective")
    name = objective.get("metric") if isinstance(objective, Mapping) else objective
    return str(name) if name in figures else None


def _direction(metadata: Mapping[str, Any], metric: str) -> Direction:
    objective = metadata.get("objective")
    if isinstance(objective, Mapping) and objective.get("metric") == metric:
        return "min" if objective.get("direction") == "min" else "max"
    return direction_of(metric)


def _seed(metadata: Mapping[str, Any]) -> int | None:
    seed = metadata.get("determinism", {}).get("seed")
    return seed if isinstance(seed, int) else None


def _space(metadata: Mapping[str, Any]) -> dict[str, Space]:
    params = metadata.get("identity", {}).get("params", {})
    found = {str(name): _allowed(given) for name, given in params.items()}
    return {name: Space(values=values) for name, values in found.items() if values}


def _allowed(given: Any) -> tuple[Any, ...]:
    """What a setting could be, as its column says it; nothing, if that cannot be told."""
    if _kind(given) == "tuple":
        return _ranged(given.get("items"))
    values = [_unmarked(value) for value in given] if isinstance(given, list) else []
    return () if any(isinstance(value, Mapping) for value in values) else tuple(values)


def _ranged(ends: Any) -> tuple[Any, ...]:
    """The values of a range ``(start, end, steps)``, whose end is left out, bit by bit."""
    numbers = [end for end in ends if finite(end) is not None] if isinstance(ends, list) else []
    if len(numbers) != 3 or not 0 < numbers[2] <= _MOST_VALUES:
        return ()
    start, end, steps = numbers
    if start == end:
        return ()
    values = np.arange(start, end, (end - start) / steps, dtype=np.float64)
    if isinstance(start, int) and isinstance(end, int):
        return tuple(np.unique(values.astype(np.int64)).tolist())
    return tuple(values.tolist())


def _kind(value: Any) -> Any:
    return value.get(_MARK) if isinstance(value, Mapping) else None


def _unmarked(value: Any) -> Any:
    """A value of the record as its column says it; as it is, if that cannot be told.

    Example:
        >>> adam = {"__talos_type__": "callable", "module": "keras", "qualname": "optimizers.Adam"}
        >>> [_unmarked(value) for value in (adam, [8, 4], 0.5)]
        ['Adam', [8, 4], 0.5]
    """
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    kind = _kind(value)
    if kind in ("callable", "nonportable_callable"):
        return str(value.get("qualname")).rpartition(".")[2]
    if kind == "tuple":
        return _unmarked(value.get("items"))
    if kind in ("float", "numpy_scalar", "path"):
        return _unmarked(value.get("value"))
    return value


def _notes(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    shape = metadata.get("identity", {}).get("data", {}).get("y_val", {}).get("shape")
    if isinstance(shape, list) and shape and isinstance(shape[0], int):
        return (f"Its record says that {shape[0]:,} images were validated on.",)
    return ()


READERS.add(
    "talos",
    Reader("the CSV file of a Talos Scan (it has a column round_epochs)", _can_read, _read),
)
