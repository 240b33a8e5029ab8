"""Draw the README's figure from the committed results.

python docs/figures/make.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from modiste.search.study import Study

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = 0.909333  # validation accuracy of the study's final MLP
# Okabe and Ito's palette, for all kinds of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73")


def main() -> None:
    """Loss and accuracy of the final MLP's three seeds, epoch by epoch."""
    study = Study(ROOT / "results" / "fashion-mnist")
    (row,) = study.stage("mlp-final").rows
    style = {"svg.hashsalt": "modiste", "svg.fonttype": "path", "font.size": 9}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(8.4, 3.2), facecolor="white", layout="constrained")
        loss, accuracy = figure.subplots(1, 2)
        for run, colour in zip(row.runs, COLOURS, strict=True):
            history = run.history
            epochs = [line["epoch"] for line in history]
            for axes, figure_name in ((loss, "loss"), (accuracy, "accuracy")):
                for part, line_style, width in (("train", "--", 1.0), ("val", "-", 1.6)):
                    values = [line[f"{part}_{figure_name}"] for line in history]
                    words = "training" if part == "train" else "validation"
                    axes.plot(
                        epochs,
                        values,
                        line_style,
                        color=colour,
                        linewidth=width,
                        label=f"{words}, seed {run.spec.seed}",
                    )
        accuracy.axhline(PUBLISHED, color="#555555", linewidth=1, linestyle=":")
        accuracy.annotate(
            f"published validation accuracy {PUBLISHED:.4f}",
            (58, PUBLISHED),
            xytext=(58, 0.868),
            ha="right",
            color="#333333",
            arrowprops={"arrowstyle": "-", "color": "#777777", "linewidth": 0.8},
        )
        loss.set(xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0.05, 0.55))
        accuracy.set(xlabel="epoch", ylabel="accuracy", ylim=(0.82, 0.98))
        loss.legend(frameon=False, fontsize=8, ncols=2)
        for axes in (loss, accuracy):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#dddddd", linewidth=0.6)
        figure.savefig(ROOT / "docs/figures/mlp-final.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
