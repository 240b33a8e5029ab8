"""NSGA-II: a population that is bred for several goals at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import Field

from modiste.errors import SpecError
from modiste.search.drawing import even_point
from modiste.search.optuna_points import optuna_point
from modiste.spec.search import METHODS, Goal, Learner, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space


@METHODS.register("nsga2")
class Nsga2(Learner):
    """The nondominated sorting genetic algorithm; what it finds is a front, not a winner.

    Attributes:
        population: Trials of a generation. The first one is spread evenly.

    Source:
        K. Deb et al., IEEE Trans. Evol. Comput. 6 (2002) 182-197, doi:10.1109/4235.996017.
    """

    name: Literal["nsga2"] = "nsga2"
    words = "points by NSGA-II"
    startup: int = Field(12, ge=1)
    population: int = Field(12, ge=2)

    def check(self, space: Space, goals: Sequence[Goal]) -> None:
        if space.is_conditional:
            key = next(key for key, found in space.domains.items() if found.when)
            raise SpecError(
                f"tune.{key}.when: NSGA-II crosses points key by key, so every key must always be "
                "set. tpe takes conditions, and several goals, too."
            )

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        if not told:
            return even_point(space, self.seed, number, tried)
        from optuna.samplers import NSGAIISampler

        return optuna_point(
            lambda seed: NSGAIISampler(seed=seed, population_size=self.population),
            space,
            self.seed,
            number,
            tried,
            told,
            replays=True,
        )
