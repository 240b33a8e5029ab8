"""Whether a measured number is better than the best so far, as Keras 3 asks it."""

from __future__ import annotations

from typing import Literal

import numpy as np

Monitor = Literal["val_loss", "val_accuracy", "train_loss", "train_accuracy"]

LARGEST = float(np.finfo(np.float32).max)


def is_better(monitor: Monitor, measured: float, best: float | None, min_delta: float) -> bool:
    """True if `measured` beats `best` by more than `min_delta`: less loss, or more accuracy.

    The first number is better than none, whatever it is; NaN is never better than a number.
    Compared in float32, as Keras does: 0.1999 does not beat 0.2 by more than 0.0001, although
    in float64 0.1999 + 0.0001 comes out below 0.2.

    Args:
        monitor: The column of the history that it was read from.
        measured: This epoch's number.
        best: What `remember` kept of the best number so far, or none.
        min_delta: Smallest difference that counts, in the units of the number.

    Example:
        >>> is_better("val_loss", 0.1999, 0.2, min_delta=1e-4)
        False
        >>> is_better("val_accuracy", 0.91, 0.90, min_delta=0.0)
        True
    """
    if best is None:
        return True
    measured = _within_float32(measured)
    if monitor.endswith("loss"):
        return bool(np.float32(measured + min_delta) < np.float32(best))
    return bool(np.float32(measured - min_delta) > np.float32(best))


def remember(monitor: Monitor, measured: float) -> float:
    """`measured` as a number that JSON can hold, to be compared with later ones.

    A first loss of NaN stays the best for ever in Keras, because nothing compares with it: here
    it becomes a number that nothing beats.
    """
    if np.isnan(measured):
        return -LARGEST if monitor.endswith("loss") else LARGEST
    return _within_float32(measured)


def _within_float32(number: float) -> float:
    return number if np.isnan(number) else max(-LARGEST, min(LARGEST, number))
