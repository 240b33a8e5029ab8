"""A recorded step gives what the step gives, on whatever lies in its memory when it is played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from modiste.models.build import Network
from modiste.models.noise import Noise
from modiste.spec.run import TrainSpec
from modiste.train.loss import class_weights, cross_entropy
from modiste.train.noise import ByteNoise
from modiste.train.session import Session, batches_of, network
from modiste.train.step import Found, Passed, Recorded, RecordedMove, Step, step_of
from tests import small
from tests.recording import Again


class DrawnAsOnGPU(ByteNoise):
    """Draws bytes as on a GPU, where the answer does not lie in the order of the draws."""

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        draws = torch.empty_like(values, dtype=torch.uint8)
        self.draw(layer, draws)
        return (draws >= round(rate * 256)).to(values.dtype) * (1 / (1 - round(rate * 256) / 256))


LOSSES: dict[str, Mapping[str, Any]] = {
    "plain": {},
    "smoothed": {"train.label_smoothing": 0.1},
    "weighted": {"train.class_weights": "balanced"},
    "both": {"train.label_smoothing": 0.1, "train.class_weights": "balanced"},
}


@pytest.mark.parametrize("loss_changes", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("changes", [{}, small.CNN], ids=["mlp", "cnn"])
def test_a_recorded_step_is_the_step(
    changes: Mapping[str, Any], loss_changes: Mapping[str, Any]
) -> None:
    """Batches of two sizes, weights moved and statistics kept between them: the same bits."""
    spec = small.run_spec({**changes, **loss_changes})
    batches, _ = batches_of(spec, small.data(spec))
    given = spec.train.label_smoothing, class_weights(spec.train, batches.labels)
    alone, played = network(spec, small.data(spec).train), network(spec, small.data(spec).train)

    def work(images: Tensor, labels_N: Tensor, noise: Noise) -> Passed:
        logits = played(images, noise)
        loss, slope = cross_entropy(logits, labels_N, *given)
        played.gradients(logits, slope)
        return Passed(loss, logits.detach())

    step = Recorded(work, played.statistics, Again())
    kept = []
    for update, size in enumerate((25, 25, 15, 25, 15)):
        images, labels = batches.take(torch.arange(size) + 10 * update)
        noise = DrawnAsOnGPU(3, update)
        logits = alone(images.clone(), noise)
        loss, slope = cross_entropy(logits, labels, *given)
        grads = alone.gradients(logits, slope)

        passed = step(images, labels, noise)

        torch.testing.assert_close(passed.loss, loss, rtol=0, atol=0)
        torch.testing.assert_close(passed.logits, logits.detach(), rtol=0, atol=0)
        torch.testing.assert_close(played.grads, grads, rtol=0, atol=0)
        torch.testing.assert_close(played.statistics, alone.statistics, rtol=0, atol=0)
        for net, moved in ((alone, grads), (played, played.grads)):
            net.weights.sub_(moved, alpha=0.1)
        kept.append((passed.logits, logits.detach().clone()))
    for answer, expected in kept:  # what came out is not overwritten by the next step
        torch.testing.assert_close(answer, expected, rtol=0, atol=0)


def test_a_recorded_update_is_the_update() -> None:
    """Muon, which moves kernels by one rule and all else by Adam's; the rate is rounded there."""
    spec = small.run_spec({**small.CNN, "train.optimizer": {"name": "muon", "weight_decay": 0.1}})
    rule = spec.train.optimizer
    assert rule.is_recordable
    alone, played = (network(spec, small.data(spec).train) for _ in range(2))
    vectors = [rule.start(net.weights) for net in (alone, played)]
    move = RecordedMove(rule, played, vectors[1], Again())
    for update in range(1, 5):
        alone.grads.normal_()
        played.grads.copy_(alone.grads)
        rate = 0.1 / update
        rule.update(alone.weights, alone.grads, vectors[0], update, rate, alone.layout)
        move(update, rate)
        torch.testing.assert_close(played.weights, alone.weights, rtol=1e-5, atol=1e-6)
        for name, vector in vectors[0].items():
            torch.testing.assert_close(vectors[1][name], vector, rtol=1e-5, atol=1e-7)


def test_a_run_that_is_stopped_again_and_again_records_its_step_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For each of its two sizes of batch, and with the bits of one that nobody stopped."""
    num_recorded = 0

    class Counting(Again):
        def record(self, work: Callable[[], Found]) -> tuple[Found, Callable[[], None]]:
            nonlocal num_recorded
            num_recorded += 1
            return super().record(work)

    def recorded(net: Network, spec: TrainSpec, weights_K: Tensor | None) -> Step:
        return Recorded(step_of(net, spec, weights_K), net.statistics, Counting())

    monkeypatch.setattr("modiste.train.session.step_of", recorded)
    spec = small.run_spec(small.CNN)
    whole, stopped = (Session(spec, small.data(spec)) for _ in range(2))
    list(whole.advance())
    assert num_recorded == 2
    while stopped.state.status == "running":
        for tick in stopped.advance():
            if tick.phase == "train":
                break
    assert num_recorded == 4
    assert stopped.state.update == whole.state.update
    assert torch.equal(stopped.state.weights, whole.state.weights)
    assert torch.equal(stopped.state.statistics, whole.state.statistics)
