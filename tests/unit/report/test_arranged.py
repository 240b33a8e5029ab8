"""Drawings that were arranged have the bytes that a layout engine gives, and are drawn once."""

from __future__ import annotations

import io
from typing import Literal

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modiste.report.arranged import arrange
from modiste.report.figures import drawn


def drawing(layout: Literal["constrained"] | None = None) -> Figure:
    """All that wants room: ticks, labels, a title, a legend below."""
    figure = Figure(figsize=(5, 3), layout=layout)
    axes = figure.subplots()
    axes.barh(range(3), [10, 2_000, 1], label="bars")
    axes.set_yticks(range(3), ["a", "a class with a rather long name", "c"])
    axes.set_xlabel("images")
    axes.set_title("words", loc="left", pad=9)
    figure.legend(loc="outside lower center")
    return figure


def svg_of(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


@pytest.mark.parametrize("fonttype", ["none", "path"])
def test_an_arranged_drawing_is_the_one_that_the_engine_makes(fonttype: str) -> None:
    with matplotlib.rc_context({"svg.hashsalt": "one", "svg.fonttype": fonttype}):
        figure = drawing()
        bare = svg_of(figure)
        arrange(figure)
        assert svg_of(figure) == svg_of(drawing("constrained")) != bare


def test_a_panel_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    draw = Figure.draw

    def counted(self: Figure, renderer: object) -> None:
        times.append(renderer)
        draw(self, renderer)

    monkeypatch.setattr(Figure, "draw", counted)

    def plot(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1])

    assert drawn(plot, "one", "x").endswith("</svg>\n")
    assert len(times) == 1


@pytest.mark.filterwarnings("error")
def test_words_in_letters_that_the_font_lacks_are_left_to_the_page() -> None:
    text = drawn(lambda axes: axes.set_ylabel("靴"), "一つ", "x")
    assert "靴" in text
    assert "一つ" in text
