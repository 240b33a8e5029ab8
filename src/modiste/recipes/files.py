"""Recipes by name, from the files that come with modiste, or by path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modiste.errors import SpecError, did_you_mean, need_path
from modiste.spec.files import read_yaml
from modiste.spec.recipe import Recipe

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as it lies in a file.

    Attributes:
        sha256: Of the file's bytes, in hexadecimal: a changed recipe is another one.
    """

    name: str
    path: Path
    recipe: Recipe
    sha256: str

    def seeds(self, count: int) -> list[int]:
        """Seeds for its counted look: nobody can choose them, they follow from the file."""
        digests = (hashlib.sha256(f"{self.sha256}/{i}".encode()).digest() for i in range(count))
        return [int.from_bytes(digest[:4], "big") for digest in digests]


def names() -> list[str]:
    """Of the recipes that come with modiste."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def open_recipe(name: str) -> RecipeFile:
    """Read a recipe.

    Args:
        name: Of one that comes with modiste, or the path of a file.

    Raises:
        SpecError: If there is none, or something in it makes no sense; names it.
    """
    path = need_path(name, "name")
    if path.suffix not in (".yaml", ".yml"):
        if name not in names():
            hint = did_you_mean(name, names())
            raise SpecError(f"{name}: no recipe has this name, and it is no YAML file.{hint}")
        path = FOLDER / f"{name}.yaml"
    values = read_yaml(path)
    try:
        recipe = Recipe.parse(values)
    except SpecError as error:
        lines = [f"{path}: {line}" for line in str(error).splitlines()]
        raise SpecError("\n".join(lines)) from None
    return RecipeFile(path.stem, path, recipe, hashlib.sha256(path.read_bytes()).hexdigest())


def every_recipe() -> Iterator[RecipeFile]:
    """Those that come with modiste, by name."""
    return map(open_recipe, names())
