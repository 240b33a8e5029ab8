"""Settings: values under dotted keys, laid over one another, compared, and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modiste.errors import SpecError

Settings = dict[str, Any]

# A part that is chosen by one of these keys is replaced by a setting, never mixed into.
CHOICES = ("name", "family")
# Parts for which their name alone may stand: `adam` is {name: adam}.
BY_NAME = ("train.optimizer", "train.schedule")
# What a study, or one of its stages, says of its runs beside data, model and training.
OF_RUNS = ("preset", "threads", "device", "kernels")


def layered(*layers: Settings) -> Settings:
    """Settings upon settings: a key that comes again is set anew, after all before it.

    Example:
        >>> layered({"a": 1, "b": 2}, {"a": 3})
        {'b': 2, 'a': 3}
    """
    answer: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            answer.pop(key, None)
            answer[key] = value
    return answer


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mapping by mapping; a part chosen by name replaces the old one.

    Example:
        >>> merge({"optimizer": {"name": "sgd", "momentum": 0.9}}, {"optimizer": {"name": "adam"}})
        {'optimizer': {'name': 'adam'}}
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        # The name of a data set chooses no class: the keys beside it mean the same for all.
        is_new_part = (
            key != "data" and isinstance(value, Mapping) and any(word in value for word in CHOICES)
        )
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not is_new_part:
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def flatten(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Nested values under dotted keys; lists stay whole.

    Example:
        >>> flatten({"train": {"epochs": 5, "augment": []}})
        {'train.epochs': 5, 'train.augment': []}
    """
    answer: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else key
        if isinstance(value, Mapping) and value:
            answer.update(flatten(value, path))
        else:
            answer[path] = value
    return answer


def assign(values: Mapping[str, Any], settings: Settings, where: str = "") -> dict[str, Any]:
    """Nested values with dotted keys set, such as ``train.optimizer.learning_rate``.

    Example:
        >>> assign({}, {"train.optimizer": "sgd", "train.optimizer.momentum": 0.9})
        {'train': {'optimizer': {'name': 'sgd', 'momentum': 0.9}}}

    Raises:
        SpecError: If a key leads through something that holds no keys.
    """
    answer = dict(values)
    for dotted, value in settings.items():
        is_name = dotted in BY_NAME and isinstance(value, str)
        node: Any = {"name": value} if is_name else value
        for key in reversed(dotted.split(".")):
            node = {key: node}
        _check_path(answer, dotted, where)
        answer = merge(answer, node)
    return answer


def undoes(key: str, value: Any, earlier: str) -> bool:
    """Whether setting a key lets go of what an earlier one has set inside it.

    Example:
        >>> undoes("train.optimizer", "sgd", "train.optimizer.momentum")
        True
        >>> undoes("train.optimizer.name", "sgd", "train.optimizer.momentum")
        True
        >>> undoes("train", {"epochs": 5}, "train.optimizer.momentum")
        False
    """
    if isinstance(value, Mapping) and (key == "data" or not any(w in value for w in CHOICES)):
        return any(undoes(f"{key}.{inner}", item, earlier) for inner, item in value.items())
    part, _, last = key.rpartition(".")
    outer = part if last in CHOICES and part != "data" else key  # another name is another part
    return key != earlier and earlier.startswith(f"{outer}.")


def label(settings: Settings) -> str:
    """A short name of a point: the last word of each key, and its value.

    Example:
        >>> label({"model.params.hidden": [768, 512], "model.params.dropout": 0.3})
        'hidden=[768, 512], dropout=0.3'
    """
    return ", ".join(_show(key, value) for key, value in settings.items())


def _show(key: str, value: Any) -> str:
    last = key.rsplit(".", maxsplit=1)[-1]
    if isinstance(value, Mapping) and value:
        head = [str(value[word]) for word in CHOICES if word in value]
        rest = [f"{name}={_plain(item)}" for name, item in value.items() if name not in CHOICES]
        return " ".join(head + rest)
    return f"{last}={_plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return _show("", value) if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def matches(settings: Settings, wanted: Settings) -> bool:
    """Whether a point sets every key of `wanted` to that value; labels are text.

    Example:
        >>> matches({"train.epochs": 5, "label": "16"}, {"label": 16})
        True
    """
    return all(
        key in settings and _same(key, settings[key], value) for key, value in wanted.items()
    )


def _same(key: str, one: Any, two: Any) -> bool:
    if key == "label":  # YAML reads some as numbers
        return str(one) == str(two)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return list(one) == list(two)
    return bool(one == two)


def _check_path(values: Mapping[str, Any], dotted: str, where: str) -> None:
    node: Any = values
    for key in dotted.split(".")[:-1]:
        node = node.get(key, {})
        if not isinstance(node, Mapping):
            raise SpecError(f"{where}: {dotted}: {key!r} holds {node!r}, which has no keys inside.")
