"""What scikit-learn's linear and kernel models decide by, in the form that all models here have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def one_for_each_class(decisions: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scores N x K, float32, from what a `decision_function` gives.

    Of two classes it gives one number for each image, which is above 0 for the second class.

    Example:
        >>> one_for_each_class(np.array([2.0, -1.0])).tolist()
        [[0.0, 2.0], [0.0, -1.0]]
    """
    if decisions.ndim == 1:
        decisions = np.column_stack([np.zeros_like(decisions), decisions])
    return decisions.astype(np.float32)
