"""What a section of the report is, and where sections are found: one file adds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modiste.report.blocks import Block
from modiste.report.context import Context
from modiste.spec.registry import Registry


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        title: Its heading.
        order: Sections are printed by rising order; the first one opens the report, unnumbered.
        build: Writes it from a study; nothing at all leaves the section out.
    """

    title: str
    order: int
    build: Callable[[Context], Sequence[Block]]


SECTIONS: Registry[Section] = Registry("report section", "modiste.report.sections")
