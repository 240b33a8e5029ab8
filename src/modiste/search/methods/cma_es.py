"""CMA-ES: a cloud of points that learns which way is up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from modiste.errors import SpecError
from modiste.search.drawing import even_point
from modiste.search.optuna_points import optuna_point
from modiste.spec.search import METHODS, Goal, Learner, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space

# The package cmaes, which does the arithmetic, cannot turn a cloud of one dimension.
LEAST_KEYS = 2


@METHODS.register("cma_es")
class CmaEs(Learner):
    """Covariance matrix adaptation, for two or more keys that are numbers in order.

    Good with hundreds of cheap trials.

    Source:
        N. Hansen, arXiv:1604.00772; as the package cmaes has it.
    """

    name: Literal["cma_es"] = "cma_es"
    words = "points by CMA-ES"

    def check(self, space: Space, goals: Sequence[Goal]) -> None:
        instead = "tpe takes any space; so do random and quasi_random."
        if len(goals) > 1:
            raise SpecError("goals: CMA-ES knows one. Take nsga2, tpe or gaussian_process.")
        if space.is_conditional:
            key = next(key for key, found in space.domains.items() if found.when)
            raise SpecError(f"tune.{key}.when: CMA-ES needs keys that are always set; {instead}")
        if space.unordered:
            raise SpecError(
                f"tune.{space.unordered[0]}: CMA-ES needs numbers in order, and these values are "
                f"not; {instead}"
            )
        varied = [key for key, found in space.domains.items() if len(found.listed or "ab") > 1]
        if len(varied) < LEAST_KEYS:
            raise SpecError(f"tune: CMA-ES needs {LEAST_KEYS} keys that vary; {instead}")

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        if not told:
            return even_point(space, self.seed, number, tried)
        from optuna.samplers import CmaEsSampler

        return optuna_point(
            lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
            space,
            self.seed,
            number,
            tried,
            told,
            replays=True,
        )
