"""Whether this machine has what runs are to be computed on."""

from __future__ import annotations

from collections.abc import Iterable

from modiste.errors import SpecError


def need_devices(devices: Iterable[str]) -> None:
    """Find out before training, and before anything is written.

    Args:
        devices: Of all runs; ``cpu`` or ``cuda``.

    Raises:
        SpecError: If one is ``cuda``, and torch finds no such GPU.
    """
    if "cuda" not in set(devices):
        return
    import torch  # a second, and only needed here

    if not torch.cuda.is_available():
        raise SpecError("device: cuda, but torch finds no such GPU here; cpu would do.")
