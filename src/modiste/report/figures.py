"""Loss and accuracy of a stage's models together, drawn as clean SVG.

Colours are stand-ins that `svg` turns into the page's own, so one drawing serves light, dark and
print. Models differ by colour and by the sign on their line, so no colour is needed to read it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from modiste.report import svg
from modiste.report.arranged import arrange
from modiste.report.blocks import Figure, LegendItem, Panel, Words
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import plural, proportion

# Stand-ins; `svg.COLOURS` says what becomes of them.
INK, RULE, REST = "#010101", "#010102", "#010103"
PAPER = "#ffffff"
SERIES = ("#010111", "#010112", "#010113", "#010114", "#010115", "#010116")
MARKERS = ("o", "s", "^", "D", "v", "P")
# Width and height of half a page and of a whole one.
PANEL, WIDE = (4.4, 2.95), (7.6, 3.1)
_MARKS = 7  # signs on a line, so that it can be told without colour and is not covered
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # measured with this; shown in the page's own
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.0,
    "xtick.major.size": 3.0,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "path.simplify": False,
}


@dataclass(frozen=True)
class Curve:
    """One model's history.

    Attributes:
        style: Index of its colour and sign; none for one of the many drawn alike.
    """

    style: int | None
    epochs: Sequence[float]
    train: Sequence[float]
    val: Sequence[float]


def stage_figure(stage: StageFacts) -> Figure | None:
    """Curves of every model of a stage that has a history; none if there is none yet.

    The first seed, or fold, of each point is drawn. Of many models, the first ones by rank are
    coloured.
    """
    rows = [row for row in stage.in_order if row.row.runs and row.row.runs[0].history]
    if not rows:
        return None
    panels = []
    is_clipped = False
    for what, words in (("loss", "cross-entropy (nats)"), ("accuracy", "accuracy")):
        curves = [_curve(row, number, what) for number, row in enumerate(rows)]
        text, clipped = draw(curves, what.capitalize(), words)
        is_clipped |= clipped
        label = (
            f"{what.capitalize()} by epoch of {plural(len(rows), 'model')}, training dashed, "
            f"validation solid. {_ends(rows, what)}"
        )
        panels.append(Panel(svg.clean(text, f"{stage.name}-{what}"), label))
    return Figure(
        f"figure-{stage.name}",
        _caption(stage, rows, is_clipped),
        panels,
        _legend(rows),
        gives_way=True,
    )


def draw(curves: Sequence[Curve], title: str, words: str) -> tuple[str, bool]:
    """One panel of curves by epoch as SVG, and whether first epochs lie outside its frame."""
    clipped = False

    def plot(axes: Axes) -> None:
        nonlocal clipped
        for curve in reversed(curves):
            _plot(axes, curve, len(curves))
        longest = max(max(curve.epochs) for curve in curves)
        axes.set_xlim(0 if longest > 1 else 0.5, longest + max(0.02 * longest, 0.25))
        axes.xaxis.set_major_locator(
            MaxNLocator(8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        )
        clipped = _frame(axes, curves)

    heading = f"{title}, {words}" if title.lower() != words else title
    return drawn(plot, heading, "epoch"), clipped


def drawn(
    plot: Callable[[Axes], None], title: str, xlabel: str, inches: tuple[float, float] = PANEL
) -> str:
    """One panel in the report's style, as SVG: what `plot` puts into it."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"modiste {title}"}):
        drawing = Drawing(figsize=inches)
        axes = drawing.subplots()
        drawing.patch.set_visible(False)
        axes.patch.set_visible(False)
        plot(axes)
        axes.set_xlabel(xlabel)
        axes.set_title(title, loc="left", fontsize=8.0, pad=6)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        text = io.StringIO()
        with warnings.catch_warnings():
            # Words are shown in the page's own font, which has what this one lacks.
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
            arrange(drawing)
            drawing.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _plot(axes: Axes, curve: Curve, num_curves: int) -> None:
    if curve.style is None:
        axes.plot(curve.epochs, curve.train, color=REST, linewidth=0.6, linestyle=(0, (3, 2)))
        axes.plot(curve.epochs, curve.val, color=REST, linewidth=0.8)
        return
    every = max(1, round(len(curve.epochs) / _MARKS))
    # Signs of different lines start at different epochs, so that they do not cover one another.
    start = curve.style * every // max(1, min(num_curves, len(SERIES))) % every
    colour = SERIES[curve.style]
    axes.plot(curve.epochs, curve.train, color=colour, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.plot(
        curve.epochs,
        curve.val,
        color=colour,
        linewidth=1.5,
        marker=MARKERS[curve.style],
        markersize=4.2,
        markeredgewidth=0,
        markevery=(start, every),
    )


def _frame(axes: Axes, curves: Sequence[Curve]) -> bool:
    """Fit the frame to the curves, but not to a first epoch that would flatten all others."""
    parts = [np.asarray(part) for curve in curves for part in (curve.train, curve.val)]
    values = np.concatenate(parts)
    later = np.concatenate([part[1:] if len(part) > 3 else part for part in parts])
    low, high = float(later.min()), float(later.max())
    room = 0.15 * (high - low) or 0.05
    bottom = max(float(values.min()), low - room) - 0.05 * (high - low or 1)
    top = min(float(values.max()), high + room) + 0.05 * (high - low or 1)
    axes.set_ylim(bottom, top)
    return bool(values.min() < bottom or values.max() > top)


def _curve(row: RowFacts, number: int, what: str) -> Curve:
    history = row.row.runs[0].history
    return Curve(
        number if number < len(SERIES) else None,
        [epoch["epoch"] for epoch in history],
        [epoch[f"train_{what}"] for epoch in history],
        [epoch[f"val_{what}"] for epoch in history],
    )


def _ends(rows: Sequence[RowFacts], what: str) -> str:
    ends = [row.row.runs[0].history[-1][f"val_{what}"] for row in rows]
    if len(ends) == 1:
        return f"Validation ends at {proportion(ends[0])}."
    return f"Validation ends between {proportion(min(ends))} and {proportion(max(ends))}."


def _legend(rows: Sequence[RowFacts]) -> list[LegendItem]:
    items = [LegendItem(row.label, number) for number, row in enumerate(rows[: len(SERIES)])]
    rest = len(rows) - len(SERIES)
    if rest > 0:
        items.append(LegendItem(plural(rest, "other"), None))
    return items


def _caption(stage: StageFacts, rows: Sequence[RowFacts], is_clipped: bool) -> Words:
    stop = "" if stage.title.endswith(("?", ".")) else "."
    words = (
        f"{stage.title}{stop} Loss and accuracy by epoch. Dashed: training, as seen in "
        "training. Solid: validation."
    )
    if any(len(row.row.specs) > 1 for row in rows):
        words += f" The first {'fold' if stage.is_folded else 'seed'} of each point."
    if len(rows) > len(SERIES):
        words += f" Coloured: the first {len(SERIES)} by rank."
    if is_clipped:
        words += " Parts of the first epochs lie outside the frame."
    return [words]
