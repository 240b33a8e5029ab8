"""Room for labels, made once."""

from __future__ import annotations

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine


def arrange(drawing: Figure) -> None:
    """Make room for labels and legends, as `layout="constrained"` does at every saving.

    A drawing that has a layout engine is drawn twice whenever it is saved, the first time for the
    engine alone. One that is arranged is drawn once, and arranged once for all its files.

    Args:
        drawing: With all that it will show. Words are measured as in SVG, so its SVG has the bytes
            that it would have with the engine.
    """
    drawing.set_layout_engine("none")  # matplotlib's settings may ask for one everywhere
    # The engine asks the drawing's canvas how wide words are: from here on, this one.
    FigureCanvasSVG(drawing)
    ConstrainedLayoutEngine().execute(drawing)
