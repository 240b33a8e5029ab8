"""The loss: cross-entropy, whichever way labels are written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from modiste.data.load import divide
from modiste.data.types import ImageSet
from modiste.spec.run import TrainSpec
from modiste.train.loop import score
from modiste.train.loss import class_weights, cross_entropy
from modiste.train.session import Session
from tests import small


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


# --- weights of classes ---------------------------------------------------------------------------

SKEWED = torch.tensor([0] * 6 + [1] * 3 + [3])  # nothing of class 2


def balanced() -> TrainSpec:
    return small.run_spec({"train.class_weights": "balanced"}).train


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    found = class_weights(balanced(), SKEWED)
    assert found is not None
    theirs = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=SKEWED.numpy())
    # Theirs is rounded to float32.
    assert found[[0, 1, 3]].numpy() == pytest.approx(theirs, rel=6e-8)
    assert found[SKEWED].mean().item() == pytest.approx(1.0, rel=10 * 6e-8)


def test_each_class_has_the_same_share_of_a_balanced_loss() -> None:
    weights = class_weights(balanced(), SKEWED)
    assert weights is not None
    flat = torch.zeros(len(SKEWED), 4)  # every image has the loss log 4
    losses = []
    for label in (0, 1, 3):
        is_of_it = torch.eq(SKEWED, label)
        mean, _ = cross_entropy(flat[is_of_it], SKEWED[is_of_it], 0.0, weights)
        losses.append(float(mean) * int(is_of_it.sum()))
    assert losses == pytest.approx([np.log(4) * 10 / 3] * 3, rel=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_weight_counts_like_so_many_images(label_smoothing: float) -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, weights = torch.tensor([0, 1, 2, 1]), torch.tensor([1.0, 3.0, 2.0, 1.0]).double()
    many = (
        torch.cat([logits, logits[[1, 1, 2, 3, 3]]]),
        torch.cat([labels, labels[[1, 1, 2, 3, 3]]]),
    )
    found, slope = cross_entropy(logits, labels, label_smoothing, weights)
    expected, of_many = cross_entropy(*many, label_smoothing, None)
    # Both are sums over images; ours is divided by the four that there are.
    assert found.item() == pytest.approx(expected.item() * 9 / 4, rel=1e-14)
    times = torch.tensor([1, 3, 2, 3])[:, None]  # that `many` holds each of the four images
    torch.testing.assert_close(slope, of_many[:4] * times * 9 / 4, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_without_weights_loss_and_gradient_are_torchs_to_the_last_bit(
    label_smoothing: float, dtype: torch.dtype
) -> None:
    chance = torch.Generator().manual_seed(0)
    logits = (torch.randn(257, 10, generator=chance) * 9).to(dtype).requires_grad_()
    labels = torch.arange(257) % 10
    assert class_weights(small.run_spec().train, labels) is None
    loss, slope = cross_entropy(logits, labels, label_smoothing, None)
    theirs = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    assert torch.equal(loss, theirs)
    assert torch.equal(slope, torch.autograd.grad(theirs, logits)[0])
    assert not loss.requires_grad
    assert not slope.requires_grad


def test_weights_bring_a_rare_class_out() -> None:
    """Two overlapping heaps, one ten times as large: the larger one swallows the smaller."""
    chance = np.random.default_rng(0)
    labels_N = np.repeat([0, 1], [300, 30])
    pixels = np.clip(chance.normal(120 + 20 * labels_N[:, None], 20, (330, 4)), 0, 255)
    images = ImageSet(
        pixels.astype(np.uint8).reshape(330, 1, 2, 2), labels_N, ("a", "b"), np.arange(330), "train"
    )
    recall = {}
    for weights in (None, "balanced"):
        spec = small.run_spec(
            {
                "data.num_val": 110,
                "model": {"family": "mlp"},
                "train": {"epochs": 25, "batch_size": 32, "class_weights": weights},
                "train.optimizer": {"name": "adam", "learning_rate": 0.05},
            }
        )
        session = Session(spec, divide(images, spec.data))
        for _ in session.advance():
            pass
        val = session._val
        with torch.inference_mode():
            answers = session.net(val.scale(val.images)).argmax(1)
        recall[weights] = float((answers[val.labels == 1] == 1).float().mean())
    # Linear, so it settles on one border; where it lies is what weights decide.
    assert recall["balanced"] > recall[None] + 0.3
