"""What is computed on a GPU is what a CPU computes, as far as a GPU can promise it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from modiste.data.batches import Batches
from modiste.kernels.on_gpu import BlocksOnGPU
from modiste.models.build import Network
from modiste.models.noise import Noise
from modiste.spec.run import RunSpec
from modiste.train import state as states
from modiste.train import step as steps
from modiste.train.loop import Tick, fit
from modiste.train.loss import class_weights, cross_entropy
from modiste.train.machine import put_back
from modiste.train.noise import ByteNoise
from modiste.train.population import Member, fit_population, run_population
from modiste.train.session import Session, start
from modiste.train.step import Passed
from tests import small

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")

NETS: dict[str, Mapping[str, Any]] = {
    "mlp": {"model.params.hidden": [12, 9]},
    "cnn": small.CNN,
    "compact": {
        "model": {"family": "compact", "params": {"stem": 4, "widths": [6], "dropout": 0.2}},
        "train.augment": [{"name": "mirror", "alternate": True}, {"name": "erase"}],
        "train.schedule": {"name": "one_cycle"},
        "train.optimizer": {"name": "muon", "learning_rate": 0.02},
        "train.averaging": {"decay": 0.9},
        "train.label_smoothing": 0.1,
    },
}
every_net = pytest.mark.parametrize("changes", NETS.values(), ids=NETS)
# Sums are taken in another order, and each update builds on the last: float64 has 1.1e-16.
CLOSE = {"rtol": 1e-8, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with put_back():
        yield


class SentNoise(ByteNoise):
    """The CPU's chance on whatever device."""

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        return super().multiplier(layer, values.detach().cpu(), rate).to(values.device)


class ChannelsLast(ByteNoise):
    """Bytes in the order that a block has them, for values in another, as cuDNN gives float64."""

    def multiplier(self, layer: int, values: Tensor, rate: float) -> Tensor:
        if values.dim() == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        return super().multiplier(layer, values, rate)


def net_of(spec: RunSpec, device: str, kernels: BlocksOnGPU | None = None) -> Network:
    images = small.data(spec).train
    params = spec.model.net
    layers = params.layers(images.shape_CHW, images.num_classes)
    return Network(
        layers,
        images.shape_CHW,
        params.initialisation,
        spec.seed,
        dtype=torch.float64,
        device=device,
        kernels=kernels,
    )


def batches_of(spec: RunSpec, device: str = "cuda") -> tuple[Batches, Batches]:
    data = small.data(spec)
    train, val = (
        Batches(part, data.preprocess, device, torch.float64) for part in (data.train, data.val)
    )
    return train, val


def fitted(spec: RunSpec, device: str = "cuda") -> Member:
    """A run in float64, from its start to its end."""
    net, judge = net_of(spec, device), net_of(spec, device)
    member = Member(spec.train, spec.seed, net, start(spec, net))
    judge = judge if spec.train.averaging else net
    train, val = batches_of(spec, device)
    step = steps.step_of(net, spec.train, class_weights(spec.train, train.labels))
    move = steps.move_of(net, spec.train, member.state.optimizer)
    list(fit(spec.train, spec.seed, step, move, train, val, member.state, judge))
    return member


@every_net
def test_gradients_are_those_of_the_cpu(changes: Mapping[str, Any]) -> None:
    spec = small.run_spec(changes)
    found = []
    for device in ("cpu", "cuda"):
        net = net_of(spec, device)
        train, _ = batches_of(spec, device)
        images, labels = train.take(torch.arange(40), spec.train.augment, 5, 7, 2)
        logits = net(images, SentNoise(3, 4))
        loss, slope = cross_entropy(logits, labels, 0.1, None)
        grads = net.gradients(logits, slope)
        found.append(
            [each.cpu() for each in (images, logits.detach(), loss, grads, net.statistics)]
        )
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here, **CLOSE)


@pytest.mark.parametrize("name", ["cnn", "compact"])
def test_compiled_blocks_compute_what_their_layers_do(name: str) -> None:
    """In batches of the size that they are compiled for, and of another."""
    spec = small.run_spec(NETS[name])
    train, _ = batches_of(spec)
    nets = [net_of(spec, "cuda", kernels) for kernels in (None, BlocksOnGPU(25))]
    for update, size in enumerate((15, 25, 25)):
        images, labels = train.take(torch.arange(size), spec.train.augment, 5, update, 2)
        found = []
        for net in nets:
            logits = net(images.clone(), ChannelsLast(3, update))
            _, slope = cross_entropy(logits, labels, 0.1, None)
            found.append((logits.detach(), net.gradients(logits, slope), net.statistics))
        for layers, blocks in zip(*found, strict=True):
            torch.testing.assert_close(blocks, layers, **CLOSE)
    with torch.inference_mode():
        torch.testing.assert_close(nets[1](images), nets[0](images), **CLOSE)


@every_net
def test_recorded_steps_come_out_as_unrecorded_ones(
    changes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout drawn on the GPU, over all epochs, the last batch of each a smaller one.

    Adam takes its rate in float32 where it is recorded.
    """
    spec = small.run_spec(changes)
    recorded = fitted(spec)
    played: list[int] = []

    class Plain:
        def __init__(self, pass_through: Any, *_: Any) -> None:
            self._pass = pass_through

        def __call__(self, images: Tensor, labels_N: Tensor, noise: Noise) -> Passed:
            played.append(len(labels_N))
            passed: Passed = self._pass(images, labels_N, noise)
            return passed

    monkeypatch.setattr(steps, "Recorded", Plain)
    monkeypatch.setattr(type(spec.train.optimizer), "is_recordable", False)
    plain = fitted(spec)
    assert set(played) == {25, 15}
    assert plain.state.update == recorded.state.update
    for name in ("weights", "statistics", "best_weights"):
        torch.testing.assert_close(
            getattr(recorded.state, name), getattr(plain.state, name), rtol=1e-6, atol=1e-7
        )
    for one, two in zip(plain.state.history, recorded.state.history, strict=True):
        assert math.isclose(one.train_loss, two.train_loss, rel_tol=1e-6)
        assert one.train_accuracy == two.train_accuracy


@every_net
@pytest.mark.parametrize(
    ("precision", "kernels"), [("float32", "torch"), ("bfloat16", "torch"), ("bfloat16", "fused")]
)
def test_nothing_is_waited_for_inside_an_epoch(
    changes: Mapping[str, Any], precision: str, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "COUNTED_AT_ONCE", 2)  # an epoch has four batches
    changes = {**changes, "train.precision": precision}
    spec = small.run_spec(changes, device="cuda", kernels=kernels)
    session = Session(spec, small.data(spec))
    try:
        for tick in session.advance():
            # Steps are recorded in the first epoch, and numbers are asked for at an epoch's end.
            is_inside = tick.phase == "train" and tick.done < tick.total
            is_known = session.state.epoch > 0
            torch.cuda.set_sync_debug_mode("error" if is_inside and is_known else "default")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert session.state.epoch > 1


def test_waiting_would_be_noticed() -> None:
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchroniz"):
            torch.ones(3, device="cuda").sum().item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@every_net
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_that_was_cut_goes_on(changes: Mapping[str, Any], precision: str) -> None:
    """Not to the bit, which no GPU promises; the same batches and the same chance."""
    spec = small.run_spec({**changes, "train.precision": precision}, device="cuda")
    whole, cut = Session(spec, small.data(spec)), Session(spec, small.data(spec))
    list(whole.advance())
    for number, _ in enumerate(cut.advance()):
        if number == 6:
            break
    again = Session(spec, small.data(spec), cut.save())
    list(again.advance())
    assert again.state.update == whole.state.update
    close = {"rtol": 1e-2, "atol": 1e-3} if precision == "float32" else {"rtol": 0.2, "atol": 0.05}
    torch.testing.assert_close(again.state.weights, whole.state.weights, **close)


POPULATIONS: dict[str, Sequence[Mapping[str, Any]]] = {
    "MLPs": [
        {"model.params.dropout": 0.5, "train.optimizer.learning_rate": 0.1},
        {"model.params.dropout": 0.25, "seed": 7},
        {"train.optimizer": {"name": "sgd", "learning_rate": 0.1}},
    ],
    "CNNs": [{**small.CNN, "seed": seed} for seed in range(3)],
}


@pytest.mark.parametrize("changes", POPULATIONS.values(), ids=POPULATIONS)
def test_members_of_a_population_come_out_as_they_do_alone(
    changes: Sequence[Mapping[str, Any]],
) -> None:
    specs = [small.run_spec(change) for change in changes]
    alone = [fitted(spec) for spec in specs]
    members = []
    for spec in specs:
        net = net_of(spec, "cuda")
        members.append(Member(spec.train, spec.seed, net, start(spec, net)))
    list(fit_population(members, *batches_of(specs[0])))
    for one, two in zip(alone, members, strict=True):
        assert one.state.best_epoch == two.state.best_epoch
        torch.testing.assert_close(two.state.weights, one.state.weights, **CLOSE)
        for row, other in zip(one.state.history, two.state.history, strict=True):
            np.testing.assert_allclose(other.val_loss, row.val_loss, rtol=1e-6)
            assert other.val_accuracy == row.val_accuracy


def test_a_run_that_diverges_names_the_update_at_which_it_did() -> None:
    changes = {
        "model.params": {"hidden": [12, 12, 12], "dropout": 0.0},
        "train.optimizer": {"name": "sgd", "learning_rate": 1e30},
        "train.batch_size": 5,
    }
    spec = small.run_spec(changes, device="cuda")
    session = Session(spec, small.data(spec))
    list(session.advance())
    assert session.state.status == "diverged"
    said = re.search(r"at epoch 1, update (\d+),", session.state.reason)
    assert said is not None
    assert int(said[1]) < session.state.update == 18


def test_a_population_gives_records() -> None:
    specs = [small.run_spec(seed=seed, device="cuda") for seed in range(3)]
    data = small.data(specs[0])

    def all_of(generator: Iterator[Tick]) -> Any:
        while True:
            try:
                next(generator)
            except StopIteration as end:
                return end.value

    records = all_of(run_population(specs, data))
    assert [record.metrics["status"] for record in records] == ["finished"] * 3
    assert records[0].environment["gpu"] == torch.cuda.get_device_name()
