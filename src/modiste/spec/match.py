"""Whether a run is one of those that some settings speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def holds(values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether nested values agree with settings under dotted keys.

    Args:
        values: Such as ``RunSpec.to_dict()``.
        settings: Full keys; a value that is a mapping, or in a list of them, needs
            to agree in the keys it names.

    Example:
        >>> run = {"train": {"epochs": 5, "optimizer": {"name": "adam", "epsilon": 1e-7}}}
        >>> holds(run, {"train.epochs": 5, "train.optimizer": {"name": "adam"}})
        True
    """
    return all(agrees(_value(values, key), wanted) for key, wanted in settings.items())


def has(values: Mapping[str, Any], dotted: str) -> bool:
    """Whether nested values hold that key, none being a value, too."""
    node: Any = values
    for key in dotted.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return True


def _value(values: Mapping[str, Any], dotted: str) -> Any:
    node: Any = values
    for key in dotted.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node


def agrees(value: Any, wanted: Any) -> bool:
    """Whether one value agrees with a wanted one; a mapping needs to in the keys it is asked for.

    Example:
        >>> agrees({"name": "sgd", "momentum": 0.9}, {"name": "sgd"}), agrees([768], [768, 512])
        (True, False)
    """
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and agrees(value[key], inner) for key, inner in wanted.items()
        )
    if isinstance(wanted, list | tuple) and isinstance(value, list | tuple):
        return len(value) == len(wanted) and all(map(agrees, value, wanted))
    return bool(value == wanted)
