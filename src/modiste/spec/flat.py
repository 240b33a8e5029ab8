"""A study file with one question: one stage, without the list around it.

question: Does dropout help?
model: {family: cnn}
search: {method: random, trials_per_value: 32, compare: {...}, tune: {...}}
confirm: {top: 3, seeds: 5}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modiste.errors import SpecError
from modiste.spec.settings import OF_RUNS
from modiste.spec.study import StageProfile, StageSpec, StudySpec

# Names of the stages that such a file stands for.
FIRST, CONFIRMED = "search", "confirmed"
# What is said of the last of them.
OF_LAST: tuple[str, ...] = ("final", "export")
_BOTH = ("name", "title", "about", "data", "model", "train", *OF_RUNS, "from")


def unfold(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same with its stages in a list, if they are not in one.

    Args:
        values: Of a study file.
        name: Of the study, if it gives none: that of its file.

    Raises:
        SpecError: If it has a list of stages, and keys of a single one beside it.
    """
    found = dict(values)
    question = found.pop("question", None)
    if question is not None:
        found.setdefault("title", question)
    found.setdefault("name", re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))
    single = [key for key in _stage_keys() if key in found]
    if "stages" in found:
        if single:
            raise SpecError(f"{single[0]}: belongs into one of the `stages`.")
        return found
    if not single:
        return found
    stage = {key: found.pop(key) for key in single}
    confirm = stage.pop("confirm", None)
    of_last = {key: stage.pop(key, False) for key in OF_LAST}
    if isinstance(found.get("profiles"), Mapping):
        found["profiles"], stage["profiles"] = _divided(found["profiles"])
    stages = [{"name": FIRST, "title": found.get("title", ""), **stage}]
    if confirm is not None:
        stages.append({"name": CONFIRMED, "title": "Confirmed on fresh seeds", "confirm": confirm})
    stages[-1] |= of_last
    return {**found, "stages": stages}


def _divided(profiles: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What profiles set in every run, and what they change of the stage."""
    everywhere: dict[str, Any] = {}
    here: dict[str, Any] = {}
    for name, changes in profiles.items():
        if not isinstance(changes, Mapping):
            raise SpecError(f"profiles.{name}: expected keys and values, got {changes!r}.")
        for key, value in changes.items():
            place = here if key in StageProfile.model_fields else everywhere
            place.setdefault(name, {})[key] = value
    return everywhere, here


def _stage_keys() -> list[str]:
    """Keys that only a stage has."""
    keys = [field.alias or name for name, field in StageSpec.model_fields.items()]
    return [key for key in keys if key not in (*StudySpec.model_fields, *_BOTH)]
