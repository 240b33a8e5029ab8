"""More than accuracy: one model's figures with intervals, and its calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from modiste.evaluate import summary
from modiste.evaluate.calibration import (
    NUM_BINS,
    Reliability,
    reliability,
    risk_coverage,
    settled_temperature,
    tempered_logits,
)
from modiste.evaluate.crossval import slices
from modiste.evaluate.metrics import FloatsNK, LabelsN, probabilities
from modiste.report import figures, svg
from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Inline,
    LegendItem,
    Panel,
    Paragraph,
    Table,
    TableRow,
    Words,
)
from modiste.report.numbers import NONE, between, proportion

_FIGURES = (
    ("accuracy", "accuracy"),
    ("top_two", "right class among the first two"),
    ("macro_f1", "macro F1"),
    ("loss", "cross-entropy, nats"),
    ("brier", "Brier score, 0 to 2"),
    ("calibration_error", f"calibration error, {NUM_BINS} bins"),
)
# Temperature changes no answer, and so none of these.
_UNMOVED = ("accuracy", "top_two", "macro_f1")
# Why loss and Brier score may have no interval.
FEW_WRONG = (
    f"fewer than {summary.FEWEST_WRONG} answers are wrong, or a right class was given a "
    "probability of 0, and these images cannot tell how far others would move the mean."
)
# Images in a bin below which its accuracy says nothing.
_FEW = 10
_SLICES = 5
# Points on the risk-coverage curve that are drawn.
_DRAWN = 200


@dataclass(frozen=True)
class Answered:
    """One model's answers on one set of images.

    Attributes:
        name: Ends the idents of its table and figure.
        logits_NK: Of the run shown.
        labels_N: The right classes.
        part: ``test`` or ``validation``.
        where: Which images, which epoch, which seed.
        val_logits_NK: Of validation images, which the temperature is fitted on for test images;
            none if they were not kept.
        val_labels_N: Their classes.
        command: Makes these answers again.
    """

    name: str
    logits_NK: FloatsNK
    labels_N: LabelsN
    part: str
    where: str
    val_logits_NK: FloatsNK | None
    val_labels_N: LabelsN
    command: str


def quality(answered: Answered) -> list[Block]:
    """A paragraph, a table and two drawings."""
    cooled_NK, how = _cooled(answered)  # logits
    before = summary.summarise(answered.logits_NK, answered.labels_N)
    after = None
    if cooled_NK is not None:
        after = summary.summarise(cooled_NK, answered.labels_N)
    words = _words(before, after) + _slices(answered)
    return [
        Paragraph(words),
        _table(answered, before, after, how),
        _drawings(answered, cooled_NK),
    ]


def _cooled(answered: Answered) -> tuple[FloatsNK | None, str]:
    """Logits after temperature, and how it was fitted."""
    if answered.part == "validation":
        fitted = settled_temperature(answered.logits_NK, answered.labels_N)
        how = (
            "each half of the validation images by the temperature of the other half; all of them "
            f"together give {fitted:.3f}"
        )
        return tempered_logits(answered.logits_NK, answered.labels_N), how
    if answered.val_logits_NK is None:
        return None, ""
    fitted = settled_temperature(answered.val_logits_NK, answered.val_labels_N)
    cooled_NK = np.asarray(answered.logits_NK, np.float64) / fitted
    return cooled_NK, f"by {fitted:.3f}, fitted on validation images"


def _words(before: summary.Summary, after: summary.Summary | None) -> list[Inline]:
    found = before.calibration
    low, high = found.interval
    words = [
        (
            f"Its confidence lies {100 * found.error:.1f} points from its accuracy in the mean "
            f"over bins (95\u00a0% interval of the true error {100 * low:.1f} to "
            f"{100 * high:.1f}; were it perfectly calibrated, noise alone would show "
            f"{100 * found.calibrated:.1f})"
        )
    ]
    if after is not None:
        found = after.calibration
        low, high = found.interval
        words.append(
            f"; after temperature {100 * found.error:.1f} points ({100 * low:.1f} to "
            f"{100 * high:.1f}; noise alone {100 * found.calibrated:.1f})"
        )
        if math.isfinite(before.loss.value):
            words.append(
                f", with a cross-entropy of {proportion(after.loss.value)} in place of "
                f"{proportion(before.loss.value)}"
            )
    return ["".join(words) + "."]


def _slices(answered: Answered) -> list[Inline]:
    """The publication's five parts of the test set, under their true name."""
    if answered.part != "test" or len(answered.labels_N) < _SLICES:
        return []
    found = slices(answered.logits_NK.argmax(axis=1) == answered.labels_N, _SLICES)
    low, high = min(found.accuracies), max(found.accuracies)
    return [
        (
            f" On {_SLICES} slices of the test set this one model scores {proportion(low)} to "
            f"{proportion(high)}, with a standard deviation of "
            f"{100 * found.standard_deviation:.2f} points, where parts of that size have "
            f"{100 * found.expected:.2f} by chance: slices are no cross-validation, nothing was "
            "trained again, and they say nothing of other seeds or training images."
        )
    ]


def _table(
    answered: Answered, before: summary.Summary, after: summary.Summary | None, how: str
) -> Table:
    rows = []
    for key, title in _FIGURES:
        cells = [Cell(title), *_cells(getattr(before, key))]
        if after is not None:
            is_same = key in _UNMOVED
            cells += [Cell("same"), Cell("")] if is_same else _cells(getattr(after, key))
        rows.append(TableRow(cells))
    columns = [
        Column("figure", is_number=False),
        Column("value", "as trained"),
        Column("95 % interval", "as trained"),
    ]
    notes: list[Words] = [
        [
            (
                "Intervals cover the choice of images: Wilson’s for shares; for the calibration "
                "error by inversion, since its estimate leans upwards; BCa bootstrap for the rest. "
                "That of macro F1 also spans the classes’ own where one has no error or no hit."
            )
        ]
    ]
    if any(getattr(before, key).interval is None for key, _ in _FIGURES):
        notes.append([f"{NONE} in place of an interval: {FEW_WRONG}"])
    if after is not None:
        columns += [
            Column("value", "after temperature"),
            Column("95 % interval", "after temperature"),
        ]
        notes.append([f"Temperature: logits divided {how}."])
    return Table(
        f"table-quality-{answered.name}",
        [f"More than accuracy ({answered.where})."],
        columns,
        rows,
        notes=notes,
        command=answered.command,
    )


def _cells(figure: summary.Figure) -> list[Cell]:
    return [Cell(proportion(figure.value), figure.value), Cell(between(figure.interval))]


def _drawings(answered: Answered, cooled_NK: FloatsNK | None) -> Figure:
    logits = [answered.logits_NK] if cooled_NK is None else [answered.logits_NK, cooled_NK]
    shares = [probabilities(each) for each in logits]
    bins = [reliability(each, answered.labels_N) for each in shares]
    risks = [risk_coverage(each, answered.labels_N) for each in shares]

    def plot_bins(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=figures.REST, linewidth=0.8)
        for style, found in enumerate(bins):
            own = found.counts >= _FEW
            _line(axes, found.confidences[own], found.accuracies[own], style)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.04)

    def plot_risks(axes: Axes) -> None:
        for style, found in enumerate(risks):
            step = max(1, len(found.coverages) // _DRAWN)
            part = slice(step - 1, None, step)
            _line(axes, found.coverages[part], found.risks[part], style, every=20)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=0)

    ident = f"quality-{answered.name}"
    half = risks[0].risks[len(risks[0].risks) // 2 - 1] if len(answered.labels_N) > 1 else 0.0
    panels = [
        Panel(
            svg.clean(figures.drawn(plot_bins, "Accuracy", "confidence"), f"{ident}-bins"),
            f"Accuracy by confidence in {NUM_BINS} bins. {_furthest(bins[0])}",
        ),
        Panel(
            svg.clean(
                figures.drawn(plot_risks, "Share of wrong answers", "share of images answered"),
                f"{ident}-risk",
            ),
            "Share of wrong answers by share of images answered, the surest first: "
            f"{proportion(float(half))} at one half, {proportion(float(risks[0].risks[-1]))} at "
            "all.",
        ),
    ]
    names = ("as trained", "after temperature")
    return Figure(
        f"figure-{ident}",
        [
            (
                f"Confidence and accuracy ({answered.where}). Left: on the grey line, confidence "
                "would be just what comes true (bins of ten images and more). Right: answering "
                "only the surest images."
            )
        ],
        panels,
        [LegendItem(name, style) for style, name in enumerate(names[: len(shares)])],
    )


def _line(
    axes: Axes,
    across: npt.NDArray[np.float64],
    up: npt.NDArray[np.float64],
    style: int,
    every: int = 1,
) -> None:
    axes.plot(
        across,
        up,
        color=figures.SERIES[style],
        marker=figures.MARKERS[style],
        linewidth=1.3,
        markersize=3.6,
        markeredgewidth=0,
        markevery=every,
    )


def _furthest(found: Reliability) -> str:
    own = found.counts >= min(_FEW, int(found.counts.max()))
    gaps = np.where(own, np.abs(found.confidences - found.accuracies), -1.0)
    index = int(np.nanargmax(gaps))
    return (
        f"Furthest apart at a confidence of {found.confidences[index]:.2f}, where "
        f"{proportion(float(found.accuracies[index]))} are right."
    )
