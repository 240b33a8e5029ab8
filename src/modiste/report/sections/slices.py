"""Accuracy along each key of a search, one key at a time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from modiste.report import figures, svg
from modiste.report.blocks import Block, Figure, LegendItem, Panel
from modiste.report.context import Context
from modiste.report.numbers import plural, proportion
from modiste.report.searching import Axis, Searched
from modiste.report.section import SECTIONS, Section

# Keys that are drawn, the most important first; an even number fills the lines of a page.
_MOST = 8


def build(context: Context) -> Sequence[Block]:
    """A figure for each search, with a panel for each key."""
    return [_figure(searched) for searched in context.searches if searched.axes]


def _figure(searched: Searched) -> Figure:
    ranked = searched.shares
    keys = [axis for axis, _ in ranked] if ranked else searched.axes
    name = searched.stage.name
    panels = [_panel(searched, axis, number) for number, axis in enumerate(keys[:_MOST])]
    words = (
        f"{searched.sentence} Validation accuracy"
        f"{searched.when} of each trial, along one key at a time; all others vary."
    )
    if ranked:
        words += " The key that explains most comes first."
    if len(keys) > _MOST:
        words += f" {plural(len(keys) - _MOST, 'key')} that explain less are left out."
    groups = sorted({each.trial.group for each in searched.tried})
    legend = [
        LegendItem(searched.group_label(group), style if style < len(figures.SERIES) else None)
        for style, group in enumerate(groups)
        if searched.group_label(group)
    ]
    return Figure(f"figure-slices-{name}", [words], panels, legend)


def _panel(searched: Searched, axis: Axis, number: int) -> Panel:
    groups = sorted({each.trial.group for each in searched.tried})
    some = [each for each in searched.tried if axis.place(each.settings) is not None]

    def plot(axes: Axes) -> None:
        for style, group in enumerate(groups):
            mine = [each for each in some if each.trial.group == group]
            is_drawn = style < len(figures.SERIES)
            axes.scatter(
                [axis.place(each.settings) or 0.0 for each in mine],
                [each.compared for each in mine],
                s=15,
                marker=figures.MARKERS[style % len(figures.MARKERS)],
                color=figures.SERIES[style] if is_drawn else figures.REST,
                linewidths=0,
            )
        places, texts = zip(*axis.ticks(), strict=True)
        axes.set_xticks(places, texts)
        axes.set_xlim(-0.05, 1.05)

    scale = ", logarithmic" if axis.is_log else ""
    text = figures.drawn(plot, axis.key, f"{axis.label}{scale}")
    best = max(some, key=lambda each: each.compared)
    label = (
        f"Accuracy along {axis.key}, {plural(len(some), 'trial')}; the best has "
        f"{best.settings[axis.key]} and {proportion(best.compared)}."
    )
    return Panel(svg.clean(text, f"slice-{searched.stage.name}-{number}"), label)


SECTIONS.add("slices", Section("One key at a time", 34, build))
