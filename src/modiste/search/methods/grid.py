"""Every point once: the last key fastest, as a grid is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from modiste.errors import SpecError
from modiste.spec.search import METHODS, Goal, Method, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Space

# No study trains more points than this; more is a slip, such as a step too small.
LIMIT = 100_000


@METHODS.register("grid")
class Grid(Method):
    """Every combination, in the order of the file: the first key slowest, the last fastest.

    With fewer trials than points, the first of them in that order.
    """

    name: Literal["grid"] = "grid"
    words = "every point once"

    def check(self, space: Space, goals: Sequence[Goal]) -> None:
        if space.unlisted:
            key = space.unlisted[0]
            raise SpecError(
                f"tune.{key}: a grid needs values that can be listed. Give a list, or `num` or "
                "`step` beside low and high; random and quasi_random take ranges as they are."
            )
        if space.count(LIMIT + 1) > LIMIT:
            raise SpecError(f"method: a grid of more than {LIMIT:,} points. Take random instead.")

    def propose(
        self, space: Space, number: int, tried: Collection[str], told: Sequence[Told]
    ) -> Settings:
        return dict(space.listed[number])
