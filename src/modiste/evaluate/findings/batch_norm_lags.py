"""M016: batch norm answers with figures that it had hardly begun to learn."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts

# Small as it looks, it is a share of a variance that begins at 1, where that of activations may be
# a hundredth. Digits, 200 images: at 1.8 % a net had 0.79, at 0.0001 % 0.98 (LOG.md, 2026-11-26).
_MOST = 0.01


def _look(run: RunFacts) -> str:
    if run.status != "finished" or run.batch_norm_lag <= _MOST:
        return ""
    return (
        f"after its last update {100 * run.batch_norm_lag:.2g} % of batch norm's moving means and "
        "variances were still the 0 and 1 that they began with"
    )


FINDINGS.add(
    "M016",
    Check(
        "M016",
        "batch norm lags behind",
        "The run made so few updates that more than one percent of batch norm's moving figures "
        "was still what they began with: the momentum to the power of the number of updates.",
        "In training, batch norm takes the figures of each batch; in answering, the moving ones. "
        "While these lag behind, a net that has learnt its images answers at random, which looks "
        "like overfitting.",
        "Set model.params.batch_norm_momentum lower, such as to 0.9, or make more updates: more "
        "epochs, or smaller batches.",
        _look,
    ),
)
