"""An HTML page as a test reads it: its elements, in order, every one closed where it should be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

# HTML's elements without content, and those of SVG that we close at once.
_VOID = {"meta", "img", "br", "input", "link", "hr"}


@dataclass
class Element:
    """One element with what stands in it."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, with single spaces."""
        return " ".join("".join(self.pieces).split())

    def all(self, tag: str, **wanted: str) -> list[Element]:
        """Elements inside with that tag and these attributes (a class is one of its words)."""
        found = []
        for child in self.children:
            has = all(
                value in child.attributes.get(name.rstrip("_"), "").split()
                for name, value in wanted.items()
            )
            if child.tag == tag and has:
                found.append(child)
            found += child.all(tag, **wanted)
        return found


class Page(HTMLParser):
    """A whole page.

    Attributes:
        root: Holds `html`.
        elements: All of them, in the order they begin.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.root = Element("", {}, None)
        self.elements: list[Element] = []
        self._open = self.root
        self.feed(text)
        self.close()
        assert self._open is self.root, f"<{self._open.tag}> was never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.children.append(element)
        self.elements.append(element)
        if tag not in _VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.tag == tag, f"</{tag}> ends <{self._open.tag}>"
        assert self._open.parent is not None
        self._open = self._open.parent

    def handle_data(self, data: str) -> None:
        element: Element | None = self._open
        while element is not None:
            element.pieces.append(data)
            element = element.parent

    def by_id(self, name: str) -> Element:
        """The one element of that id."""
        (found,) = (e for e in self.elements if e.attributes.get("id") == name)
        return found

    def table(self, name: str) -> list[list[str]]:
        """The cells of a table's body, as text."""
        (body,) = self.by_id(name).all("tbody")
        return [[cell.text for cell in row.children] for row in body.all("tr")]

    @property
    def style(self) -> str:
        return "".join(re.findall(r"<style>(.*?)</style>", self.source, re.DOTALL))
