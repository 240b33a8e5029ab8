"""Points that fill the space more evenly than chance does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import Field

from modiste.search.drawing import even_point
from modiste.spec.search import METHODS, Method, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space


@METHODS.register("quasi_random")
class QuasiRandom(Method):
    """The points of a scrambled Sobol sequence: random ones, without clusters and holes.

    Attributes:
        seed: Of the scrambling.
    """

    name: Literal["quasi_random"] = "quasi_random"
    words = "points spread evenly (Sobol)"
    seed: int = Field(0, ge=0)

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        return even_point(space, self.seed, number, tried)
