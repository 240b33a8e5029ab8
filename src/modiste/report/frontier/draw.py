"""The frontier as a figure: four panels, one for each cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from modiste.report.frontier.points import COSTS, Part, Point, Whose, unbeaten
from modiste.runs import files

SIZE_INCHES = (9.0, 7.0)
# Colours that the colour-blind can tell apart; signs tell without colour.
LOOKS: dict[Whose, tuple[str, str, str]] = {
    "recipe": ("#0072b2", "o", "our recipes"),
    "study": ("#999999", "s", "rows of our studies"),
    "published": ("#d55e00", "^", "published by others"),
}
PARTS: tuple[Part, ...] = ("test", "validation")
# How far below the best accuracy a panel reaches.
RANGE = 0.08


def draw(points: Sequence[Point], title: str, folder: Path) -> list[Path]:
    """Write `frontier.svg` and `frontier.png` into a folder; returns both.

    Filled signs are test accuracies and hollow ones those on validation images; the two are never
    joined. A line joins what nothing beats.

    Raises:
        StoreError: If the folder cannot be written.
    """
    with matplotlib.rc_context({"font.size": 8.0, "svg.hashsalt": "modiste frontier"}):
        drawing = Drawing(figsize=SIZE_INCHES, layout="constrained")
        panels = drawing.subplots(2, 2).ravel()
        for axes, (cost, words) in zip(panels, COSTS.items(), strict=True):
            _panel(axes, points, cost, words)
        drawing.suptitle(title, fontsize=10)
        drawing.legend(handles=_legend(points), loc="outside lower center", ncols=4, frameon=False)
        paths = [folder / "frontier.svg", folder / "frontier.png"]
        files.need_writable(folder)
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            drawing.savefig(path, dpi=160, metadata=metadata)
    return paths


def _panel(axes: Axes, points: Sequence[Point], cost: str, words: str) -> None:
    known = [point for point in points if getattr(point, cost)]
    axes.set_title(f"accuracy by {words}", loc="left", fontsize=8.5)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if not known:
        axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.set_xscale("log")
    axes.set_xlabel(words)
    for point in known:
        _sign(axes, point, getattr(point, cost))
    for part in PARTS:
        line = unbeaten([point for point in known if point.part == part], cost)
        axes.step(
            [getattr(point, cost) for point in line],
            [point.accuracy for point in line],
            where="post",
            color="#444444",
            linewidth=0.9,
            linestyle="solid" if part == "test" else "dashed",
        )
    # What lies far below the best would press together what matters.
    best = max(point.accuracy for point in known)
    shown = [point for point in known if point.accuracy > best - RANGE]
    axes.set_ylim(min(point.accuracy for point in shown) - 0.004, best + 0.006)
    costs = [getattr(point, cost) for point in shown]
    axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)
    _names(axes, shown, cost)


def _sign(axes: Axes, point: Point, at: float) -> None:
    colour, marker, _ = LOOKS[point.whose]
    if point.low is not None and point.high is not None:
        axes.vlines(at, point.low, point.high, color=colour, linewidth=0.8, alpha=0.6)
    axes.plot(
        at,
        point.accuracy,
        marker,
        color=colour,
        markerfacecolor=colour if point.part == "test" else "white",
        markersize=5.5 if point.whose != "study" else 4.0,
        markeredgewidth=1.0,
    )


def _names(axes: Axes, shown: Sequence[Point], cost: str) -> None:
    """Names of the recipes, and of those published points that lead."""
    leading = unbeaten([point for point in shown if point.whose == "published"], cost)
    middle = math.sqrt(math.prod(axes.get_xlim()))
    for point in [point for point in shown if point.whose == "recipe" or point in leading]:
        is_right = getattr(point, cost) > middle
        axes.annotate(
            point.name,
            (getattr(point, cost), point.accuracy),
            xytext=(-5 if is_right else 5, 3),
            ha="right" if is_right else "left",
            textcoords="offset points",
            fontsize=6.5,
        )


def _legend(points: Sequence[Point]) -> list[Line2D]:
    found = []
    for whose, (colour, marker, words) in LOOKS.items():
        for part in PARTS:
            if any(point.whose == whose and point.part == part for point in points):
                face = colour if part == "test" else "white"
                found.append(
                    Line2D(
                        [],
                        [],
                        linestyle="none",
                        marker=marker,
                        color=colour,
                        markerfacecolor=face,
                        label=f"{words}, {part}",
                    )
                )
    return found
