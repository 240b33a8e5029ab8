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
) -> tuple[Tensor, Tensor]:
    """Mean over the images of a batch, of each one's cross-entropy times its class's weight.

    The sum is divided by the number of images, as Keras does with `class_weight`, and not by the
    sum of their weights, as PyTorch does: a batch that holds rare images alone moves the weights
    more than one that holds none, and over an epoch the sum is that of the weighted loss.

    Returns:
        The loss, and its gradient with respect to the logits, N x K; neither carries a graph.
    """
    logits_NK = logits_NK.detach()
    if weights_K is None and not label_smoothing:
        return _unweighted(logits_NK, labels_N)
    leaf_NK = logits_NK.requires_grad_()
    if weights_K is None:
        loss = F.cross_entropy(leaf_NK, labels_N, label_smoothing=label_smoothing)
    else:
        loss = image_losses(leaf_NK, labels_N, label_smoothing, weights_K).mean()
    (slope_NK,) = torch.autograd.grad(loss, leaf_NK)
    return loss.detach(), slope_NK


_MEAN, _NO_LABEL = 1, -100  # torch's numbers for a reduction, and for a label that counts nothing


def _unweighted(logits_NK: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """The four operations that autograd would run, without its graph; the same bits."""
    ops = torch.ops.aten
    logs_NK = torch.log_softmax(logits_NK, 1)
    loss, total = ops.nll_loss_forward(logs_NK, labels_N, None, _MEAN, _NO_LABEL)
    slope_NK = ops.nll_loss_backward(
        torch.ones_like(loss), logs_NK, labels_N, None, _MEAN, _NO_LABEL, total
    )
    return loss, ops._log_softmax_backward_data(slope_NK, logs_NK, 1, logits_NK.dtype)  # noqa: SLF001


def image_losses(
    logits_NK: Tensor, labels_N: Tensor, label_smoothing: float, weights_K: Tensor | None
) -> Tensor:
    """Each image's cross-entropy times its class's weight, N."""
    losses_N = F.cross_entropy(
        logits_NK, labels_N, label_smoothing=label_smoothing, reduction="none"
    )
    return losses_N if weights_K is None else losses_N * weights_K[labels_N]
