"""What docstrings in Google's form say of each attribute."""

from __future__ import annotations

import inspect
import re
from functools import cache

_ENTRY = re.compile(r"^ {4}(?=\S)(?P<names>\w[\w, ]*?): (?P<text>.*)$")
# How a class names the key of an attribute that cannot be called like it.
_KEY = re.compile(r"\(key ``\w+``\) ?")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example|Source|Yields):$")


def summary(cls: type) -> str:
    """What stands before the first section of its docstring, as one paragraph or several."""
    lines = []
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        if _SECTION.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def attribute(cls: type, name: str) -> str:
    """What a class, or one that it derives from, says of an attribute; nothing if none does."""
    for each in cls.__mro__:
        if name in (found := _attributes(each)):
            return found[name]
    return ""


@cache
def _attributes(cls: type) -> dict[str, str]:
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in text.splitlines():
        if section := _SECTION.match(line):
            inside, names = section[1] == "Attributes", []
        elif inside and (entry := _ENTRY.match(line)):
            names = [name.strip() for name in entry["names"].split(",")]
            found |= dict.fromkeys(names, _KEY.sub("", entry["text"]))
        elif inside and line.startswith(" " * 8):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found
