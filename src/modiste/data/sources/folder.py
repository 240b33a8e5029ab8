"""A folder of class folders: images of your own, each in the folder of its class."""

from __future__ import annotations

from pathlib import Path

from modiste.data.own.source import own_source
from modiste.data.own.walk import list_folder
from modiste.data.source import SOURCES, Source


@SOURCES.register("folder")
def folder(path: Path | None = None) -> Source:
    """The images in a folder of class folders, with or without train/, val/ and test/."""
    return own_source("folder", list_folder, path)
