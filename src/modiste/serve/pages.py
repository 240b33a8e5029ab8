"""The pages for people: files that lie beside this one, and the card, written on the server.

Nothing in them comes from elsewhere, and nothing in them is written by whoever named the classes:
texts are put in as text, and the card's Markdown may hold no HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from fastapi import FastAPI, Response
from jinja2 import Environment
from markdown_it import MarkdownIt

from modiste.artifact import folder as folders
from modiste.serve.answers import Served

_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# By address: the file that answers it.
FILES = {
    "/": "index.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/icon.svg": "icon.svg",
}
# Shades of a cell, from none to full.
_SHADES = 9


class Cell(NamedTuple):
    """Of a confusion matrix.

    Attributes:
        images: How many.
        shade: 0 to 9, by its share of the row.
    """

    images: int
    shade: int
    is_right: bool


def add_pages(app: FastAPI, served: Served) -> None:
    """Answer the addresses of the pages."""
    for address, name in FILES.items():
        _add(app, address, _read(name), _KINDS[name[name.rindex(".") :]])
    _add(app, "/card", card_page(served).encode("utf-8", "replace"), "text/html")


def _add(app: FastAPI, address: str, content: bytes, kind: str) -> None:
    async def page() -> Response:
        return Response(content, media_type=kind, headers={"vary": "cookie"})

    app.add_api_route(address, page, include_in_schema=False)


def card_page(served: Served) -> str:
    """The model card and the confusion matrix as HTML."""
    template = Environment(autoescape=True).from_string(_read("card.html").decode())
    names = served.artifact.class_names
    images = served.certificate.get("figures", {}).get("images")
    return template.render(
        card=_html(served.card),
        names=names,
        rows=_cells(served.certificate.get("figures", {}).get("confusion"), len(names)),
        images=images if isinstance(images, int) else None,
        name=folders.model_name(served.artifact.config),
        digest=served.digest,
        is_int8=served.is_int8,
    )


def _html(markdown: str) -> str:
    """The card's Markdown, in which HTML stays text; the hub's YAML head is left out."""
    if markdown.startswith("---\n"):
        markdown = markdown.partition("\n---\n")[2]
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    # No image would load, and a link to `javascript:` is none to the reader anyway.
    return str(reader.disable("image").render(markdown))


def _cells(counts: Any, num_classes: int) -> Sequence[Sequence[Cell]] | None:
    """Right class by row; none if the export holds no such table."""
    try:
        rows = [[int(count) for count in row] for row in counts]
    except (TypeError, ValueError):
        return None
    if [len(row) for row in rows] != [num_classes] * num_classes:
        return None
    return [
        [Cell(n, _shade(n, sum(row)), i == j) for j, n in enumerate(row)]
        for i, row in enumerate(rows)
    ]


def _shade(count: int, total: int) -> int:
    """More than linear at the low end: a hundredth of a class must still be seen."""
    return 0 if count <= 0 else max(1, round(_SHADES * (count / total) ** 0.5))


def _read(name: str) -> bytes:
    return (files("modiste.serve") / "page" / name).read_bytes()
