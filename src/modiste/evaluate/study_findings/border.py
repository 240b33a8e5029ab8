"""M009: the best value lies where the search was not allowed to go further."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from modiste.evaluate.study_finding import STUDY_FINDINGS, Space, StudyCheck, StudyFacts

# Of a range, on its own scale. A draw that falls there by chance alone does so in one of ten.
_NEAR = 0.05
# Of two values, one is always the larger.
_AT_LEAST = 3
# Last words of keys that are numbers without being hyperparameters: no side of them is better.
_NO_CHOICE = ("seed", "split_seed", "fold", "threads")


def _look(study: StudyFacts) -> str:
    if not study.entries:
        return ""
    rows = [_flat(entry.settings) for entry in study.entries]
    found = []
    for key, value in rows[0].items():
        number = _number(value)
        if number is None or key.rpartition(".")[2] in _NO_CHOICE:
            continue
        space = study.space.get(key, Space())
        if space.low is not None and space.high is not None:
            found.append(_in_range(key, number, space.low, space.high, log=space.log))
        else:
            tried = space.values or [row[key] for row in rows if key in row]
            found.append(_among(key, number, {n for n in map(_number, tried) if n is not None}))
    return "; ".join(text for text in found if text)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of parts beside the others: those of one name are compared with one another only.

    Example:
        >>> _flat({"batch": 8, "train.optimizer": {"name": "sgd", "learning_rate": 0.1}})
        {'batch': 8, 'train.optimizer sgd learning_rate': 0.1}
    """
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            name = value.get("name", value.get("family", ""))
            flat |= {" ".join(filter(None, [key, name, k])): v for k, v in value.items()}
        else:
            flat[key] = value
    return {key: value for key, value in flat.items() if not key.endswith((" name", " family"))}


def _in_range(key: str, value: float, low: float, high: float, *, log: bool) -> str:
    if not low < high or not low <= value <= high:
        return ""
    ends = [math.log(n) for n in (low, value, high)] if log and low > 0 else [low, value, high]
    share = (ends[1] - ends[0]) / (ends[2] - ends[0])
    if share >= 1 - _NEAR:
        end = "upper"
    elif share <= _NEAR and low != 0:
        end = "lower"
    else:
        return ""
    scale = ", on a logarithmic scale" if log else ""
    return f"{key} {value:g} lies at the {end} end of {low:g} to {high:g}{scale}"


def _among(key: str, value: float, tried: set[float]) -> str:
    if len(tried) < _AT_LEAST or value not in (min(tried), max(tried)) or value == min(tried) == 0:
        return ""
    end = "largest" if value == max(tried) else "least"
    return f"{key} {value:g} is the {end} of {len(tried)} values"


def _number(value: Any) -> float | None:
    """A number, or that of a list of one, such as ``hidden: [768]``; not a truth value."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


STUDY_FINDINGS.add(
    "M009",
    StudyCheck(
        "M009",
        "best value at the border",
        "A number among the settings of the first row is the least or the largest of three or more "
        "values tried, or lies in the outermost twentieth of the range that was searched, on its "
        "own scale. A lower end of 0 does not count: most numbers of a training stop there.",
        "The best value may lie beyond what was searched, so this one need not be near it.",
        "Search further on that side, unless the value can go no further, or the rows beside it "
        "are as good.",
        _look,
    ),
)
