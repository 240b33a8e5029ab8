"""Parameter dictionaries of Talos, read as a space of ours.

In Talos a list is a list, ``(low, high, steps)`` are so many values from `low` on with the upper
end left out, whole numbers if both ends are, and a string or a number stands still.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modiste.errors import SpecError

# What YAML makes of a tuple that stands on a line of its own: text.
_TUPLE = re.compile(r"\(\s*([^,()]+),\s*([^,()]+),\s*([^,()]+?)\s*,?\s*\)")
_RANGE_LENGTH = 3


def from_talos(
    params: Mapping[Any, Any], rename: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What `search.tune` is to hold, from a dictionary that was written for `talos.Scan`.

    Args:
        params: Lists, tuples ``(low, high, steps)``, strings and numbers, by Talos's names.
        rename: Our key for each of its names; one that ends in ``[]`` takes each value as a list
            of one, such as ``first_neuron: model.params.hidden[]``.

    Raises:
        SpecError: If a name has no key of ours, or a value is none of these.

    Example:
        >>> from_talos({"lr": (0.5, 1.5, 4)}, {"lr": "train.optimizer.learning_rate"})
        {'train.optimizer.learning_rate': [0.5, 0.75, 1.0, 1.25]}
    """
    rename = dict(rename or {})
    if stray := sorted(set(rename) - set(params)):
        raise SpecError(f"rename: talos has no {', '.join(stray)}. It has: {', '.join(params)}.")
    space: dict[str, Any] = {}
    for name, value in params.items():
        if not isinstance(name, str) or value is None:
            raise SpecError(
                f"talos: {name!r} has no values. Between braces a tuple needs quotes, as in "
                '`{lr: "(0.5, 1.5, 4)"}`; on a line of its own it needs none.'
            )
        key = rename.get(name, name)
        if "." not in key:
            raise SpecError(
                f"talos.{name}: which of our keys is that? Say so, as in "
                f"`rename: {{{name}: train.batch_size}}`. `modiste describe FAMILY` lists keys."
            )
        values = _values(name, value)
        if key.endswith("[]"):
            key, values = key.removesuffix("[]"), [[each] for each in values]
        space[key] = values
    return space


def _values(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) and (match := _TUPLE.fullmatch(value.strip())):
        value = tuple(_number(name, text) for text in match.groups())
    if isinstance(value, tuple):
        return _range(name, value)
    if isinstance(value, list):
        if not value:
            raise SpecError(f"talos.{name}: an empty list.")
        return list(value)
    if isinstance(value, str | int | float):
        return [value]
    raise SpecError(
        f"talos.{name}: expected a list, (low, high, steps), a string or a number; got {value!r}."
    )


def _range(name: str, value: tuple[Any, ...]) -> list[Any]:
    numbers = [n for n in value if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(numbers) != _RANGE_LENGTH or len(value) != _RANGE_LENGTH:
        raise SpecError(f"talos.{name}: expected (low, high, steps), three numbers; got {value!r}.")
    low, high, steps = numbers
    if not (low < high and float(steps).is_integer() and steps >= 1):
        raise SpecError(f"talos.{name}: {value!r}: low is below high, steps is 1 or more.")
    listed = [low + i * (high - low) / steps for i in range(int(steps))]
    if isinstance(low, int) and isinstance(high, int):
        return sorted({int(number) for number in listed})
    # 0.1 + 2 * 0.1 is 0.30000000000000004; nobody means that.
    return [float(f"{number:.12g}") for number in listed]


def _number(name: str, text: str) -> float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise SpecError(f"talos.{name}: {text!r} is no number.")
