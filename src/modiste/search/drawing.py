"""Points that are drawn without learning, and what keeps any method from choosing one twice."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator

from modiste import seeds
from modiste.errors import SpecError
from modiste.spec.settings import Settings
from modiste.spec.space import Space, identity

# Draws of one trial, if all of them are points that were tried, before the rest is listed.
ATTEMPTS = 64


def first_new(
    candidates: Iterable[Settings], space: Space, tried: Collection[str], seed: int
) -> Settings:
    """The first of some candidates that was not tried before.

    Where the first of them all were, the points that are left are listed, and one is drawn. In a
    small space most draws come to that at the end, so the last points are found as well.

    Raises:
        SpecError: If the space cannot be listed and only tried points come; it is then too narrow.
    """
    for point in itertools.islice(candidates, ATTEMPTS):
        if identity(point) not in tried:
            return point
    if space.endless:
        raise SpecError(
            f"tune.{space.endless[0]}: {ATTEMPTS} draws gave no new point: too few are left. Ask "
            "for fewer trials."
        )
    left = [point for point in space.points() if identity(point) not in tried]
    return left[int(seeds.generator(seed, "left", len(tried)).integers(len(left)))]


def random_points(space: Space, seed: int, number: int) -> Iterator[Settings]:
    """Draws for one trial, one after the other; they depend on nothing but its number."""
    chance = seeds.generator(seed, "search", number)
    while True:
        yield space.at(chance.random(len(space.domains)).tolist())


def even_points(space: Space, seed: int, first: int) -> Iterator[Settings]:
    """Points that fill the space evenly: those of a scrambled Sobol sequence, from one on.

    Source:
        A. B. Owen, J. Complexity 14 (1998) 466-489, doi:10.1006/jcom.1998.0487; as SciPy has it.
    """
    from scipy.stats import qmc

    num_keys = len(space.domains)
    chance = seeds.generator(seed, "even")
    engine = qmc.Sobol(num_keys, scramble=True, rng=chance) if num_keys else None
    if engine is not None and first:
        engine.fast_forward(first)
    while True:
        yield space.at([] if engine is None else engine.random(1)[0].tolist())


def even_point(space: Space, seed: int, number: int, tried: Collection[str]) -> Settings:
    """The point of one trial, where each is the next of `even_points` that was not tried."""
    return first_new(even_points(space, seed, number), space, tried, seed)
