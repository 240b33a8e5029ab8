"""The packages in their layers, as the import linter checks them, each with its first line."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

from docs.made.markdown import code, prose, table

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def text() -> str:
    """One row for each package, the highest first."""
    rows = []
    for number, layer in enumerate(_layers(), start=1):
        rows += [[str(number), code(name), _first_line(name)] for name in layer]
    return table(["layer", "package", "holds"], rows)


def _layers() -> list[list[str]]:
    found = tomllib.loads(PROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in found if contract["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def _first_line(name: str) -> str:
    said = (importlib.import_module(f"modiste.{name}").__doc__ or "").splitlines()
    assert said, f"modiste.{name} does not say what it holds"
    return prose(said[0])
