"""Which trials of a search go on, and how far: what the rungs that are complete decide.

Nothing here runs or chooses anything: it reads what the finished runs say, so it comes out the
same however often, and wherever, it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from modiste.runs.run import Epoch
from modiste.search.row import Row, rank_key
from modiste.spec.search import Bracket


@dataclass(frozen=True)
class Trial:
    """A point that a search has chosen, as far as it was let up.

    Attributes:
        group: Number of its combination of compared values.
        number: Within that.
        bracket: Number of the trials that it competes with.
        rungs: A row for each rung that it was let up to.
        stands: Number of the one that speaks for it: the last, unless a budget has closed its
            search; then it is the last that it has ended.
    """

    group: int
    number: int
    bracket: int
    rungs: tuple[Row, ...]
    stands: int = -1

    @property
    def row(self) -> Row:
        return self.rungs[self.stands]

    @property
    def top(self) -> Row:
        """Up to where it was let."""
        return self.rungs[-1]

    @property
    def closed(self) -> Trial:
        """The same, if nothing more comes of it."""
        ended = [number for number, row in enumerate(self.rungs) if row.is_done]
        return replace(self, stands=ended[-1]) if ended else self


def climb(
    group: int,
    rows: Sequence[Row],
    brackets: Sequence[Bracket],
    cut: Callable[[Row, int], Row],
    epoch: Epoch,
    *,
    foresees: bool = False,
) -> list[Trial]:
    """How far each trial of a group has been let up.

    Args:
        group: Its number.
        rows: Of the whole trainings of the points chosen so far, in order.
        brackets: Of all that will be chosen.
        cut: The same point's row, stopped after so many epochs.
        epoch: Whose validation accuracy ranks.
        foresees: Let some trials up from rungs that are not complete, too: as many as will be,
            those that are known to be good and then the first ones.
    """
    answer = []
    for number, bracket in enumerate(brackets):
        members = rows[bracket.first : bracket.stop]
        is_all = len(members) == bracket.stop - bracket.first
        climbed = _climbed(members, bracket, cut, epoch, is_all=is_all, foresees=foresees)
        for place, rungs in enumerate(climbed):
            answer.append(Trial(group, bracket.first + place, number, tuple(rungs)))
    return answer


def _climbed(
    members: Sequence[Row],
    bracket: Bracket,
    cut: Callable[[Row, int], Row],
    epoch: Epoch,
    *,
    is_all: bool,
    foresees: bool,
) -> list[list[Row]]:
    """Rows of each member, one for each rung that it was let up to."""
    climbed: list[list[Row]] = [[] for _ in members]
    up = list(range(len(members)))
    for number, rung in enumerate(bracket.rungs):
        if number:
            up = [place for _, place in sorted(_good(up, climbed, epoch))[: rung.num]]
        for place in up:
            whole = members[place]
            climbed[place].append(whole if rung.until is None else cut(whole, rung.until))
        is_complete = is_all and all(climbed[place][-1].is_done for place in up)
        if not is_complete and not foresees:
            break
    return climbed


def _good(
    up: Sequence[int], climbed: Sequence[Sequence[Row]], epoch: Epoch
) -> list[tuple[tuple[float, int, int], int]]:
    """Those that may go on from a rung, to be sorted: none that broke; what is not known last."""
    answer = []
    for place in up:
        row = climbed[place][-1]
        if not row.is_done:
            answer.append(((math.inf, 0, place), place))
        elif not math.isnan(row.mean(epoch, "val", "correct")):
            answer.append((rank_key(row, epoch, place), place))
    return answer
