"""What the site says of the code, made from the code each time the site is built.

A page says where it goes by a line of its own, which readers of the bare file do not see:

    <!-- made from the code: command_line -->

Each module here that has a function `text` makes one such piece, in Markdown.
"""

from __future__ import annotations

import importlib
import pkgutil
import re

_MARK = re.compile(r"^<!-- made from the code: (\w+) -->$", re.MULTILINE)


def pieces() -> list[str]:
    """The names of all pieces."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [
        name for name in names if hasattr(importlib.import_module(f"{__name__}.{name}"), "text")
    ]


def is_filled(page: str) -> bool:
    """Whether a page asks for any."""
    return bool(_MARK.search(page))


def fill(page: str) -> str:
    """A page with every piece that it asks for."""
    return _MARK.sub(lambda found: _piece(found[1]), page)


def _piece(name: str) -> str:
    text = importlib.import_module(f"{__name__}.{name}").text()
    assert isinstance(text, str)
    return text
