"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown."""
    lines = ["| " + " | ".join(map(cell, line)) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def cell(text: str) -> str:
    """On one line, with no border of its own."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """As it is typed."""
    return f"`{text}`"


def prose(text: str) -> str:
    """Of a docstring: its double backticks are Markdown's single ones."""
    return text.replace("``", "`")


def block(language: str, text: str) -> str:
    """Lines of code."""
    return f"```{language}\n{text.strip()}\n```"
