"""Optuna's Gaussian process: a model of the results, and the point that promises most by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from threadpoolctl import threadpool_limits

from modiste.errors import SpecError
from modiste.search.drawing import even_point
from modiste.search.optuna_points import optuna_point
from modiste.spec.search import METHODS, Goal, Learner, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space


@METHODS.register("gaussian_process")
class GaussianProcess(Learner):
    """A Gaussian process with a Matérn kernel, and the largest expected improvement.

    Good with few, dear trials; choosing a point takes about a second once there are hundreds.

    Source:
        S. Watanabe and others, Optuna's `GPSampler`; expected improvement in logarithms:
        S. Ament et al., NeurIPS 2023, arXiv:2310.20708.
    """

    name: Literal["gaussian_process"] = "gaussian_process"
    words = "points by a Gaussian process"

    def check(self, space: Space, goals: Sequence[Goal]) -> None:
        if space.is_conditional:
            key = next(key for key, found in space.domains.items() if found.when)
            raise SpecError(
                f"tune.{key}.when: a Gaussian process has no place for a key that is not always "
                "set. tpe has, and so have random, quasi_random and grid."
            )

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        if not told:
            return even_point(space, self.seed, number, tried)
        from optuna.samplers import GPSampler

        # Its matrices are small: on several threads it took four times as long, and more bits
        # could come out another way.
        with threadpool_limits(1):
            return optuna_point(
                lambda seed: GPSampler(
                    seed=seed, n_startup_trials=1, warn_independent_sampling=False
                ),
                space,
                self.seed,
                number,
                tried,
                told,
            )
