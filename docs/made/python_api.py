"""Every public name of the package; Sphinx reads its signature and docstring."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import modiste
from docs.made.markdown import block, code, table
from modiste.errors import ModisteError


def text() -> str:
    """Functions first, then classes, then errors."""
    found = {name: getattr(modiste, name) for name in modiste.__all__}
    classes = {name: each for name, each in found.items() if inspect.isclass(each)}
    functions = [name for name in found if name not in classes]
    parts = ["## Functions", *(_entry("autofunction", name) for name in functions)]
    parts += [
        "## Classes",
        *(_entry("autoclass", name, _members(classes[name])) for name in classes),
    ]
    return "\n\n".join([*parts, "## Errors", _errors()])


def _entry(directive: str, name: str, options: str = "") -> str:
    return f"### {name}\n\n" + block("{eval-rst}", f".. {directive}:: modiste.{name}\n{options}")


def _members(cls: type) -> str:
    # What scikit-learn adds to every estimator's class is in scikit-learn's manual.
    theirs = [name for name in vars(cls) if name.startswith("set_") and name.endswith("_request")]
    return f"   :members:\n   :exclude-members: {', '.join(theirs)}\n"


def _errors() -> str:
    """The tree as a table; everything in it can be mended by whoever meets it."""
    rows = [
        [code(f"{cls.__module__}.{cls.__name__}"), " and ".join(_bases(cls)), _first(cls)]
        for cls in _below(ModisteError)
    ]
    return table(["error", "is a", "means"], rows)


def _below(cls: type) -> Iterator[type]:
    yield cls
    for each in cls.__subclasses__():
        if each.__module__.startswith("modiste."):
            yield from _below(each)


def _bases(cls: type) -> list[str]:
    return [code(base.__name__) for base in cls.__bases__]


def _first(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0]
