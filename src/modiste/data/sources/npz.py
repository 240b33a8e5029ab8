"""NumPy arrays in a `.npz` file, under the names that Keras, MedMNIST or scikit-learn give them."""

from __future__ import annotations

from pathlib import Path

from modiste.data.own.arrays import list_npz
from modiste.data.own.source import own_source
from modiste.data.source import SOURCES, Source


@SOURCES.register("npz")
def npz(path: Path | None = None) -> Source:
    """The images of a `.npz` file."""
    return own_source("npz", list_npz, path)
