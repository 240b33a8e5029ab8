"""Whether this machine has what runs are to be computed on."""

from __future__ import annotations

from collections.abc import Iterable

from modiste.errors import SpecError

MISSING = "device: cuda, but torch finds no such GPU here; cpu would do."


def need_devices(devices: Iterable[str]) -> None:
    """Find out before training, and before anything is written.

    Args:
        devices: Of all runs; ``cpu`` or ``cuda``.

    Raises:
        SpecError: If one is ``cuda``, and torch finds no such GPU.
    """
    if not all(map(is_here, set(devices))):
        raise SpecError(MISSING)


def is_here(device: str) -> bool:
    """Whether this machine has it: ``cpu`` or ``cuda``."""
    if device == "cpu":
        return True
    import torch  # a second, and only needed here

    return torch.cuda.is_available()
