"""What `ImageClassifier` takes where nothing is said: a small net, and how long it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The numbers below were chosen on validation images of digits and Fashion-MNIST: LOG.md,
# 2026-11-25. Narrower images than this have no neighbourhoods worth a convolution.
NARROWEST_PX = 4
UPDATES = 2_000
LEAST_EPOCHS, MOST_EPOCHS = 10, 100


def default_family(height: int, width: int) -> str:
    """``cnn``, or ``mlp`` for images that are narrower than `NARROWEST_PX`, such as 1 x D."""
    return "cnn" if min(height, width) >= NARROWEST_PX else "mlp"


def default_params(family: str, height: int, width: int) -> dict[str, Any]:
    """Hyperparameters of a small net for images of that size; none for families not known here.

    A convolutional net halves the image until 2 to 4 pixels are left, five times at most.

    Example:
        >>> default_params("cnn", 28, 28)
        {'filters': 16, 'num_layers': 3, 'dropout': 0.1}
    """
    if family == "mlp":
        return {"hidden": (128,), "dropout": 0.1}
    if family == "cnn":
        num_halvings = min(height, width).bit_length() - 2
        return {"filters": 16, "num_layers": min(max(num_halvings, 1), 5), "dropout": 0.1}
    return {}


def with_defaults(family: str, given: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    """Hyperparameters as given, and `default_params` where nothing is said."""
    found = {**default_params(family, height, width), **given}
    if isinstance(given.get("filters"), list | tuple) and "num_layers" not in given:
        found.pop("num_layers")  # the list says how many
    return found


def default_epochs(num_train: int, batch_size: int) -> int:
    """As many as make about `UPDATES` updates, `LEAST_EPOCHS` to `MOST_EPOCHS`.

    Example:
        >>> default_epochs(1_437, 64), default_epochs(54_000, 64), default_epochs(9, 64)
        (87, 10, 100)
    """
    updates_per_epoch = -(-num_train // batch_size)
    return min(max(round(UPDATES / updates_per_epoch), LEAST_EPOCHS), MOST_EPOCHS)
