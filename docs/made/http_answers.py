"""What `modiste serve` takes and answers, from the same description that it gives to programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from docs.made.markdown import code, table
from modiste.serve.app import create_app

# The description is the same whatever model is served; this one holds just what the application
# asks of a model before anybody asks it.
_NO_MODEL: Any = SimpleNamespace(
    artifact=SimpleNamespace(
        config={
            "model": {"family": "none"},
            "spec": {"data": {"name": "none"}},
            "parameters": {"total": 0},
        },
        class_names=("none",),
        rule=SimpleNamespace(size_HW=(1, 1), channels=1, background=(0, 0, 0)),
    ),
    certificate={"figures": {"accuracy": {"value": 0.0, "interval": [0.0, 1.0]}}},
    labels=(),
    card="",
    digest="",
    is_int8=False,
)


def described() -> dict[str, Any]:
    """What `/openapi.json` answers."""
    return create_app(_NO_MODEL).openapi()


def text() -> str:
    """A section for each address, then one for each shape of an answer."""
    found = described()
    parts = [_operation(*each) for each in _operations(found["paths"])]
    shapes = found["components"]["schemas"]
    parts += ["## Shapes of answers", *(_shape(name, shapes[name]) for name in sorted(shapes))]
    return "\n\n".join(parts)


def addresses() -> list[tuple[str, str]]:
    """Each address with what it answers, in words."""
    found = _operations(described()["paths"])
    return [(f"{method} {path}", said["description"]) for method, path, said in found]


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for path, methods in paths.items():
        for method, said in methods.items():
            yield method.upper(), path, said


def _operation(method: str, path: str, said: Mapping[str, Any]) -> str:
    parts = [f"## `{method} {path}`", said["description"]]
    if body := said.get("requestBody"):
        kinds = ", ".join(map(code, body["content"]))
        parts.append(f"The body is one of {kinds}.")
    rows = [
        [status, _of(answer), answer["description"].replace("Successful Response", "")]
        for status, answer in sorted(said["responses"].items())
    ]
    return "\n\n".join([*parts, table(["status", "answer", "when"], rows)])


def _of(answer: Mapping[str, Any]) -> str:
    kinds = answer.get("content", {"": {}})
    return ", ".join(_type(kind.get("schema", {})) or code(name) for name, kind in kinds.items())


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        [code(key), _type(value), _said(value) + ("" if key in needed else " May be left out.")]
        for key, value in schema["properties"].items()
    ]
    head = " ".join(schema.get("description", "").split())
    return "\n\n".join([f"### {name}", head, table(["key", "value", "means"], rows)])


def _said(value: Mapping[str, Any]) -> str:
    return str(value.get("description", ""))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("format") == "binary":
        return "an image"
    if schema.get("type") == "array":
        if inside := schema.get("prefixItems"):
            return "list of " + ", ".join(_type(each) for each in inside)
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"words to {_type(schema['additionalProperties'])}"
    return str(schema.get("type", ""))
