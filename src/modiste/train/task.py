"""What a worker is asked and what it answers. Who drives a study loads this without torch."""

from __future__ import annotations

from dataclasses import dataclass

from modiste.runs.run import RunRecord
from modiste.spec.run import RunSpec


@dataclass(frozen=True)
class Task:
    """What is to be done.

    Attributes:
        spec: The run.
        fingerprint: Of the run; an answer carries it.
        checkpoint: Where to go on from, or none.
        seconds: How far: the worker comes back with a checkpoint after about so long.
    """

    spec: RunSpec
    fingerprint: str
    checkpoint: bytes | None
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How a run stands, in numbers that a person wants to see.

    Attributes:
        epoch: Epochs finished.
        epochs: The limit.
        phase: ``train`` or ``infer``; `done` of `total` batches of it. Of a model that is fitted
            in one go it is ``fit``, `done` are the seconds since, and all else is 0.
        val_accuracy: After the last epoch finished, or none.
    """

    fingerprint: str
    epoch: int
    epochs: int
    phase: str
    done: int
    total: int
    val_accuracy: float | None


@dataclass(frozen=True)
class Outcome:
    """A run that goes on from a checkpoint, or its record.

    Both, if it was cut and could go on. Neither, if a model that is fitted in one go was given up
    because somebody wanted to stop.
    """

    fingerprint: str
    checkpoint: bytes | None = None
    record: RunRecord | None = None


@dataclass(frozen=True)
class Sample:
    """What was measured of a run that was only begun.

    Attributes:
        fingerprint: Of the task.
        seconds_per_update: Mean over the updates after the first.
        seconds_per_image: Mean over inferred images.
        core_share: Of the processor's time that its threads could have had, what they got: about
            1 on a machine of its own.
        memory_bytes: Of the process by then; what it shares with others is divided among them.
    """

    fingerprint: str
    seconds_per_update: float
    seconds_per_image: float
    core_share: float
    memory_bytes: int
