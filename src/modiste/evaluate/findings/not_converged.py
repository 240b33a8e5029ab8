"""M002: the epochs ran out while validation loss was still falling."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts

# With early stopping the lowest loss lies at least its patience before the end, so this fires
# only for runs that were cut. A tenth of the epochs, because one more epoch of many says little.
_SHARE = 0.1
_AT_LEAST = 2


def _look(run: RunFacts) -> str:
    num = len(run.history)
    if not num and "converge" in run.reason:  # a solver's own words
        return run.reason
    if run.status != "finished" or num < 2 or num < run.epoch_limit or run.ends_at_limit:
        return ""
    if num - run.best_epoch >= max(_AT_LEAST, round(_SHARE * num)):
        return ""
    losses = run.column("val_loss")
    before = min(losses[: run.best_epoch - 1], default=losses[0])
    return (
        f"the lowest validation loss, {min(losses):.4f}, came at epoch {run.best_epoch} of {num}; "
        f"it had been {before:.4f} until then"
    )


FINDINGS.add(
    "M002",
    Check(
        "M002",
        "did not converge",
        "The run used up its epochs, and its lowest validation loss lies within the last tenth "
        "of them (at least the last two), where no schedule was to end there; or it is fitted in "
        "one go, and its solver said so.",
        "A comparison of runs that were cut short compares how fast they learn.",
        "Give it more epochs (or iterations, if it is fitted in one go); until then its figures "
        "say how fast it learns, not how well.",
        _look,
    ),
)
