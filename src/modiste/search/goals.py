"""What a search weighs beside accuracy: parameters, FLOPs, and the time that one image takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modiste.errors import SpecError
from modiste.search import latency
from modiste.search.row import Row
from modiste.spec.parts import ModelFamily
from modiste.spec.search import Goal

if TYPE_CHECKING:
    from modiste.search.study import Stage, Study

# How a goal other than accuracy is printed, and its unit.
WORDS: dict[Goal, str] = {
    "accuracy": "validation accuracy",
    "parameters": "parameters",
    "flops": "FLOPs of one image",
    "latency": "seconds for one image",
}


def figure(study: Study, goal: Goal, row: Row) -> float | None:
    """One figure of a finished row, in its own unit.

    Returns:
        None for a latency that was not measured yet, and of a row that broke for its accuracy and
        for whatever it has no net for.

    Raises:
        SpecError: If the model has no such figure.
    """
    if goal == "accuracy":
        accuracy = row.mean(study.spec.rank_epoch, "val", "accuracy")
        return None if math.isnan(accuracy) else accuracy
    run = row.runs[0]
    if goal == "latency":
        return latency.read(study.folder).get(latency.net_of(run))
    if isinstance(run.spec.model.params, ModelFamily) and not run.layers["layers"]:
        return None
    value = run.layers["parameters"]["total"] if goal == "parameters" else run.layers[_FLOPS]
    if value is None:
        raise SpecError(
            f"goals: {row.label}: {run.spec.model.family!r} is fitted in one go and has no {goal}."
        )
    return float(value)


def goal_values(study: Study, goals: tuple[Goal, ...], row: Row) -> tuple[float, ...] | None:
    """A number for each goal, of which more is better; none of a row that broke.

    Sizes and times are weighed by their logarithm: half as many parameters are worth the same,
    wherever one stands.
    """
    answer = []
    for goal in goals:
        value = figure(study, goal, row)
        if value is None:
            return None
        answer.append(value if goal == "accuracy" else -math.log10(max(value, 1e-12)))
    return tuple(answer)


def front(values: list[tuple[float, ...]]) -> list[bool]:
    """Which of some points are not beaten: no other is as good in all goals and better in one.

    Example:
        >>> front([(0.91, -5.0), (0.92, -6.0), (0.90, -5.5)])
        [True, True, False]
    """
    return [
        not any(
            other != mine and all(o >= m for o, m in zip(other, mine, strict=True))
            for other in values
        )
        for mine in values
    ]


def front_of(study: Study, stage: Stage) -> list[Row] | None:
    """The rows of a search with several goals that no other one beats in all of them, best first.

    Only those compete that were trained to the end: of a beginning, accuracy says less than size.

    Returns:
        None of a stage that has not several goals.
    """
    search = stage.spec.searched(study.profile)
    if search is None or len(search.goals) == 1:
        return None
    pairs = [
        (row, values)
        for row in stage.ranked(study.spec.rank_epoch)
        if row.until is None and (values := goal_values(study, search.goals, row)) is not None
    ]
    is_best = front([values for _, values in pairs])
    return [row for (row, _), is_one in zip(pairs, is_best, strict=True) if is_one]


_FLOPS = "flops_forward"
