"""Small pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown."""
    lines = ["| " + " | ".join(map(cell, line)) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def cell(text: str) -> str:
    """On one line, with no border of its own; one that is escaped already stays so."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def between(name: str, page: str, text: str) -> str:
    """A page with the text between its two marks of that name in place of what is there."""
    before, begin, rest = page.partition(f"<!-- {name}: begin -->\n")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    assert begin, f"no mark {name}: begin"
    assert end, f"no mark {name}: end"
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def code(text: str) -> str:
    """As it is typed."""
    return f"`{text}`"


def prose(text: str) -> str:
    """Of a docstring: its double backticks are Markdown's single ones."""
    return text.replace("``", "`")


def block(language: str, text: str) -> str:
    """Lines of code."""
    return f"```{language}\n{text.strip()}\n```"
