"""Table cells that several sections print alike."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.evaluate.intervals import wilson
from modiste.report.blocks import Cell
from modiste.report.facts import RowFacts, StageFacts, deviation, mean
from modiste.report.numbers import NONE, points, proportion, spread


def over_seeds(
    values: Sequence[float], *, is_strong: bool = False, mark: str = "", deviates: bool = True
) -> Cell:
    """The mean over seeds, with the standard deviation where there are several."""
    if not values:
        return Cell(NONE)
    text = spread(mean(values), deviation(values) if deviates else None)
    return Cell(text, mean(values), is_strong=is_strong, mark=mark)


def interval(values: Sequence[float], total: int) -> Cell:
    """Wilson's 95 % interval of the mean accuracy: the seeds all answered the same images."""
    average = mean(values)
    if average is None or not total:
        return Cell(NONE)
    low, high = wilson(round(average * total), total)
    return Cell(f"{proportion(low)}–{proportion(high)}", low)


def difference(ours: float | None, theirs: float | None, *, is_cut: bool) -> Cell:
    """Ours less the published accuracy, in points; marked and muted if our run was cut."""
    if ours is None or theirs is None:
        return Cell(NONE)
    return Cell(points(ours - theirs), ours - theirs, is_muted=is_cut, mark="‡" if is_cut else "")


def full_name(stage: StageFacts, row: RowFacts) -> str:
    """Of a model outside the table of its stage."""
    return stage.title if len(stage.rows) == 1 else f"{stage.title} – {row.label}"
