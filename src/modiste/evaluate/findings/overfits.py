"""M001: the run learnt its training images by heart while it got worse at others."""

from __future__ import annotations

from statistics import fmean

from modiste.evaluate.finding import FINDINGS, Check, RunFacts

# Measured on four MLPs of 40 to 49 epochs on Fashion-MNIST, 12,000 validation images: from its
# lowest to the last epoch the validation loss rose by 4.5 to 9.7 %, with standard errors, paired
# over the images, of 0.8 to 1.8 % of it. A twentieth is about three of these or more. The last
# epochs are averaged, because a single one may jump.
_RISE = 1.05
_NUM_LAST = 3


def _look(run: RunFacts) -> str:
    val, train = run.column("val_loss"), run.column("train_loss")
    if len(val) - run.best_epoch < _NUM_LAST:
        return ""
    lowest, train_then = val[run.best_epoch - 1], train[run.best_epoch - 1]
    last, train_last = fmean(val[-_NUM_LAST:]), fmean(train[-_NUM_LAST:])
    if last <= _RISE * lowest or train_last >= train_then:
        return ""
    return (
        f"validation loss rose from {lowest:.4f} at epoch {run.best_epoch} to {last:.4f} (mean of "
        f"the last {_NUM_LAST} of {len(val)} epochs), while training loss fell from "
        f"{train_then:.4f} to {train_last:.4f}"
    )


FINDINGS.add(
    "M001",
    Check(
        "M001",
        "overfits",
        "Over its last three epochs the validation loss is more than a twentieth above its lowest, "
        "and the training loss went on falling.",
        "The last epoch's figures are then those of a net past its best, and they fall "
        "further the longer it trains.",
        "More dropout, augmentation, a smaller net or an earlier stop; the best epoch's weights "
        "are kept beside the last one's.",
        _look,
    ),
)
