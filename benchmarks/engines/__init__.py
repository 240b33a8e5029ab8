"""One file for each search engine: how its documentation has a slice of the MLP grid searched."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

NAMES = ("modiste", "talos", "keras_tuner", "keras_tuner_workers")


@dataclass(frozen=True)
class Slice:
    """A part of the reference study's MLP grid: every shape with every dropout.

    Attributes:
        hidden: Units of the hidden layers, of each shape.
        dropouts: Rates.
        epochs: Of each training.
        batch_size: Images.
    """

    hidden: tuple[tuple[int, ...], ...]
    dropouts: tuple[float, ...]
    epochs: int
    batch_size: int = 128

    @property
    def num_trials(self) -> int:
        """How many trainings that is."""
        return len(self.hidden) * len(self.dropouts)


@dataclass(frozen=True)
class Job:
    """What an engine is given.

    Attributes:
        images: A folder with the images as arrays: `benchmarks.engines.keras_mlp` says which.
        folder: Empty; for whatever the engine writes.
        cores: That it may use.
        data: Where Fashion-MNIST lies, for an engine that reads it by itself; looked for if none.
    """

    slice: Slice
    images: str
    folder: str
    cores: int
    data: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Back from that."""
        part = dict(values["slice"])
        part["hidden"] = tuple(map(tuple, part["hidden"]))
        part["dropouts"] = tuple(part["dropouts"])
        return cls(**{**values, "slice": Slice(**part)})


@dataclass(frozen=True)
class Trial:
    """A point of the grid that was trained.

    Attributes:
        seconds: In training, its validation after each epoch included; none if another process
            trained it.
    """

    hidden: tuple[int, ...]
    dropout: float
    val_accuracy: float
    seconds: float | None

    @property
    def words(self) -> str:
        """The point, for people."""
        return f"{'-'.join(map(str, self.hidden))}, dropout {self.dropout:g}"


@dataclass(frozen=True)
class Report:
    """What an engine says as soon as it knows the ranking.

    Attributes:
        began: When the first training did, in seconds since 1970.
        lanes: Trainings side by side.
        trials: Best first, as the engine ranks them.
    """

    began: float
    lanes: int
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Back from that."""
        trials = (Trial(**{**each, "hidden": tuple(each["hidden"])}) for each in values["trials"])
        return cls(values["began"], values["lanes"], tuple(trials))


class Engine(Protocol):
    """What each of these modules holds."""

    # Libraries that it needs, as they are imported.
    NEEDS: tuple[str, ...]
    # Set before anything is imported.
    ENVIRONMENT: Mapping[str, str]

    def search(self, job: Job, tell: Callable[[Report], None]) -> None:
        """Search, and tell the ranking once it is known; what the engine does then is its own."""


def engine(name: str) -> Engine:
    """The engine of that name."""
    return importlib.import_module(f"benchmarks.engines.{name}")  # type: ignore[return-value]
