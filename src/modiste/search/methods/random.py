"""Points drawn at random, each on its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import Field

from modiste.search.drawing import first_new, random_points
from modiste.spec.search import METHODS, Method, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space


@METHODS.register("random")
class Random(Method):
    """Each point is drawn on its own, evenly on the scale of each key.

    Attributes:
        seed: Of the draws; trial n has the same point in every search with this space and seed.
    """

    name: Literal["random"] = "random"
    words = "points drawn at random"
    seed: int = Field(0, ge=0)

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        return first_new(random_points(space, self.seed, number), space, tried, self.seed)
