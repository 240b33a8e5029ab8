"""What a person writes, read: study files in YAML, and ``--set`` on the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from modiste.errors import SpecError
from modiste.spec.base import Spec
from modiste.spec.flat import unfold
from modiste.spec.published import PublishedSpec
from modiste.spec.study import Override, StudySpec, check

LIMIT_BYTES = 1 << 20


# What the library raises for such as `!!timestamp foo`, `!!bool foo` and `!!int ''`.
_NO_SUCH_VALUE = (AttributeError, KeyError, IndexError)


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses what would surprise: a key twice, or an alias."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} cannot be a key", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands here twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not read; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> dict[str, Any]:
    """Keys and values from a YAML file of at most 1 MiB.

    Raises:
        SpecError: If it cannot be read; names the file, and the line where there is one.
    """
    if (path / "study.json").is_file():
        raise SpecError(f"{path}: a study folder. To go on with it, name its study file.")
    if path.is_dir():
        raise SpecError(
            f"{path}: a folder, and no study file. `modiste init {path}` writes one for images."
        )
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise SpecError(f"{path}: larger than {LIMIT_BYTES} bytes; no study file is.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error}).") from None
    return _values(text, path)


def _values(text: str, path: Path) -> dict[str, Any]:
    """Keys and values of the text of a file."""
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 (derives from SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise SpecError(f"{path}{line}: {error.problem or 'no valid YAML'}.") from None
    except (yaml.YAMLError, ValueError) as error:  # such as a date in the 13th month
        raise SpecError(f"{path}: no valid YAML ({' '.join(str(error).split())}).") from None
    except _NO_SUCH_VALUE:
        raise SpecError(f"{path}: a value is none of the kind that its tag (!!...) says.") from None
    except RecursionError:
        raise SpecError(f"{path}: brackets are nested too deeply.") from None
    if not isinstance(values, dict):
        raise SpecError(f"{path}: expected keys and values, such as `stages: [...]`.")
    return values


def read_study(path: Path, text: str | None = None) -> tuple[StudySpec, dict[str, Any] | None]:
    """A study file and the published figures beside it, if it names any; both checked.

    Args:
        path: Of the file.
        text: What is going to stand in it, if it is not written yet.

    Raises:
        SpecError: If anything in it makes no sense; begins with the file's name.
    """
    try:
        values = read_yaml(path) if text is None else _values(text, path)
        study = StudySpec.parse(unfold(values, path.stem))
        check(study)
    except SpecError as error:
        if str(error).startswith(str(path)):
            raise
        lines = [f"{path}: {line}" for line in str(error).splitlines()]
        raise SpecError("\n".join(lines)) from None
    if study.published is None:
        return study, None
    beside = path.parent / study.published
    published = read_yaml(beside)
    names = [stage.name for stage in study.stages]
    PublishedSpec.parse(published, str(beside)).check_claims(names, str(beside))
    return study, published


def study_text(values: Mapping[str, Any], name: str) -> str:
    """The study file of a study that was given as a dictionary.

    Args:
        values: What would stand in the file.
        name: Of the study, if it says none.

    Raises:
        SpecError: If anything in it makes no sense.
    """
    study = StudySpec.parse(unfold(plain(values), name))
    check(study)
    said = _said(study)
    said["stages"] = [_said(stage) for stage in study.stages]
    return yaml.safe_dump(said, sort_keys=False, width=100)


def plain(value: Any) -> Any:
    """Numbers and arrays of NumPy as Python has them; a path as text, seen from here."""
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):  # of Talos, they mean different things
        return type(value)(map(plain, value))
    if isinstance(value, os.PathLike):  # its file will lie in the study folder
        return str(Path(os.fsdecode(value)).expanduser().absolute())
    return value.tolist() if hasattr(value, "tolist") else value


def _said(spec: Spec) -> dict[str, Any]:
    """What of a spec is not as it is where nobody says anything."""
    values = spec.to_dict()
    fields = type(spec).model_fields
    return {
        (fields[name].alias or name): values[fields[name].alias or name]
        for name in fields
        if getattr(spec, name) != fields[name].get_default()
    }


def parse_override(text: str, option: str = "--set") -> Override:
    """``[STAGE:]KEY=VALUE``, the value as YAML: ``mlp-grid:train.epochs=5``.

    Raises:
        SpecError: If there is no ``=``, no key, or the value is no YAML.

    Example:
        >>> parse_override("model.params.hidden=[768]")
        Override(stage='', key='model.params.hidden', value=[768])
    """
    left, equals, right = text.partition("=")
    stage, colon, key = left.rpartition(":")
    if not equals or not key.strip() or (colon and not stage.strip()):
        raise SpecError(f"{option} {text}: expected [STAGE:]KEY=VALUE, such as train.epochs=5.")
    try:
        value = yaml.load(right, _Loader)  # noqa: S506 (derives from SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError, *_NO_SUCH_VALUE):
        raise SpecError(f"{option} {text}: the value {right!r} is no valid YAML.") from None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # YAML reads 1e-3 as a word
            value = float(value) if "e" in value.lower() else value
    return Override(stage.strip(), key.strip(), value)
