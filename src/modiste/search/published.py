"""Which published row belongs to which run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modiste.spec.match import holds
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
        if holds(values, row.settings):
            return row
    return None
