"""Points that Optuna's samplers choose: in memory, by ask and tell, from told results alone.

The study that a sampler looks at is made anew for each point. It holds the trials that were told,
in order, and nothing that is running; what a sampler remembers between trials is made again by
asking and telling through them (`replays`). So a point depends on results and seed, and a search
that was stopped anywhere goes on with the points it would have had.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING

from modiste import seeds
from modiste.search.drawing import even_points, first_new
from modiste.spec.search import Told
from modiste.spec.settings import Settings
from modiste.spec.space import Choices, Domain, Space, is_met

if TYPE_CHECKING:
    import optuna

    Sampler = Callable[[int], optuna.samplers.BaseSampler]

# What a sampler is asked before evenly spread points take its place: in a small space it comes
# back to the points it likes, all of which were tried.
ATTEMPTS = 4


def optuna_point(
    sampler: Sampler,
    space: Space,
    seed: int,
    number: int,
    tried: Collection[str],
    told: Sequence[Told],
    *,
    replays: bool = False,
) -> Settings:
    """The next point of a sampler that was not tried before.

    Args:
        sampler: Makes it, from a seed.
        space: That the method can search.
        seed: Of the method.
        number: Of the trial.
        tried: Identities of the points before it.
        told: Results, in order.
        replays: Whether the sampler keeps state with its trials, as CMA-ES and NSGA-II do.
    """
    guided = _asked(sampler, seeds.derive(seed, "optuna", number), space, told, replays)
    even = even_points(space, seed, number)
    return first_new(chain(islice(guided, ATTEMPTS), even), space, tried, seed)


def _asked(
    sampler: Sampler, seed: int, space: Space, told: Sequence[Told], replays: bool
) -> Iterator[Settings]:
    """What the sampler answers, asked again and again; what was not taken is told as failed."""
    import optuna

    results = finite(told)
    with _quiet():
        made = sampler(seed % 2**32)  # its generators take 32 bits
        num_goals = len(results[0]) if results else 1
        study = optuna.create_study(directions=["maximize"] * num_goals, sampler=made)
        for result, values in zip(told, results, strict=True):
            _tell(study, space, result.point, values, replays)
    while True:
        with _quiet():
            trial = study.ask()
            point = _suggested(trial, space)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        yield point


def finite(told: Sequence[Told]) -> list[tuple[float, ...]]:
    """The values of told trials; what broke counts as the worst that was told of each goal.

    A number far below all others would flatten a model of the rest, and NaN would end it.
    """
    good = [trial.values for trial in told if trial.values is not None]
    worst = tuple(min(values) for values in zip(*good, strict=True)) if good else (0.0,)
    return [worst if trial.values is None else trial.values for trial in told]


def _tell(
    study: optuna.Study, space: Space, point: Settings, values: tuple[float, ...], replays: bool
) -> None:
    from optuna.trial import create_trial

    codes = {key: encode(space.domains[key], value) for key, value in point.items()}
    if replays:
        study.enqueue_trial(codes)
        asked = study.ask()
        _suggested(asked, space)
        study.tell(asked, list(values))
        return
    distributions = {key: distribution(space.domains[key]) for key in point}
    study.add_trial(create_trial(params=codes, distributions=distributions, values=list(values)))


def _suggested(trial: optuna.Trial, space: Space) -> Settings:
    point: Settings = {}
    for key, found in space.domains.items():
        if is_met(found.when, point):
            point[key] = decode(found, _suggest(trial, key, distribution(found)))
    return point


def _suggest(
    trial: optuna.Trial, key: str, allowed: optuna.distributions.BaseDistribution
) -> float:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(allowed, FloatDistribution):
        return trial.suggest_float(key, allowed.low, allowed.high, log=allowed.log)
    if isinstance(allowed, IntDistribution):
        return trial.suggest_int(key, allowed.low, allowed.high, log=allowed.log)
    assert isinstance(allowed, CategoricalDistribution)
    place = trial.suggest_categorical(key, allowed.choices)
    assert isinstance(place, int)
    return place


def distribution(found: Domain) -> optuna.distributions.BaseDistribution:
    """What Optuna knows of a key: a range, places in an ordered list, or names of categories."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if by_place(found):
        last = len(found.listed or ()) - 1
        if found.is_ordered:
            return IntDistribution(0, last)
        return CategoricalDistribution(tuple(range(last + 1)))
    assert not isinstance(found, Choices)
    if found.integer:
        return IntDistribution(int(found.low), int(found.high), log=found.log)
    return FloatDistribution(found.low, found.high, log=found.log)


def encode(found: Domain, value: object) -> float:
    """A value as Optuna has it."""
    if by_place(found):
        return (found.listed or ()).index(value)
    assert isinstance(value, int | float)
    return value


def decode(found: Domain, code: float) -> object:
    """What `encode` was given, or would have to be."""
    if by_place(found):
        return (found.listed or ())[int(code)]
    assert not isinstance(found, Choices)
    return found.tidy(code)


def by_place(found: Domain) -> bool:
    """Whether a value is known by its number among those there are, and not by what it is."""
    return isinstance(found, Choices) or bool(found.step or found.num)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna without its log, and without its word that a part of it is new."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
