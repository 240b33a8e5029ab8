"""The report as one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import TypeGuard

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from modiste.report.blocks import (
    Beside,
    Block,
    Figure,
    Gallery,
    Heading,
    Picture,
    Ref,
    SectionText,
    Table,
)
from modiste.report.figures import MARKERS


@dataclass(frozen=True)
class Head:
    """What stands above the first section, and where all of it comes from.

    Attributes:
        origin: Stands below the last section.
        page: The HTML file, for the Markdown beside it to point to.
    """

    title: str
    kicker: str
    byline: str
    origin: str = "the folders of its runs"
    page: str = "report.html"


@dataclass(frozen=True)
class Numbers:
    """What `Ref` points to, by ident: ``Table 3``, ``section 2.1``; and each block's own number."""

    names: dict[str, str]

    @classmethod
    def of(cls, sections: Sequence[SectionText]) -> Numbers:
        """Count sections, tables and figures in the order they are printed."""
        names: dict[str, str] = {}
        tables = figures = 0
        for section in sections:
            names[section.ident] = f"section {section.number}" if section.number else section.title
            within = 0
            for block in section.blocks:
                for table in _tables(block):
                    tables += 1
                    _name(names, table.ident, f"Table {tables}")
                if isinstance(block, Figure | Gallery):
                    figures += 1
                    _name(names, block.ident, f"Figure {figures}")
                elif isinstance(block, Heading) and block.level == 3:
                    within += 1
                    _name(names, block.ident, f"section {section.number}.{within}")
                elif isinstance(block, Heading):
                    _name(names, block.ident, block.text)
        return cls(names)

    def __getitem__(self, ident: str) -> str:
        return self.names[ident]

    def __contains__(self, ident: str) -> bool:
        return ident in self.names

    def text(self, ref: Ref) -> str:
        """What a pointer prints."""
        return ref.text or self.names[ref.ident]


def apart(sections: Sequence[SectionText]) -> list[SectionText]:
    """The sections, in which a block that gives way has no name that is another's.

    A stage may be called as a table of every report is, or as one of another stage.
    """
    taken = {section.ident for section in sections}
    for section in sections:
        for block in section.blocks:
            if not _gives_way(block):
                taken.update(_idents(block))

    def named(block: Block) -> Block:
        if _gives_way(block):
            while block.ident in taken:
                block = replace(block, ident=f"{block.ident}-stage")
            taken.add(block.ident)
        return block

    return [
        replace(section, blocks=[named(block) for block in section.blocks]) for section in sections
    ]


def render(head: Head, sections: Sequence[SectionText]) -> str:
    """The whole page."""
    script = _file("report.js")
    digest = hashlib.sha256(script.encode()).digest()
    return _template().render(
        head=head,
        sections=sections,
        numbers=Numbers.of(sections),
        word_kind=lambda part: "text" if isinstance(part, str) else type(part).__name__.lower(),
        markers=MARKERS,
        style=Markup(_file("report.css")),
        script=Markup(script),
        script_digest=base64.b64encode(digest).decode(),
    )


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("modiste.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(svg=Markup, png=_data_uri, heat=_heat, sortable=_sortable)
    return environment.get_template("report.html")


def _tables(block: Block) -> Sequence[Table]:
    if isinstance(block, Beside):
        return block.tables
    return [block] if isinstance(block, Table) else []


def _gives_way(block: Block) -> TypeGuard[Table | Figure]:
    return isinstance(block, Table | Figure) and block.gives_way


def _idents(block: Block) -> list[str]:
    if isinstance(block, Figure | Gallery | Heading):
        return [block.ident]
    return [table.ident for table in _tables(block)]


def _name(names: dict[str, str], ident: str, name: str) -> None:
    assert ident not in names, f"two blocks are called {ident}"
    names[ident] = name


def _file(name: str) -> str:
    return resources.files("modiste.report").joinpath("templates", name).read_text("utf-8")


def _data_uri(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"


def _sortable(value: float) -> str:
    """What a cell sorts by: ten digits, since the last ones of a sum differ between processors."""
    return str(value) if isinstance(value, int) else f"{value:.10g}"


def _heat(depth: float) -> str:
    """Per cent of the accent colour in a cell."""
    return f"{100 * min(max(depth, 0.0), 1.0):.0f}%"
