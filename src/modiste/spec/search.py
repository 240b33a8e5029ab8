"""A search as a file describes it: what is compared, what is tuned, how points are chosen.

    search:
      method: {name: random, seed: 0}
      trials_per_value: 32
      compare: {model.params.dropout: [0.0, 0.3]}      what the question is about
      tune:                                            tuned afresh for every compared value
        train.optimizer.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
      halving: {name: successive, first_epochs: 3}     most points are trained a little only

What stands beside `search` (`model`, `train`, `data`) is fixed.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from modiste.errors import SpecError
from modiste.spec.base import Spec, join
from modiste.spec.registry import Registry
from modiste.spec.settings import Settings
from modiste.spec.space import Choices, Range, Space, check_space, check_values, domain, identity
from modiste.spec.talos import from_talos

Goal = Literal["accuracy", "parameters", "flops", "latency"]


@dataclass(frozen=True)
class Told:
    """What came out of a trial.

    Attributes:
        point: Its settings.
        values: One number for each goal, of which more is better; none if it broke.
    """

    point: Settings
    values: tuple[float, ...] | None


class Method(Spec):
    """How the points of a search are chosen, one by one.

    A point is a function of its number, of the points before it and, if the method learns, of what
    earlier trials came to: never of what is running, of the clock, or of how many work at once.
    """

    name: str
    # How a sentence in the report names it.
    words: ClassVar[str]

    def num_needed(self, number: int) -> int:
        """How many trials, from the first, must have ended before this one can be chosen."""
        return 0

    def check(self, space: Space, goals: Sequence[Goal]) -> None:
        """Say what it cannot do.

        Raises:
            SpecError: If it cannot search that space, or not for several goals; names the key and
                methods that can.
        """

    @abstractmethod
    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        """The point of one trial: inside the space, and not among those before.

        Args:
            space: Passed `check`, and has more than `number` points.
            number: Of the trial, from 0.
            tried: Identities (`modiste.spec.space.identity`) of the points before it.
            told: Of the first `num_needed` trials, in order.
        """


class Learner(Method):
    """A method that chooses trial n by the results of trials 0 to n - lag, told in order.

    Attributes:
        seed: Of all its chance.
        lag: How far it lags behind, which is how many trials can be under way at once. It is part
            of the search: the points are the same however many workers there are.
        startup: Trials that are spread evenly over the space before anything is learnt.
    """

    seed: int = Field(0, ge=0)
    lag: int = Field(4, ge=1)
    startup: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _has_something_to_learn_from(self) -> Self:
        if self.startup < self.lag:
            raise SpecError(
                f"startup: {self.startup}, but the lag is {self.lag}: the first trial that learns "
                "would have nothing to learn from. Raise startup, or lower lag."
            )
        return self

    def num_needed(self, number: int) -> int:
        return 0 if number < self.startup else max(0, number - self.lag + 1)


@dataclass(frozen=True)
class Rung:
    """A length that some trials of a bracket are trained to.

    Attributes:
        num: Trials that get there.
        until: Epochs; none for the end.
    """

    num: int
    until: int | None


@dataclass(frozen=True)
class Bracket:
    """Trials that compete with one another, and the rungs they climb.

    Attributes:
        first, stop: Numbers of its trials, `stop` not among them.
        rungs: The first holds all of them, the last ends.
    """

    first: int
    stop: int
    rungs: tuple[Rung, ...]


class Halving(Spec):
    """How many trials are trained for how long: the better ones longer.

    Attributes:
        first_epochs: Of the shortest rung.
        factor: Epochs are multiplied by it from rung to rung, and trials divided.
    """

    name: str
    first_epochs: int = Field(3, ge=1)
    factor: int = Field(3, ge=2)

    @abstractmethod
    def brackets(self, num_trials: int) -> Iterator[Bracket]:
        """All brackets for so many trials, in order."""


METHODS: Registry[type[Method]] = Registry("search method", "modiste.search.methods")
HALVINGS: Registry[type[Halving]] = Registry("halving", "modiste.search.halvings")


class SearchSpec(Spec):
    """The points of a stage, chosen as a search goes on.

    Attributes:
        method: A part chosen by name.
        trials_per_value: Points for every compared value (key ``trials`` where nothing is
            compared); all there are, if a grid is not told.
        compare: Keys and their values: what the question is about. Every combination gets a
            search of its own, with the same budget, and the same points where nothing is learnt.
        tune: Keys and what each may be, in the order in which they are set.
        halving: How many trials are trained for how long; all to the end if not given.
        goals: What is weighed; the first is accuracy, which ranks.
    """

    method: SerializeAsAny[Method]
    trials_per_value: int | None = Field(None, ge=1)
    compare: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = {}
    tune: dict[str, SerializeAsAny[Choices | Range]] = {}
    halving: SerializeAsAny[Halving] | None = None
    goals: tuple[Goal, ...] = ("accuracy",)
    # What is read as keys of `tune`, and is not kept beside them.
    read_as_tune: ClassVar[Mapping[str, str]] = {
        "talos": (
            "The dictionary of a `talos.Scan`: each name with a list, a number, a word, or "
            "`(low, high, steps)` with the upper end left out."
        ),
        "rename": (
            "Our key for each name in `talos`; one that ends in `[]` takes each value as a list of "
            "one, as in `model.params.hidden[]`."
        ),
    }

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        """Choose the parts by name, read domains, and take a dictionary of Talos."""
        if not isinstance(values, Mapping):
            return values
        filled = dict(values)
        if "trials" in filled:
            if "trials_per_value" in filled:
                raise SpecError("trials: means trials_per_value; give one of them.")
            filled["trials_per_value"] = filled.pop("trials")
        filled["method"] = _part(METHODS, filled.get("method", "grid"), "method")
        if filled.get("halving") is not None:
            filled["halving"] = _part(HALVINGS, filled["halving"], "halving")
        tune = filled.get("tune") or {}
        if "talos" in filled:
            theirs = _mapping(filled.pop("talos"), "talos")
            tune = {**from_talos(theirs, _mapping(filled.pop("rename", {}), "rename")), **tune}
        elif "rename" in filled:
            raise SpecError("rename: maps names of `talos` to ours, and there is no `talos`.")
        filled["tune"] = {
            str(key): domain(value, join("tune", str(key)))
            for key, value in _mapping(tune, "tune").items()
        }
        return filled

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for key, values in self.compare.items():
            check_values(values, join("compare", key))
        check_space(self.tune, list(self.compare), "tune")
        if not self.tune and not self.compare:
            raise SpecError("tune: nothing is to be searched. Give keys and what each may be.")
        if self.goals[:1] != ("accuracy",) or len(set(self.goals)) != len(self.goals):
            raise SpecError(f"goals: accuracy first, then others, each once; got {self.goals}.")
        for group in self.groups():
            self._check_group(group)
        return self

    def _check_group(self, group: Settings) -> None:
        space, trials = self.space(group), self.trials_per_value
        self.method.check(space, self.goals)
        if trials is None:
            if not space.unlisted and self.method.name == "grid":
                return
            raise SpecError("trials_per_value: how many points are to be tried is needed.")
        if (number := space.count(trials)) < trials:
            of = f" for {group}" if group else ""
            there_are = "is 1 point" if number == 1 else f"are {number} points"
            raise SpecError(
                f"trials_per_value: {trials}, but there {there_are}{of}, and each is tried once. "
                "Ask for fewer, or widen the space."
            )

    def groups(self) -> list[Settings]:
        """Every combination of compared values, the last key fastest; an empty one if none is."""
        values = itertools.product(*self.compare.values())
        return [dict(zip(self.compare, each, strict=True)) for each in values]

    def space(self, group: Settings) -> Space:
        """What is tuned for one combination of compared values."""
        return Space(self.tune).within(group)

    def num_trials(self, group: Settings) -> int:
        """Points for one combination."""
        if self.trials_per_value is not None:
            return self.trials_per_value
        return len(list(self.space(group).points()))

    def brackets(self, group: Settings) -> list[Bracket]:
        """Of one combination; one of a single rung where all are trained to the end."""
        num = self.num_trials(group)
        if self.halving is None:
            return [Bracket(0, num, (Rung(num, None),))]
        return list(self.halving.brackets(num))

    def samples(self) -> list[Settings]:
        """A few points that together hold every listed value and both ends of every range."""
        rows = [
            {**group, **point} for group in self.groups() for point in self.space(group).samples()
        ]
        return list({identity(row): row for row in rows}.values())


def _part(registry: Registry[Any], value: Any, where: str) -> Any:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        return value
    if "name" not in value:
        raise SpecError(f"{where}.name: a name is needed. Known: {', '.join(registry.names())}.")
    try:
        cls = registry.get(str(value["name"]))
    except SpecError as error:
        raise SpecError(f"{where}.name: {error}") from None
    return cls.parse(value, where)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SpecError(f"{where}: expected keys and values, got {value!r}.")
    return value
