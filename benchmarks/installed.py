"""Which libraries are here to be measured beside, and in which versions."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


def is_here(name: str, needs: Iterable[str], extra: str) -> bool:
    """Whether all modules that a peer needs can be imported; says so of one that is left out."""
    missing = [need for need in needs if find_spec(need) is None]
    if missing:
        print(f"{name}: left out, {', '.join(missing)} is not installed (the extra {extra!r}).")
    return not missing


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those packages that are installed, by name."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
