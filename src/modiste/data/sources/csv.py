"""A table of paths and classes: images of your own, named line by line."""

from __future__ import annotations

from pathlib import Path

from modiste.data.own.source import own_source
from modiste.data.own.table import list_table
from modiste.data.source import SOURCES, Source


@SOURCES.register("csv")
def table(path: Path | None = None) -> Source:
    """The images that a CSV file names; paths start from its folder."""
    return own_source("csv", list_table, path)
