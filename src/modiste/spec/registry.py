"""Where things are found by name: one new file in a package adds one new thing.

A registry belongs to a package, such as `modiste.models.families`. The first question imports
every module of that package; each module registers what it defines. Nothing else lists names:
tests, study files, search spaces and docs tables all ask the registry.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

from modiste.errors import SpecError, unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries of one kind, found by name.

    Args:
        what: The kind in words, for error messages: ``"model family"``.
        package: The package whose modules hold the entries, one file each.
    """

    def __init__(self, what: str, package: str) -> None:
        self.what = what
        self._package = package
        self._entries: dict[str, T] = {}
        self._is_loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files an entry under a name of its own."""

        def add(entry: T) -> T:
            assert name not in self._entries, f"two {self.what} entries named {name!r}"
            self._entries[name] = entry
            return entry

        return add

    def add(self, name: str, entry: T) -> T:
        """File an entry under a name of its own, without a decorator."""
        return self.register(name)(entry)

    def names(self) -> list[str]:
        """All names, in alphabetical order."""
        self._load()
        return sorted(self._entries)

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            SpecError: If there is none; the message holds the nearest name.
        """
        self._load()
        if name not in self._entries:
            raise SpecError(unknown_name(self.what, name, self._entries))
        return self._entries[name]

    def _load(self) -> None:
        if self._is_loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._is_loaded = True
