"""When which run was worked on, and how busy the workers were."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from modiste.report import figures, svg
from modiste.report.blocks import Block, Figure, LegendItem, Panel, Paragraph
from modiste.report.context import Context
from modiste.report.numbers import duration, plural
from modiste.report.section import SECTIONS, Section
from modiste.search.timeline import Sitting, lanes, read

# A break in which nobody worked is drawn so long at most, in seconds.
_BREAK = 60.0
_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def build(context: Context) -> Sequence[Block]:
    """One figure for the whole study; nothing where no search ran, or nothing was noted."""
    sittings = read(context.study.folder)
    if not sittings or not any(stage.stage.trials for stage in context.stages):
        return []
    moved = _without_breaks(sittings)
    return [Paragraph([_words(sittings, moved)]), _figure(context, moved)]


def _without_breaks(sittings: Sequence[Sitting]) -> list[tuple[Sitting, float, float]]:
    """Each sitting with its begin and end in seconds since the first, long breaks cut short."""
    moved, end, shift = [], 0.0, 0.0
    ordered = sorted(sittings, key=lambda sitting: sitting.begun)
    first = ordered[0].begun
    for sitting in ordered:
        begun = sitting.begun - first
        if begun - end > _BREAK:
            shift += begun - end - _BREAK
        end = max(end, sitting.ended - first)
        moved.append((sitting, begun - shift, sitting.ended - first - shift))
    return moved


def _words(sittings: Sequence[Sitting], moved: Sequence[tuple[Sitting, float, float]]) -> str:
    num_lanes = max(lanes(sittings)) + 1
    worked = sum(ended - begun for _, begun, ended in moved)
    whole = max(ended for _, _, ended in moved) * num_lanes
    stopped = sum(sitting.ending == "stopped" for sitting in sittings)
    text = (
        f"{plural(len(sittings), 'sitting')} of {plural(len({s.run for s in sittings}), 'run')} "
        f"on {plural(num_lanes, 'lane')}, {duration(worked)} of work; the lanes were busy for "
        f"{100 * worked / whole:.0f}\u00a0% of the time."
    )
    if stopped:
        text += f" {plural(stopped, 'sitting')} ended because somebody stopped the study."
    return text


def _figure(context: Context, moved: Sequence[tuple[Sitting, float, float]]) -> Figure:
    names = list(dict.fromkeys(sitting.stage for sitting, _, _ in moved))
    rows = lanes([sitting for sitting, _, _ in moved])
    last = max(ended for _, _, ended in moved)
    unit, word = next(pair for pair in _UNITS if last >= 3 * pair[0] or pair[0] == 1)

    def plot(axes: Axes) -> None:
        for row, (sitting, begun, ended) in zip(rows, moved, strict=True):
            style = names.index(sitting.stage)
            colour = figures.SERIES[style] if style < len(figures.SERIES) else figures.REST
            axes.barh(
                row, (ended - begun) / unit, left=begun / unit, height=0.7, color=colour,
                edgecolor=figures.PAPER, linewidth=0.4,
            )  # fmt: skip
        axes.set_yticks(range(max(rows) + 1), [str(row + 1) for row in range(max(rows) + 1)])
        axes.invert_yaxis()
        axes.set_xlim(0, last / unit)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")

    height = min(5.0, 1.0 + 0.22 * (max(rows) + 1))
    text = figures.drawn(plot, "Worker", word, (figures.WIDE[0], height))
    label = f"Bars of {plural(len(moved), 'sitting')} on {plural(max(rows) + 1, 'lane')}."
    titles = {stage.name: stage.title for stage in context.stages}
    legend = [
        LegendItem(titles.get(name, name), style if style < len(figures.SERIES) else None)
        for style, name in enumerate(names)
    ]
    words = (
        "Which stage was worked on when; a bar is a run under way. Longer breaks of the whole "
        "study are drawn a minute long."
    )
    return Figure("figure-workers", [words], [Panel(svg.clean(text, "workers"), label)], legend)


SECTIONS.add("workers", Section("The workers’ time", 58, build))
