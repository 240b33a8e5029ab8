"""How each search went: how points were chosen, what was compared, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from modiste.report import figures, svg
from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Heading,
    LegendItem,
    Panel,
    Paragraph,
    Table,
    TableRow,
)
from modiste.report.context import Context
from modiste.report.numbers import NONE, bound, count, plural, points, proportion
from modiste.report.searching import Searched, Tried, described, spent
from modiste.report.section import SECTIONS, Section
from modiste.search.versus import contrast_of


def build(context: Context) -> Sequence[Block]:
    """A part for each stage that searches."""
    blocks: list[Block] = []
    for searched in context.searches:
        name = searched.stage.name
        blocks.append(Heading(searched.stage.title, f"search-{name}"))
        blocks.append(Paragraph([described(searched)]))
        if searched.shortest is not None:
            blocks.append(_rungs(searched))
        if len(searched.search.groups()) > 1:
            blocks.append(_compared(context, searched))
        blocks.append(_history(context, searched))
    return blocks


def _history(context: Context, searched: Searched) -> Figure:
    name = searched.stage.name
    groups = _by_group(searched)
    shown = groups[: len(figures.SERIES)]

    def plot(axes: Axes) -> None:
        for style, (_, tried) in enumerate(groups):
            colour = figures.SERIES[style] if style < len(shown) else figures.REST
            marker = figures.MARKERS[style % len(figures.MARKERS)]
            for is_whole in (True, False):
                some = [each for each in tried if each.is_whole == is_whole]
                axes.scatter(
                    [each.trial.number for each in some],
                    [each.reached for each in some],
                    s=14,
                    marker=marker,
                    facecolors=colour if is_whole else "none",
                    edgecolors=colour,
                    linewidths=0.8,
                )
            numbers, best = _best_so_far(tried)
            axes.step(numbers, best, where="post", color=colour, linewidth=1.3)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))

    text = figures.drawn(plot, "Validation accuracy", "trial", figures.WIDE)
    best = searched.best[0]
    words = (
        f"{searched.sentence} Validation accuracy of "
        "each trial, in the order in which they were chosen, and the best so far (line)."
    )
    if searched.shortest is not None:
        words += (
            " Filled: trained to the end; hollow: where halving left it. The line is of those "
            "trained to the end, where there is any."
        )
    label = (
        f"Accuracy by trial, {plural(len(searched.tried), 'trial')}. The best, "
        f"{best.row.label}, reaches {proportion(best.reached)} as trial {best.trial.number}."
    )
    legend = [LegendItem(label, style) for style, (label, _) in enumerate(shown) if label]
    if len(groups) > len(shown):
        legend.append(LegendItem(plural(len(groups) - len(shown), "other"), None))
    return Figure(
        f"figure-history-{name}",
        [words],
        [Panel(svg.clean(text, f"history-{name}"), label)],
        legend,
    )


def _best_so_far(tried: Sequence[Tried]) -> tuple[list[int], list[float]]:
    """Numbers of trials at which the best changed, and what it was from there."""
    whole = [each for each in tried if each.is_whole] or list(tried)
    numbers: list[int] = []
    best: list[float] = []
    for each in sorted(whole, key=lambda each: each.trial.number):
        if not best or each.reached > best[-1]:
            numbers.append(each.trial.number)
            best.append(each.reached)
    last = max(each.trial.number for each in tried)
    return [*numbers, last], [*best, best[-1]]


def _by_group(searched: Searched) -> list[tuple[str, list[Tried]]]:
    """Trials of each combination of compared values that has any."""
    found: dict[int, list[Tried]] = {}
    for each in searched.tried:
        found.setdefault(each.trial.group, []).append(each)
    return [(searched.group_label(number), tried) for number, tried in sorted(found.items())]


def _rungs(searched: Searched) -> Table:
    """What halving did, rung by rung; brackets with the same rung are one line."""
    trials = searched.stage.stage.trials
    lines: dict[float, list[int]] = {}
    for trial in trials:
        for place, row in enumerate(trial.rungs):
            line = lines.setdefault(row.until or math.inf, [0, 0, 0])
            line[0] += 1
            line[1] += row.is_done
            line[2] += place + 1 < len(trial.rungs)
    rows = [
        TableRow(
            [
                Cell("to the end" if math.isinf(until) else count(until), until),
                *(Cell(count(number), number) for number in line),
            ]
        )
        for until, line in sorted(lines.items())
    ]
    cost = sum(spent(trial) for trial in trials)
    name = searched.stage.name
    return Table(
        f"table-rungs-{name}",
        ["Halving, rung by rung: trials that were let up to each, and those that went on from it."],
        [Column("epochs", is_number=False), Column("let up"), Column("trained"), Column("went on")],
        rows,
        notes=[[f"Each epoch is trained once: {count(cost)} in all."]],
    )


def _compared(context: Context, searched: Searched) -> Table:
    """The best trial of each compared value against that of the best one."""
    groups = _by_group(searched)
    firsts = [
        (label, tried, min(tried, key=lambda each: (-each.length, -each.reached)))
        for label, tried in groups
    ]
    firsts.sort(key=lambda item: (-item[2].length, -item[2].reached))
    best = firsts[0][2]
    rows = []
    for label, tried, first in firsts:
        difference, between = NONE, NONE
        if first is not best and _can_compare(first, best):
            seeds = first.row.seeds, best.row.seeds
            found = contrast_of(context.study, first.row.row, best.row.row, seeds)
            difference = points(found.difference)
            if found.low is not None:
                between = f"{bound(found.low)} to {bound(found.high)}"
        rows.append(
            TableRow(
                [
                    Cell(label),
                    Cell(count(len(tried)), len(tried)),
                    Cell(proportion(fmean(each.compared for each in tried))),
                    Cell(first.row.label),
                    Cell(proportion(first.reached), first.reached, is_strong=first is best),
                    Cell(difference),
                    Cell(between),
                ]
            )
        )
    covered = (
        "images and seeds"
        if searched.stage.covers_seeds
        else "images only (the spread over seeds is not known)"
    )
    if searched.stage.is_folded:
        covered = (
            "the choice of training and validation images and what chance does to a training "
            "(paired by training and corrected for the images that trainings share)"
        )
    return Table(
        f"table-compared-{searched.stage.name}",
        ["What was compared: each value with the best that tuning found for it."],
        [
            Column("value", is_number=False),
            Column("trials"),
            Column(f"mean{searched.when}", "validation accuracy"),
            Column("best trial", is_number=False),
            Column("of it", "validation accuracy"),
            Column("against the first"),
            Column("95 % interval"),
        ],
        rows,
        notes=[
            [
                (
                    f"Differences are points; intervals cover {covered}, and not that each is the "
                    "best of its trials: a stage that confirms them on fresh seeds takes that away."
                )
            ]
        ],
        command=context.whole_command(searched.stage.name),
    )


def _can_compare(one: Tried, two: Tried) -> bool:
    """Whether both have ended, and were trained equally long."""
    return one.length == two.length and one.row.row.is_done and two.row.row.is_done


SECTIONS.add("search", Section("How the search went", 31, build))
