"""M004: the loss became infinite or no number."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts


def _look(run: RunFacts) -> str:
    return run.reason or "the loss is no longer finite" if run.status == "diverged" else ""


FINDINGS.add(
    "M004",
    Check(
        "M004",
        "diverged",
        "The training or validation loss became infinite or no number; the run ended there and "
        "ranks below every finite one.",
        "It has no figures to compare, and a search that ranked it would hand on settings "
        "that do not train.",
        "A lower learning rate; then look at the initialisation and the scaling of the images.",
        _look,
    ),
)
