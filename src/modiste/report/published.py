"""Which published row belongs to which run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modiste.spec.published import PublishedRow, PublishedSpec
from modiste.spec.run import RunSpec


def read(values: Mapping[str, Any]) -> PublishedSpec:
    """The published figures that a study folder carries; an empty set if it carries none.

    Raises:
        SpecError: If they make no sense; names the key.
    """
    return PublishedSpec.parse(values, "published")


def find(published: PublishedSpec, stage: str, spec: RunSpec) -> PublishedRow | None:
    """The row published for this run of that stage, if there is one."""
    if stage not in published.stages:
        return None
    values = spec.to_dict()
    for row in published.stages[stage].rows:
        if all(_holds(_value(values, key), wanted) for key, wanted in row.settings.items()):
            return row
    return None


def _value(values: Mapping[str, Any], dotted: str) -> Any:
    node: Any = values
    for key in dotted.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node


def _holds(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one; a mapping, if it holds each of the wanted keys."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and _holds(value[key], inner) for key, inner in wanted.items()
        )
    if isinstance(wanted, list | tuple) and isinstance(value, list | tuple):
        return list(value) == list(wanted)
    return bool(value == wanted)
