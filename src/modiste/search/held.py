"""What the trainings of a cross-validated point held out."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.runs.run import Run


def held_share(runs: Sequence[Run]) -> float:
    """Held-out images over those that a training was fitted to."""
    metrics = runs[0].metrics
    return float(metrics["last"]["held"]["total"] / metrics["num_train"])


def num_held(runs: Sequence[Run]) -> int:
    """Images held out from any training of a point: each repeat holds out every image once."""
    folds = runs[0].spec.data.folds
    assert folds is not None
    totals = [int(run.metrics["last"]["held"]["total"]) for run in runs]
    return sum(totals) * folds // len(totals)
