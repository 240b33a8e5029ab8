"""What a checkpoint says of itself, read without its tensors and without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from modiste.errors import ResumeError


@dataclass(frozen=True)
class EpochRow:
    """One line of the history. Training figures are as seen in training, dropout and all."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float


def is_within(checkpoint: bytes, until: int | None) -> bool:
    """Whether a checkpoint stands before the end of that epoch, or right at it.

    A run that is cut there can go on from such a one only. No epoch is no end.

    Raises:
        ResumeError: If it is no checkpoint of ours.
    """
    counters = counters_of(checkpoint)
    epoch, step = counters["epoch"], counters["step"]
    return until is None or epoch < until or (epoch == until and step == 0)


def history_of(checkpoint: bytes) -> list[EpochRow]:
    """The epochs that a checkpoint has behind it.

    Raises:
        ResumeError: If it is no checkpoint of ours.
    """
    return [EpochRow(**row) for row in counters_of(checkpoint)["history"]]


def counters_of(checkpoint: bytes) -> dict[str, Any]:
    """The counters in its header.

    Raises:
        ResumeError: If it is no checkpoint of ours.
    """
    try:
        size = int.from_bytes(checkpoint[:8], "little")
        header = json.loads(checkpoint[8 : 8 + size])
        counters: dict[str, Any] = json.loads(header["__metadata__"]["state"])
    except (KeyError, ValueError) as error:
        raise ResumeError(f"this checkpoint cannot be read ({error}).") from None
    return counters
