"""Every key of a study file, with its values, its default and what its docstring says of it."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from docs.made.docstrings import attribute, summary
from docs.made.markdown import code, prose, table
from modiste.data.source import SOURCES
from modiste.spec.base import Spec
from modiste.spec.early_stopping import EarlyStopping
from modiste.spec.parts import AUGMENTATIONS, MODELS, OPTIMIZERS, SCHEDULES
from modiste.spec.registry import Registry
from modiste.spec.run import Averaging, DataSpec, RunSpec, TrainSpec, written_out
from modiste.spec.search import HALVINGS, METHODS, SearchSpec
from modiste.spec.space import Choices, Range
from modiste.spec.study import Confirm, StageProfile, StageSpec, StudySpec

# Where each may stand, and the class that reads it.
SPECS: Mapping[str, type[Spec]] = {
    "The file": StudySpec,
    "A stage: `stages`": StageSpec,
    "A profile of a stage: `stages.profiles`": StageProfile,
    "The best again: `stages.confirm`": Confirm,
    "A search: `stages.search`": SearchSpec,
    "Values to choose from: `stages.search.tune`": Choices,
    "A range to choose from: `stages.search.tune`": Range,
    "The rest of a run: keys of the file and of each stage": RunSpec,
    "Images: `data`": DataSpec,
    "Training: `train`": TrainSpec,
    "Stopping early: `train.early_stopping`": EarlyStopping,
    "Averaging weights: `train.averaging`": Averaging,
}
PARTS: dict[str, Registry[Any]] = {
    "Model families: `model.family`, with their keys in `model.params`": MODELS,
    "Optimizers: `train.optimizer`": OPTIMIZERS,
    "Schedules: `train.schedule`": SCHEDULES,
    "Augmentations: `train.augment`": AUGMENTATIONS,
    "Search methods: `stages.search.method`": METHODS,
    "Halvings: `stages.search.halving`": HALVINGS,
}
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def text() -> str:
    """A section for each spec, then one for each kind of part with all parts of that kind."""
    parts = [_section(f"## {title}", cls) for title, cls in SPECS.items()]
    for title, registry in PARTS.items():
        parts.append(f"## {title}")
        parts += [_section(f"### `{name}`", registry.get(name)) for name in registry.names()]
    return "\n\n".join([*parts, "## Data sources: `data.name`", _sources()])


def _section(head: str, cls: type[Spec]) -> str:
    found = [head, prose(summary(cls))]
    rows = [_row(cls, name) for name in cls.model_fields if not is_elsewhere(cls, name)]
    if cls is SearchSpec:
        also = SearchSpec.read_as_tune.items()
        rows += [[code(name), "keys and values", "", prose(said)] for name, said in also]
    if rows:
        found.append(table(["key", "value", "if not given", "means"], rows))
    return "\n\n".join(found)


def is_elsewhere(cls: type[Spec], name: str) -> bool:
    """Whether a key has a section of its own, or one value alone: the name it was chosen by."""
    if cls is RunSpec:
        return name in ("data", "model", "train")
    return name == "name" and typing.get_origin(cls.model_fields[name].annotation) is Literal


def _row(cls: type[Spec], name: str) -> list[str]:
    field = cls.model_fields[name]
    limits = limits_of(field.metadata)
    value = " ".join(part for part in (words(field.annotation), limits) if part)
    return [code(field.alias or name), value, _default(cls, name), prose(attribute(cls, name))]


def words(annotation: Any) -> str:
    """What may be given, for people."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin is typing.Annotated:
        return " ".join(part for part in (words(inside[0]), limits_of(inside[1:])) if part)
    if origin is Literal:
        return " or ".join(code(str(word)) for word in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(words(one) for one in inside if one is not type(None)))
    if origin is tuple:
        return f"list ({words(inside[0])})"
    if origin in (dict, Mapping):
        return "keys and values"
    if inspect.isclass(annotation) and issubclass(annotation, Spec):
        return "keys and values"
    return "any value"


def limits_of(metadata: Any) -> str:
    """Such as ``from 0 to below 1``."""
    low = high = ""
    for found in _flat(metadata):
        match found:
            case Ge(ge=limit):
                low = f"from {limit:,}"
            case Gt(gt=limit):
                low = f"above {limit:,}"
            case Le(le=limit):
                high = f"up to {limit:,}"
            case Lt(lt=limit):
                high = f"below {limit:,}"
            case MinLen(min_length=limit):
                low = f"at least {limit}"
    return " ".join(part for part in (low, high) if part)


def _flat(metadata: Any) -> list[Any]:
    found = []
    for each in metadata:
        found += list(getattr(each, "metadata", None) or [each])
    return found


def _default(cls: type[Spec], name: str) -> str:
    if cls is TrainSpec and name in (filled := written_out({})):
        return code(filled[name]["name"])
    field = cls.model_fields[name]
    presets = {
        preset: values[name] for preset, values in cls.preset_defaults.items() if name in values
    }
    if len({repr(value) for value in presets.values()}) > 1:
        return ", ".join(f"{preset}: {code(_plain(value))}" for preset, value in presets.items())
    if field.is_required() and not presets:
        return "needed"
    value = next(iter(presets.values())) if presets else field.get_default()
    if value in (None, (), {}, ""):
        return ""
    return code(_plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, Spec):
        inside = ", ".join(f"{key}: {_plain(each)}" for key, each in value.to_dict().items())
        return "{" + inside + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(value)


def _sources() -> str:
    rows = []
    for name in SOURCES.names():
        said = inspect.getdoc(inspect.getmodule(SOURCES.get(name))) or ""
        rows.append([code(name), prose(said.split("\n\n")[0])])
    return table(["name", "is"], rows)
