"""Hyperband: successive halving several times, each time bolder or more patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from modiste.spec.search import HALVINGS, Bracket, Halving, Rung


@HALVINGS.register("hyperband")
class Hyperband(Halving):
    """Brackets that cost about the same: many trials cut early, or fewer cut late.

    How early a trial can be judged depends on the problem, so no single first rung is right. After
    the last bracket the first comes again, for as many trials as there are. It saves less than
    `successive`: at its defaults 30 trials of 30 to 100 epochs take 2.6 to 3.6 times fewer epochs
    than each of them trained to the end, where `successive` takes 4.3 to 10.8 times fewer.

    Attributes:
        num_brackets: The first bracket begins with `first_epochs`, each next one with `factor`
            times as many, and the last trains all of its trials to the end.

    Example:
        >>> halving = Hyperband(first_epochs=1, factor=3, num_brackets=3)
        >>> [[(rung.num, rung.until) for rung in each.rungs] for each in halving.brackets(17)]
        [[(9, 1), (3, 3), (1, None)], [(5, 3), (1, None)], [(3, None)]]

    Source:
        L. Li et al., JMLR 18 (2018) 1-52, Algorithm 1.
    """

    name: Literal["hyperband"] = "hyperband"
    num_brackets: int = Field(3, ge=1, le=10)

    def brackets(self, num_trials: int) -> Iterator[Bracket]:
        first = 0
        while first < num_trials:
            for number in range(self.num_brackets):
                stop = min(first + self._size(number), num_trials)
                if first < stop:
                    yield Bracket(first, stop, self._rungs(number, stop - first))
                first = stop

    def _size(self, number: int) -> int:
        """Trials of one bracket: more where they are cut earlier."""
        halvings = self.num_brackets - 1 - number
        return -(-self.num_brackets * int(self.factor**halvings) // (halvings + 1))

    def _rungs(self, number: int, num: int) -> tuple[Rung, ...]:
        rungs, epochs = [], self.first_epochs * self.factor**number
        for _ in range(self.num_brackets - 1 - number):
            rungs.append(Rung(num, epochs))
            num, epochs = max(1, num // self.factor), epochs * self.factor
        return (*rungs, Rung(num, None))
