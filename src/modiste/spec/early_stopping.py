"""When training stops before its limit: no progress for a while, as Keras 3 counts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import Field

from modiste.spec.base import Spec
from modiste.spec.monitor import Monitor, is_better, remember


@dataclass(frozen=True)
class Stopping:
    """Where early stopping stands after an epoch; plain values, kept in checkpoints.

    Attributes:
        best: The best number so far, as `modiste.spec.monitor.remember` keeps it.
        best_epoch: Where it was measured, counted from 1; 0 before the first epoch.
        wait: Epochs since then.
        should_stop: No further epoch is wanted.
    """

    best: float | None = None
    best_epoch: int = 0
    wait: int = 0
    should_stop: bool = False


class EarlyStopping(Spec):
    """Stop after `patience` epochs without progress.

    Attributes:
        monitor: The column of the history to watch; losses should fall, accuracies rise.
        patience: Epochs without progress before the stop; 0 and 1 are the same.
        min_delta: A smaller difference from the best number is no progress; absolute.
        restore_best: The weights of the best epoch, not those of the last, are the model's at
            the end of training, stopped early or not. The best epoch is that of the lowest
            validation loss, whatever is watched and however small a progress counts; Keras
            restores the one that the rule calls best. A study keeps both: there `rank_epoch` says
            which of them its final models have.

    Example:
        >>> rule = EarlyStopping(patience=2)
        >>> state = rule.start()
        >>> for epoch, val_loss in enumerate([0.5, 0.4, 0.6, 0.7], start=1):
        ...     state = rule.after_epoch(state, epoch, {"val_loss": val_loss})
        >>> state
        Stopping(best=0.4, best_epoch=2, wait=2, should_stop=True)
    """

    monitor: Monitor = "val_loss"
    patience: int = Field(ge=0)
    min_delta: float = Field(0.0, ge=0)
    restore_best: bool = False

    def start(self) -> Stopping:
        """Where it stands before the first epoch."""
        return Stopping()

    def after_epoch(self, state: Stopping, epoch: int, measured: Mapping[str, float]) -> Stopping:
        """Where it stands after an epoch.

        Args:
            state: Where it stood before.
            epoch: Counted from 1.
            measured: The epoch's row of the history: ``val_loss`` and so on.
        """
        number = measured[self.monitor]
        if is_better(self.monitor, number, state.best, self.min_delta):
            return Stopping(remember(self.monitor, number), epoch)
        wait = state.wait + 1
        return replace(state, wait=wait, should_stop=wait >= self.patience)
