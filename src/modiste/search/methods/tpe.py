"""Optuna's TPE: draws near the good results and away from the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import Field

from modiste.search.drawing import even_point
from modiste.search.optuna_points import optuna_point
from modiste.spec.search import METHODS, Learner, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space


@METHODS.register("tpe")
class Tpe(Learner):
    """A tree-structured Parzen estimator, over all keys together.

    It takes any space and any number of goals.

    Attributes:
        candidates: Draws from which the most promising is taken.

    Source:
        J. Bergstra et al., NeurIPS 2011; as Optuna has it: S. Watanabe, arXiv:2304.11127.
    """

    name: Literal["tpe"] = "tpe"
    words = "points by TPE"
    candidates: int = Field(24, ge=1)

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        if not told:
            return even_point(space, self.seed, number, tried)
        from optuna.samplers import TPESampler

        return optuna_point(
            lambda seed: TPESampler(
                seed=seed,
                n_startup_trials=1,
                n_ei_candidates=self.candidates,
                multivariate=True,
                group=space.is_conditional,
                constant_liar=False,  # nothing is running, as far as it is told
            ),
            space,
            self.seed,
            number,
            tried,
            told,
        )
