"""The loss: cross-entropy, whichever way labels are written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from modiste.train.loop import score


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_integer_and_one_hot_labels_give_the_same_loss_and_gradients(
    label_smoothing: float,
) -> None:
    chance = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 10, (257,), generator=chance)
    # From flat to as sure as a long training makes it.
    scales = torch.logspace(-2, 2, 257).unsqueeze(1)
    logits = torch.randn(257, 10, generator=chance) * scales
    found = []
    for target in (labels, F.one_hot(labels, 10).float()):
        leaf = logits.clone().requires_grad_()
        loss = F.cross_entropy(leaf, target, label_smoothing=label_smoothing)
        (grads,) = torch.autograd.grad(loss, leaf)
        found.append((loss.item(), grads))
    (of_integers, integer_grads), (of_one_hot, one_hot_grads) = found
    # A mean of 257 float32 numbers, summed in another order: 257 half units in the last place at
    # most, sqrt(257) in practice.
    assert of_integers == pytest.approx(of_one_hot, rel=16 * 1.2e-7)
    # Each gradient is a probability less a label, over 257: a few roundings of at most 1 / 257.
    assert torch.allclose(integer_grads, one_hot_grads, rtol=0.0, atol=4 * 1.2e-7 / 257)


def test_the_score_of_saved_logits_is_the_loss_they_were_trained_on() -> None:
    chance = np.random.default_rng(0)
    logits = (chance.normal(size=(257, 10)) * 5).astype(np.float32)
    labels = chance.integers(0, 10, 257)
    loss, accuracy = score(logits, labels)
    expected = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    # Both in float64: 257 roundings of 1e-16.
    assert loss == pytest.approx(expected.item(), rel=257 * 1.1e-16)
    assert accuracy == np.mean(logits.argmax(axis=1) == labels)


def test_the_loss_is_minus_the_log_of_the_right_classs_probability() -> None:
    # Worked out by hand: odds 1 to 3 give a probability of 1 / 4, and -log(1 / 4) is 2 log 2.
    logits = torch.log(torch.tensor([[1.0, 2.0, 1.0], [3.0, 4.0, 5.0]], dtype=torch.float64))
    loss = F.cross_entropy(logits, torch.tensor([0, 0])).item()
    assert loss == pytest.approx(np.log(2) * 2, rel=1e-15)
