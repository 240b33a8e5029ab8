"""What more accuracy costs: the trials that no other one beats in every goal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from modiste.report import figures, svg
from modiste.report.blocks import Block, Cell, Column, Figure, Heading, Panel, Table, TableRow
from modiste.report.context import Context
from modiste.report.numbers import NONE, count, plural, proportion
from modiste.report.searching import Searched, Tried
from modiste.report.section import SECTIONS, Section
from modiste.search.goals import WORDS, figure, front_of
from modiste.spec.search import Goal


def build(context: Context) -> Sequence[Block]:
    """For each search with several goals, its front."""
    blocks: list[Block] = []
    for searched in context.searches:
        if best := _front(context, searched):
            blocks.append(Heading(searched.stage.title, f"pareto-{searched.stage.name}"))
            blocks += [_figure(context, searched, best), _table(context, searched, best)]
    return blocks


def _front(context: Context, searched: Searched) -> list[Tried]:
    """Trials on the front, the most accurate first."""
    tried = {id(each.row.row): each for each in searched.tried}
    best = front_of(context.study, searched.stage.stage) or []
    return [tried[id(row)] for row in best]


def _figure(context: Context, searched: Searched, best: Sequence[Tried]) -> Figure:
    others = [goal for goal in searched.search.goals if goal != "accuracy"]
    name = searched.stage.name
    words = (
        f"{searched.sentence} Validation accuracy "
        f"against {' and '.join(WORDS[goal] for goal in others)}, of trials trained to the end. "
        "Joined: those that no other one beats in all goals together."
    )
    panels = [_panel(context, searched, best, goal) for goal in others]
    return Figure(f"figure-pareto-{name}", [words], panels)


def _panel(context: Context, searched: Searched, best: Sequence[Tried], goal: Goal) -> Panel:
    study = context.study
    whole = [each for each in searched.tried if each.is_whole]
    rest = [each for each in whole if each not in best]

    def sizes(some: Sequence[Tried]) -> list[float]:
        return [figure(study, goal, each.row.row) or np.nan for each in some]

    def plot(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.scatter(
            sizes(rest), [each.reached for each in rest], s=14, color=figures.REST, linewidths=0
        )
        line = sorted(zip(sizes(best), [each.reached for each in best], strict=True))
        axes.plot(
            [size for size, _ in line],
            [accuracy for _, accuracy in line],
            color=figures.SERIES[0],
            marker=figures.MARKERS[0],
            markersize=4.5,
            linewidth=1.2,
        )

    text = figures.drawn(plot, f"Accuracy against {WORDS[goal]}", WORDS[goal])
    first, last = best[0], best[-1]
    label = (
        f"{plural(len(best), 'trial')} on the front, from {proportion(last.reached)} to "
        f"{proportion(first.reached)}."
    )
    return Panel(svg.clean(text, f"pareto-{searched.stage.name}-{goal}"), label)


def _table(context: Context, searched: Searched, best: Sequence[Tried]) -> Table:
    goals = searched.search.goals
    rows = [
        TableRow(
            [Cell(each.row.label), *(_cell(context, goal, each) for goal in goals)],
        )
        for each in best
    ]
    return Table(
        f"table-pareto-{searched.stage.name}",
        [f"The front: {plural(len(best), 'trial')}, the most accurate first."],
        [Column("point", is_number=False), *(Column(WORDS[goal]) for goal in goals)],
        rows,
        notes=[
            [
                (
                    "Which trials are on a front is chosen by looking, as a winner is: on fresh "
                    "seeds their accuracies will be a little lower."
                )
            ]
        ],
        command=context.command(searched.stage.name),
        is_sortable=len(rows) > 1,
    )


def _cell(context: Context, goal: Goal, each: Tried) -> Cell:
    value = figure(context.study, goal, each.row.row)
    if value is None:
        return Cell(NONE)
    if goal == "accuracy":
        return Cell(proportion(value), value)
    return Cell(f"{1000 * value:.3g} ms" if goal == "latency" else count(value), value)


SECTIONS.add("pareto", Section("What accuracy costs", 36, build))
