"""The base of every spec: frozen, strict about keys, and clear about what is wrong."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, get_args

import pydantic
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from modiste.errors import SpecError, did_you_mean


class Spec(BaseModel):
    """A frozen set of named values; unknown keys, wrong types and NaN are errors.

    Use `parse` for anything that a person wrote: its errors name the key.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    # Defaults that depend on the preset: {"keras": {"epsilon": 1e-7}, "torch": ...}.
    preset_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` and `on` as true, which pydantic would take for 1."""
        items = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(item, bool) for item in items) and not _takes_truth(cls, info.field_name):
            raise ValueError("true, yes, on, false, no and off are truth values, and this is none")
        return value

    @classmethod
    def parse(cls, values: object, where: str = "") -> Self:
        """Validate what a person wrote.

        Args:
            values: A mapping of keys to values, from YAML, JSON or Python.
            where: Where it stands, such as ``model.params``; begins every message.

        Raises:
            SpecError: One line for each key that is wrong.
        """
        if isinstance(values, cls):
            return values
        if not isinstance(values, Mapping):
            raise SpecError(f"{where or cls.__name__}: expected keys and values, got {values!r}.")
        try:
            return cls.model_validate(dict(values))
        except pydantic.ValidationError as error:
            lines = [_explain(cls, problem, where) for problem in _roots(error.errors())]
            raise SpecError("\n".join(lines)) from None
        except SpecError as error:  # from a part inside, which knows its own path only
            lines = [join(where, line) for line in str(error).splitlines()]
            raise SpecError("\n".join(lines)) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, every default written out."""
        return self.model_dump(mode="json", by_alias=True)

    def identity(self) -> dict[str, Any]:
        """What makes this spec differ from one of defaults: the part of it that is hashed.

        A field that is added later, with a default that changes nothing, leaves it as it was. A
        default that is changed must raise `NUMERICS_VERSION`.
        """
        found = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            is_choice = name in ("name", "family")
            if is_choice or isinstance(value, Spec) or value != field.get_default():
                found[name] = _identity(value)
        return found


@functools.cache
def _takes_truth(cls: type[BaseModel], name: str | None) -> bool:
    return name is None or _has_truth(cls.model_fields[name].annotation)


def _has_truth(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(_has_truth(part) for part in get_args(annotation))


def _identity(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.identity()
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _identity(item) for key, item in value.items()}
    return value


def join(where: str, key: str) -> str:
    """`model` and `params` make ``model.params``."""
    return f"{where}.{key}" if where and key else where or key


# Pydantic puts the kind it tried into a path, where a value may be of several kinds.
_KIND_TRIED = re.compile(r"(constrained-)?(int|float|str|bool|tuple|list)\b.*")
_WORDS = (
    (re.compile(r" or instance of \w+"), ""),
    (re.compile(r"a valid dictionary"), "keys and values"),
    (re.compile(r"a valid tuple"), "a list"),
    (re.compile(r"^tuple\b"), "list"),
)


def _roots(problems: Sequence[Any]) -> list[Any]:
    """Without what only follows from another problem.

    That is a list that is too short because an item in it makes no sense, and, of a value that may
    be of several kinds, that it is not of the others where it is of one kind and out of bounds.
    """
    places = [problem["loc"] for problem in problems]
    settled = {
        place[:-1]
        for place, problem in zip(places, problems, strict=True)
        if place and _is_kind(place[-1]) and not problem["type"].endswith(("_type", "_parsing"))
    }

    def follows(problem: Any) -> bool:
        own = problem["loc"]
        if problem["type"] == "too_short":
            return any(place[: len(own)] == own != place for place in places)
        is_of_no_kind = problem["type"].endswith("_type") and own and _is_kind(own[-1])
        return bool(is_of_no_kind and own[:-1] in settled)

    return [problem for problem in problems if not follows(problem)]


def _is_kind(part: int | str) -> bool:
    return isinstance(part, str) and _KIND_TRIED.fullmatch(part) is not None


def _explain(cls: type[BaseModel], problem: Any, where: str) -> str:
    location: Sequence[int | str] = [
        part for part in problem["loc"] if not (_is_kind(part) or part == "[key]")
    ]
    path = where
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else join(path, part)
    kind = problem["type"]
    if kind == "extra_forbidden":
        known = _keys_at(cls, location[:-1])
        hint = did_you_mean(str(location[-1]), known) if known else ""
        return f"{path}: no such key.{hint}"
    if kind == "missing":
        return f"{path}: this key is needed and is not there."
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    for pattern, words in _WORDS:
        message = pattern.sub(words, message)
    hint = ""
    if kind == "literal_error" and isinstance(problem["input"], str):
        options = [o.strip(" '") for o in _expected(problem).split(",")]
        hint = did_you_mean(problem["input"], [o for o in options if o])
        return f"{path}: {problem['input']!r} is none of the known words.{hint}"
    if isinstance(problem["input"], str) and kind.startswith(("float", "int")):
        hint = (
            " In YAML a number such as 1e-3 needs a point: 1.0e-3."
            if re.search(r"\d[eE]", problem["input"])
            else ""
        )
    return f"{path}: {message}; got {problem['input']!r}.{hint}"


def _expected(problem: Any) -> str:
    return str(problem.get("ctx", {}).get("expected", "")).replace(" or ", ", ")


def _keys_at(cls: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Known keys of the spec that a location inside `cls` points into."""
    current: Any = cls
    for part in location:
        if isinstance(part, int):
            continue
        field = _fields(current).get(part)
        if field is None:
            return []
        current = _spec_in(field.annotation)
        if current is None:
            return []
    return sorted(_fields(current))


def _fields(cls: type[BaseModel]) -> dict[str, Any]:
    """Its fields under the keys that a person writes."""
    return {field.alias or name: field for name, field in cls.model_fields.items()}


def _spec_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _spec_in(argument)
        if found is not None:
            return found
    return None
