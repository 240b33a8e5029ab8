"""Two figures of a data set: its first images, and how its classes are spread over the splits.

Drawn on figures of their own, never through `pyplot`, whose state belongs to everybody. The same
data give the same bytes of SVG with the same version of matplotlib.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from modiste.data.split import Split
from modiste.data.types import ImageSet
from modiste.errors import StoreError
from modiste.report.arranged import arrange

NUM_SHOWN = 50
_COLUMNS = 10
_CAPTION_LETTERS = 14  # in a line, at one inch for each image
_GAP_INCHES = 0.04
_SIDE_INCHES = 1 - 2 * _GAP_INCHES
_ROW_INCHES = 1.3  # an image and two lines of caption
_FACE = "white"  # a card of its own: legible on a light page and on a dark one
_INK = "#1a1a1a"
# Okabe and Ito's palette for all kinds of colour vision (https://jfly.uni-koeln.de/color/), told
# apart by hatching as well, for print. In the order of the bars.
_BARS = (
    ("training", "#0072B2", ""),
    ("validation", "#E69F00", "///"),
    ("test", "#999999", "\\\\\\"),
)
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: looks the same everywhere
    "font.size": 9.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a class may be named "5$ bill"
    "svg.hashsalt": "modiste",  # names of clip paths depend on the drawing alone
    "svg.fonttype": "path",
}


def render(
    images: ImageSet,
    split: Split,
    folder: Path,
    *,
    name: str,
    test_counts_K: Sequence[int] | None = None,
) -> list[Path]:
    """Write both figures as SVG and as PNG.

    Args:
        images: The whole training part, in its own order.
        split: How it is divided.
        folder: Is made if it is not there.
        name: Of the data set, for the titles.
        test_counts_K: Test images of each class as the publisher declares them. The test set is
            not opened for a figure, so there is no bar for a set that declares nothing.

    Returns:
        The files: `first-images.svg`, `.png`, `samples-per-class.svg`, `.png`.

    Raises:
        StoreError: If they cannot be written.
    """
    with matplotlib.rc_context(_STYLE):
        bars = samples_per_class(images, split, name, test_counts_K)
        arrange(bars)
        return [
            *_write(first_images(images, name), folder / "first-images"),
            *_write(bars, folder / "samples-per-class"),
        ]


def first_images(images: ImageSet, name: str) -> Figure:
    """The first images of the training part, in order, with the names of their classes."""
    num_shown = min(NUM_SHOWN, len(images))
    num_rows = -(-num_shown // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS, _ROW_INCHES * num_rows + 0.35), facecolor=_FACE)
    figure.suptitle(f"{name}: the first {num_shown} training images")
    # One pair of axes for all, with cells of 1 x _ROW_INCHES: fifty of them take ten times as long.
    axes = figure.add_axes((0, 0, 1, num_rows * _ROW_INCHES / figure.get_figheight()))
    axes.set_axis_off()
    for position in range(num_shown):
        row, column = divmod(position, _COLUMNS)
        pixels_HWC = images.images_NCHW[position].transpose(1, 2, 0)
        bottom = (row + 1) * _ROW_INCHES - _GAP_INCHES
        axes.imshow(
            pixels_HWC if pixels_HWC.shape[2] == 3 else pixels_HWC[..., 0],
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest",
            extent=(column + _GAP_INCHES, column + 1 - _GAP_INCHES, bottom, bottom - _SIDE_INCHES),
        )
        axes.text(
            column + 0.5,
            bottom - _SIDE_INCHES - 2 * _GAP_INCHES,
            _caption(images.class_names[images.labels_N[position]]),
            fontsize=8.5,
            horizontalalignment="center",
            verticalalignment="baseline",
            linespacing=1.0,
        )
    axes.set(xlim=(0, _COLUMNS), ylim=(num_rows * _ROW_INCHES, 0))
    return figure


def _caption(class_name: str) -> str:
    lines = textwrap.wrap(class_name, _CAPTION_LETTERS, max_lines=2, placeholder="...")
    return "\n".join(lines)


def samples_per_class(
    images: ImageSet, split: Split, name: str, test_counts_K: Sequence[int] | None = None
) -> Figure:
    """Images of each class in each split, as bars with their numbers."""
    fit, choose = (
        np.bincount(images.labels_N[indices], minlength=images.num_classes).tolist()
        for indices in (split.train_indices, split.val_indices)
    )
    counts = [fit, choose] if test_counts_K is None else [fit, choose, list(test_counts_K)]
    bars = _BARS[: len(counts)]
    height = 0.84 / len(counts)
    figure = Figure(
        figsize=(8, 0.2 * len(counts) * images.num_classes + 1.4),
        facecolor=_FACE,
    )
    axes = figure.subplots()
    rows = np.arange(images.num_classes)
    for number, ((split_name, colour, hatch), counts_K) in enumerate(
        zip(bars, counts, strict=True)
    ):
        drawn = axes.barh(
            rows + (number - (len(counts) - 1) / 2) * height,
            counts_K,
            height,
            label=f"{split_name} ({sum(counts_K):,})",
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.5,
        )
        axes.bar_label(drawn, labels=[f"{count:,}" for count in counts_K], padding=3, fontsize=8)
    axes.set_yticks(rows, images.class_names)
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.02)
    axes.set_xlabel("images")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylabel("class")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{name}: samples per class in each split", loc="left")
    figure.legend(
        loc="outside lower center",
        ncols=len(counts),
        frameon=False,
        title="The test set is sealed; it was not counted."
        if test_counts_K is None
        else "Test counts are those the publisher declares; no test file was read to draw this.",
        title_fontsize=8.5,
    )
    return figure


def _write(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(paths[0], metadata={"Date": None})
        figure.savefig(paths[1], dpi=144)
    except OSError as error:
        raise StoreError(
            f"{stem.parent}: figures cannot be written: {error.strerror or error}. Name another "
            "folder."
        ) from None
    return paths
