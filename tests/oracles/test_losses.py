"""Our loss, Keras's sparse cross-entropy and its one-hot one are the same number."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from modiste.evaluate.metrics import probabilities
from modiste.train.loop import score


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(5))
def test_sparse_and_one_hot_cross_entropy_are_the_same_loss(keras: ModuleType, seed: int) -> None:
    chance = np.random.default_rng(seed)
    labels_N = chance.integers(0, 10, 500)
    logits_NK = chance.normal(0, 3, (500, 10)).astype(np.float32)
    one_hot_NK = np.eye(10, dtype=np.float32)[labels_N]
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels_N, logits_NK)
    one_hot = keras.losses.CategoricalCrossentropy(from_logits=True)(one_hot_NK, logits_NK)
    ours, _ = score(logits_NK, labels_N)
    # Both of Keras's sum 500 losses in float32.
    assert float(sparse) == pytest.approx(float(one_hot), rel=1e-6)
    assert ours == pytest.approx(float(sparse), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_one_hot_sum_written_out_is_our_loss(seed: int) -> None:
    chance = np.random.default_rng(seed)
    labels_N = chance.integers(0, 10, 500)
    logits_NK = chance.normal(0, 3, (500, 10)).astype(np.float32)
    one_hot_NK = np.eye(10)[labels_N]
    losses_N = -(one_hot_NK * np.log(probabilities(logits_NK.astype(np.float64)))).sum(axis=1)
    assert score(logits_NK, labels_N)[0] == pytest.approx(float(losses_N.mean()), rel=1e-12)
