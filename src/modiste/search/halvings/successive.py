"""Successive halving: all start, the better ones go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from modiste.spec.search import HALVINGS, Bracket, Halving, Rung


@HALVINGS.register("successive")
class Successive(Halving):
    """One of `factor` trials goes on from each rung, until `finish` are left; these go to the end.

    Attributes:
        bracket: Trials that compete; all of the search if not given. A search that may end at any
            time takes brackets that fit into it several times.
        finish: Trials of a bracket that are trained to the end.

    Example:
        >>> halving = Successive(first_epochs=3, factor=3)
        >>> [(rung.num, rung.until) for rung in next(halving.brackets(30)).rungs]
        [(30, 3), (10, 9), (3, 27), (1, None)]

    Source:
        K. Jamieson and A. Talwalkar, AISTATS 2016, arXiv:1502.07943.
    """

    name: Literal["successive"] = "successive"
    bracket: int | None = Field(None, ge=1)
    finish: int = Field(1, ge=1)

    def brackets(self, num_trials: int) -> Iterator[Bracket]:
        size = self.bracket or num_trials
        for first in range(0, num_trials, size):
            stop = min(first + size, num_trials)
            yield Bracket(first, stop, self._rungs(stop - first))

    def _rungs(self, num: int) -> tuple[Rung, ...]:
        rungs, epochs = [], self.first_epochs
        while num > self.finish:
            rungs.append(Rung(num, epochs))
            num, epochs = max(self.finish, num // self.factor), epochs * self.factor
        return (*rungs, Rung(num, None))
