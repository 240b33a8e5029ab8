"""What each key of a search is worth: its share of the differences, with an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from modiste.evaluate.importance import Importance
from modiste.report import figures, svg
from modiste.report.blocks import Block, Cell, Column, Figure, Panel, Paragraph, Table, TableRow
from modiste.report.context import Context
from modiste.report.numbers import plural
from modiste.report.searching import Axis, Searched
from modiste.report.section import SECTIONS, Section


def build(context: Context) -> Sequence[Block]:
    """A figure and a table for each search of two or more keys, and enough trials."""
    blocks: list[Block] = []
    for searched in context.searches:
        if (found := searched.shares) is not None:
            blocks += [_figure(searched, found), _table(context, searched, found)]
    if blocks:
        blocks.insert(0, Paragraph([_READING], "note"))
    return blocks


_READING = (
    "A random forest is fitted to the trials, and its trees are averaged exactly over the whole "
    "space (functional ANOVA): the share of a key is what it explains alone. What is left is owed "
    "to keys together and to noise. A key that does nothing has a share by chance, too; intervals "
    "are bootstrapped over trials, at 95 %."
)


def _figure(searched: Searched, found: Sequence[tuple[Axis, Importance]]) -> Figure:
    def plot(axes: Axes) -> None:
        places = range(len(found))
        values = [each.share for _, each in found]
        errors = np.array([[v.share - v.low, v.high - v.share] for _, v in found]).T
        axes.barh(places, values, height=0.62, color=figures.SERIES[0])
        axes.errorbar(
            values, places, xerr=errors, fmt="none", ecolor=figures.INK, elinewidth=0.9, capsize=2.5
        )
        axes.set_yticks(list(places), [axis.label for axis, _ in found])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")

    name = searched.stage.name
    inches = figures.WIDE[0], 0.8 + 0.3 * len(found)
    text = figures.drawn(plot, "Share of the variance", "share", inches)
    words = (
        f"{searched.sentence} What each key alone "
        f"explains of the differences in validation accuracy{searched.when}, over "
        f"{plural(len(searched.tried), 'trial')}."
    )
    first = found[0]
    share = f"{100 * first[1].share:.0f}\u00a0%"
    label = f"The key that explains most is {first[0].label}, {share} of the variance."
    panel = Panel(svg.clean(text, f"importance-{name}"), label)
    return Figure(f"figure-importance-{name}", [words], [panel])


def _table(context: Context, searched: Searched, found: Sequence[tuple[Axis, Importance]]) -> Table:
    rows = [
        TableRow(
            [
                Cell(axis.key),
                Cell(f"{each.share:.2f}", each.share),
                Cell(f"{each.low:.2f}–{each.high:.2f}", each.low),
            ]
        )
        for axis, each in found
    ]
    return Table(
        f"table-importance-{searched.stage.name}",
        ["Shares of the variance, each key alone."],
        [Column("key", is_number=False), Column("share"), Column("95 % interval")],
        rows,
        command=context.command(searched.stage.name),
    )


SECTIONS.add("importance", Section("Which keys matter", 33, build))
