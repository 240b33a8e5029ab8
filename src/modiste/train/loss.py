"""The loss that training minimises: cross-entropy, each class with its weight."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.spec.run import TrainSpec


def class_weights(spec: TrainSpec, labels_N: Tensor) -> Tensor | None:
    """What an image of each class counts in the loss; none where all count the same.

    ``balanced`` is ``N / (K x images of the class)``, K being the classes that there are: each
    class weighs the same in all, and an image weighs 1 on average, so that learning rates mean
    what they did.

    Args:
        spec: Says which.
        labels_N: Of all training images.

    Returns:
        float32, one for each label up to the highest.

    Source:
        The heuristic of G. King and L. Zeng, "Logistic Regression in Rare Events Data", Political
        Analysis 9 (2001) 137-163, as scikit-learn's `compute_class_weight` has it.
    """
    if spec.class_weights is None:
        return None
    counts_K = torch.bincount(labels_N).double()
    weights_K = len(labels_N) / (counts_K.count_nonzero() * counts_K.clamp(min=1))
    return weights_K.float()


def cross_entropy(
    logits_NK: Tensor, labels_N: Tensor, label_smoothing: float, weights_K: Tensor | None
) -> Tensor:
    """Mean over the images of a batch, of each one's cross-entropy times its class's weight.

    The sum is divided by the number of images, as Keras does with `class_weight`, and not by the
    sum of their weights, as PyTorch does: a batch that holds rare images alone moves the weights
    more than one that holds none, and over an epoch the sum is that of the weighted loss.
    """
    if weights_K is None:
        return F.cross_entropy(logits_NK, labels_N, label_smoothing=label_smoothing)
    return image_losses(logits_NK, labels_N, label_smoothing, weights_K).mean()


def image_losses(
    logits_NK: Tensor, labels_N: Tensor, label_smoothing: float, weights_K: Tensor | None
) -> Tensor:
    """Each image's cross-entropy times its class's weight, N."""
    losses_N = F.cross_entropy(
        logits_NK, labels_N, label_smoothing=label_smoothing, reduction="none"
    )
    return losses_N if weights_K is None else losses_N * weights_K[labels_N]
