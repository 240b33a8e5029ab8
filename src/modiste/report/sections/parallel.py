"""Every trial of a search as a line across its keys: parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from modiste.report import figures, svg
from modiste.report.blocks import Block, Figure, LegendItem, Panel
from modiste.report.context import Context
from modiste.report.numbers import plural, proportion
from modiste.report.searching import Searched, Tried, first_by_rank
from modiste.report.section import SECTIONS, Section

# A trial that does not set a key passes below all its values.
_IDLE = -0.12


def build(context: Context) -> Sequence[Block]:
    """A figure for each search of two or more keys."""
    return [_figure(searched) for searched in context.searches if len(searched.axes) > 1]


def _figure(searched: Searched) -> Figure:
    tried = sorted(searched.tried, key=lambda each: each.compared)
    best = list(reversed(tried))
    styles = first_by_rank(tried, best, len(figures.SERIES))
    low, high = tried[0].compared, best[0].compared

    def plot(axes: Axes) -> None:
        for number, each in enumerate(tried):
            _draw(axes, _across(searched, each, low, high), styles.get(number))
        _scales(axes, searched, low, high)

    name = searched.stage.name
    text = figures.drawn(plot, "Keys and accuracy", "", figures.WIDE)
    words = (
        f"{searched.sentence} Each line is a trial, from its keys to its validation accuracy"
        f"{searched.when}. Coloured: the first {len(styles)} by that accuracy."
    )
    if any(axis.idle_share for axis in searched.axes):
        words += " A line that passes below a key does not set it."
    label = (
        f"{plural(len(tried), 'trial')} across {plural(len(searched.axes), 'key')}; accuracies "
        f"from {proportion(low)} to {proportion(high)}."
    )
    legend = [LegendItem(each.row.label, style) for style, each in enumerate(best[: len(styles)])]
    if len(tried) > len(styles):
        legend.append(LegendItem(plural(len(tried) - len(styles), "other"), None))
    panel = Panel(svg.clean(text, f"parallel-{name}"), label)
    return Figure(f"figure-parallel-{name}", [words], [panel], legend)


def _across(searched: Searched, each: Tried, low: float, high: float) -> list[float]:
    """Where a trial crosses each line, the last one being that of its accuracy."""
    places = [axis.place(each.settings) for axis in searched.axes]
    end = (each.compared - low) / (high - low) if high > low else 0.5
    return [*(_IDLE if place is None else place for place in places), end]


def _draw(axes: Axes, heights: Sequence[float], style: int | None) -> None:
    columns = range(len(heights))
    if style is None:
        axes.plot(columns, heights, color=figures.REST, linewidth=0.6)
        return
    axes.plot(
        columns,
        heights,
        color=figures.SERIES[style],
        linewidth=1.5,
        marker=figures.MARKERS[style],
        markersize=4.2,
        markeredgewidth=0,
    )


def _scales(axes: Axes, searched: Searched, low: float, high: float) -> None:
    """The upright lines, with a few of their values."""
    last = len(searched.axes)
    marks = [(column, axis.ticks()) for column, axis in enumerate(searched.axes)]
    ends = [(place, proportion(low + place * (high - low))) for place in (0.0, 0.5, 1.0)]
    for column, ticks in [*marks, (last, ends)]:
        axes.axvline(column, color=figures.RULE, linewidth=0.8)
        for place, text in ticks:
            axes.annotate(
                text,
                (column, place),
                (4, 0),
                textcoords="offset points",
                fontsize=6.5,
                verticalalignment="center",
                bbox={"facecolor": figures.PAPER, "edgecolor": "none", "pad": 0.6},
            )
    axes.set_xlim(-0.1, last + 0.45)
    axes.set_ylim(_IDLE - 0.05, 1.06)
    axes.set_xticks(range(last + 1), [*(axis.label for axis in searched.axes), "accuracy"])
    axes.set_yticks([])


SECTIONS.add("parallel", Section("All keys at once", 32, build))
