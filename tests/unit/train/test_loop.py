"""What training computes, what it records, and what it makes of numbers that run away."""

from __future__ import annotations

import dataclasses
import json
import math
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from modiste import seeds
from modiste.data.batches import Batches
from modiste.data.load import divide
from modiste.data.types import ImageSet
from modiste.errors import SpecError
from modiste.evaluate.finding import facts, findings
from modiste.runs.run import Run, RunRecord, write_run
from modiste.spec.parts import OPTIMIZERS
from modiste.spec.run import RunSpec
from modiste.train.loop import score
from modiste.train.noise import ByteNoise
from modiste.train.session import Session
from tests import small


def trained(spec: RunSpec, images: ImageSet | None = None) -> tuple[Session, RunRecord]:
    session = Session(spec, divide(images or small.images(), spec.data))
    for _ in session.advance():
        pass
    steps = session.finish()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return session, end.value


def test_an_update_is_the_gradient_of_the_mean_loss_on_the_images_of_the_order() -> None:
    spec = small.run_spec(
        {"train.optimizer": {"name": "sgd", "learning_rate": 0.1}, "model.params.dropout": 0.0}
    )
    session, data = Session(spec, small.data()), small.data()
    start = session.net.weights.clone()
    next(session.advance())
    order = seeds.generator(spec.seed, "order", 0).permutation(len(data.train))[:25]
    images = torch.from_numpy(data.train.images_NCHW[order]).float() / 255
    labels = torch.from_numpy(data.train.labels_N[order])
    net = Session(spec, data).net
    assert torch.equal(net.weights, start)
    logits = net(images, ByteNoise(0, 0))
    slope = (torch.softmax(logits, 1) - F.one_hot(labels, logits.shape[1])) / len(labels)
    net.weights.sub_(0.1 * net.gradients(logits, slope))
    # One float32 rounding of numbers below 1 between the two ways to write x / 255.
    torch.testing.assert_close(session.net.weights, net.weights, rtol=0, atol=1e-6)


def test_every_image_is_seen_once_in_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    take = Batches.take

    def watched(self: Any, which: torch.Tensor, *rest: Any) -> Any:
        seen.append(which.tolist())
        return take(self, which, *rest)

    monkeypatch.setattr(Batches, "take", watched)
    trained(small.run_spec({"train.epochs": 2}))
    assert [len(batch) for batch in seen] == [25, 25, 25, 15] * 2
    first, second = (list(chain(*batches)) for batches in (seen[:4], seen[4:]))
    assert sorted(first) == sorted(second) == list(range(90))
    assert first != second


def test_adding_dropout_or_augmentation_does_not_change_the_order_of_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders: list[list[list[int]]] = []
    take = Batches.take

    def watched(self: Any, which: torch.Tensor, *rest: Any) -> Any:
        orders[-1].append(which.tolist())
        return take(self, which, *rest)

    monkeypatch.setattr(Batches, "take", watched)
    starts = []
    for changes in (
        {"model.params.dropout": 0.0},
        {"model.params.dropout": 0.5},
        {"train.augment": ["mirror", "erase"]},
        {"train.optimizer": {"name": "sgd"}},
    ):
        orders.append([])
        session = Session(small.run_spec(changes), small.data())
        starts.append(session.net.weights.clone())
        for _ in session.advance():
            pass
    assert orders[0] == orders[1] == orders[2] == orders[3]
    assert all(torch.equal(starts[0], weights) for weights in starts)


def test_training_figures_are_those_seen_in_training_and_the_others_are_inferred() -> None:
    # A rate so high that the last epoch is not the best one.
    rate = {"train.optimizer.learning_rate": 0.2, "train.epochs": 4}
    session, record = trained(small.run_spec(rate, seed=3))
    assert record.metrics["best"]["epoch"] < record.metrics["last"]["epoch"]
    last = record.history[-1]
    assert last["train_loss"] != pytest.approx(record.metrics["last"]["train"]["loss"], rel=1e-3)
    # The same weights and images, inferred twice by the same code: the same bits.
    assert last["val_loss"] == record.metrics["last"]["val"]["loss"]
    assert last["val_accuracy"] == record.metrics["last"]["val"]["accuracy"]
    best = record.history[record.metrics["best"]["epoch"] - 1]
    assert best["val_loss"] == record.metrics["best"]["val"]["loss"]
    assert best["val_loss"] == min(row["val_loss"] for row in record.history)
    for name, tensor in session.net.named_weights():
        assert np.array_equal(record.weights[f"last/{name}"], tensor.numpy())
    assert not np.array_equal(
        record.weights["best/dense_0.weight"], record.weights["last/dense_0.weight"]
    )


def test_accuracies_and_losses_are_those_of_the_saved_logits() -> None:
    _, record = trained(small.run_spec())
    for epoch in ("best", "last"):
        logits, labels = record.predictions[f"logits_{epoch}_NK"], record.predictions["labels"]
        measured = record.metrics[epoch]["val"]
        assert logits.dtype == np.float32
        assert measured["correct"] == int((logits.argmax(1) == labels).sum())
        assert measured["accuracy"] == measured["correct"] / measured["total"]
        loss = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
        # Two ways to add up the same float64 numbers.
        assert measured["loss"] == pytest.approx(float(loss), rel=1e-12)


def test_score_does_not_overflow_where_the_loss_is_finite() -> None:
    logits = np.array([[1e30, 0.0], [0.0, -1e30], [3e38, 3e38]], np.float32)
    loss, accuracy = score(logits, np.array([0, 0, 1]))
    assert loss == pytest.approx(math.log(2) / 3, rel=1e-12)
    assert accuracy == pytest.approx(2 / 3)


def test_the_rate_recorded_is_that_of_the_epochs_last_update() -> None:
    spec = small.run_spec(
        {
            "train.schedule": {
                "name": "reduce_on_plateau",
                "monitor": "train_loss",
                "patience": 1,
                "min_delta": 1e6,
            },
            "train.epochs": 4,
        }
    )
    _, record = trained(spec)
    # Nothing beats the first loss by a million: a cut after each of the later epochs.
    rates = [row["learning_rate"] for row in record.history]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001], rel=1e-12)


@pytest.mark.parametrize("patience", [0, 1])
def test_no_patience_stops_at_the_first_epoch_that_is_no_better(patience: int) -> None:
    stopping = {"patience": patience, "min_delta": 1e6}
    spec = small.run_spec({"train.early_stopping": stopping, "train.epochs": 50})
    _, record = trained(spec)
    assert record.metrics["epochs"] == 2
    assert "early stopping" in record.metrics["reason"]


def test_one_epoch_is_enough_for_a_whole_record(tmp_path: Path) -> None:
    _, record = trained(small.run_spec({"train.epochs": 1}))
    assert record.metrics["best"]["epoch"] == record.metrics["last"]["epoch"] == 1
    assert "epoch limit of 1" in record.metrics["reason"]
    write_run(record, tmp_path / "run")
    findings(facts(Run(tmp_path / "run")))


@pytest.mark.parametrize("batch_size", [1, 89, 90, 91, 10**9, 10**30])
def test_any_batch_size_will_do(batch_size: int) -> None:
    spec = small.run_spec({"train.batch_size": batch_size, "train.epochs": 1})
    _, record = trained(spec)
    assert record.metrics["updates"] == max(1, -(-90 // batch_size))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_last_batch_of_one_image_passes_batch_norm_of_one_pixel(precision: str) -> None:
    spec = small.run_spec(
        {
            "model": {"family": "cnn", "params": {"filters": [2] * 6}},
            "train.batch_size": 89,
            "train.precision": precision,
            "train.epochs": 2,
        }
    )
    _, record = trained(spec)
    assert record.metrics["status"] == "finished"
    assert all(np.isfinite(array).all() for array in record.weights.values())


def test_a_set_of_one_class_is_learnt_and_nothing_divides_by_zero(tmp_path: Path) -> None:
    images = small.images()
    alone = dataclasses.replace(images, labels_N=images.labels_N * 0, class_names=("all",))
    _, record = trained(small.run_spec({"train.epochs": 1}), alone)
    assert record.metrics["last"]["val"]["accuracy"] == 1.0
    assert record.metrics["last"]["val"]["loss"] == 0.0
    write_run(record, tmp_path / "run")


def test_images_all_alike_are_no_reason_to_crash() -> None:
    images = small.images()
    grey = dataclasses.replace(images, images_NCHW=np.full_like(images.images_NCHW, 7))
    for changes in ({"data.scaling": "standard"}, small.CNN):
        _, record = trained(small.run_spec({**changes, "train.epochs": 2}), grey)
        assert record.metrics["status"] == "finished"


def test_more_threads_than_cores_are_allowed() -> None:
    _, record = trained(small.run_spec({"train.epochs": 1}, threads=8))
    torch.set_num_threads(1)
    assert record.environment["threads"] == 8


def test_label_smoothing_and_standard_scaling_change_what_is_learnt() -> None:
    _, plain = trained(small.run_spec())
    for changes in ({"train.label_smoothing": 0.1}, {"data.scaling": "standard"}):
        _, other = trained(small.run_spec(changes))
        assert other.fingerprint != plain.fingerprint
        name = "last/dense_0.weight"
        assert not np.array_equal(plain.weights[name], other.weights[name])


def test_what_is_kept_of_an_averaged_run_is_the_average_of_its_updates() -> None:
    changes = {**small.CNN, "train.early_stopping": None, "train.schedule": "constant"}
    plain = small.run_spec(changes)
    averaged = small.run_spec({**changes, "train.averaging": {"decay": 0.7}})
    session = Session(plain, small.data())
    means = [session.state.weights.clone(), session.state.statistics.clone()]
    for tick in session.advance():
        if tick.phase == "train":
            share = 1 - min(0.7, (1 + session.state.update) / (10 + session.state.update))
            means[0].lerp_(session.state.weights, share)
            means[1].lerp_(session.state.statistics, share)
    other, record = trained(averaged)
    # What is measured does not change what is learnt, where no schedule listens to it.
    assert [r["train_loss"] for r in record.history] == [
        row.train_loss for row in session.state.history
    ]
    assert torch.equal(other.state.weights, session.state.weights)
    kept = {name: record.weights[f"last/{name}"] for name in ("conv_0.weight", "dense_0.bias")}
    other.net.load(*means)
    named = dict(other.net.named_weights())
    assert all(np.array_equal(kept[name], named[name].numpy()) for name in kept)


def test_the_share_that_dropout_really_drops_is_recorded() -> None:
    _, record = trained(small.run_spec({"model.params.dropout": 0.3}))
    assert record.metrics["dropout_really"] == {"0.3": 77 / 256}


# --- numbers that run away ------------------------------------------------------------------------


def diverging(rate: float, **settings: Any) -> RunSpec:
    return small.run_spec({"train.optimizer": {"name": "sgd", "learning_rate": rate}, **settings})


@pytest.mark.parametrize("rate", [1e5, 1e10, 1e30])
def test_a_run_that_diverges_is_a_result_and_says_where(rate: float, tmp_path: Path) -> None:
    _, record = trained(diverging(rate, **{"model.params.hidden": [12, 12, 12]}))
    assert record.metrics["status"] == "diverged"
    reason = record.metrics["reason"]
    assert "no longer finite at epoch 1, update" in reason
    assert f"learning rate {rate:g}" in reason
    assert record.weights == {}
    write_run(record, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert "M004" in [finding.code for finding in findings(facts(run))]
    assert "last" not in run.metrics


def test_where_losses_are_counted_late_the_first_that_is_no_number_is_found() -> None:
    state = Session(small.run_spec(), small.data()).state
    logits, labels = torch.ones(5, 10), torch.zeros(5, dtype=torch.int64)
    for loss in (1.0, 2.0, math.inf, 3.0, math.nan):
        state.note(torch.tensor(loss), logits, labels)
        state.update += 1
    assert state.lost_at == 0
    total, num_correct = state.counted()
    assert (math.isfinite(total), num_correct) == (False, 25)
    assert state.lost_at == 3


class SaidToBeOnGPU(torch.Tensor):
    """Lies on the CPU, and says otherwise."""

    is_cuda = True


@pytest.mark.parametrize("rate", [1e10, 1e30])
def test_a_run_on_a_gpu_names_the_update_at_which_it_diverged(
    rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There nobody asks before the epoch ends; and the rate has moved on meanwhile."""
    params = {"hidden": [12, 12, 12], "dropout": 0.0}
    more = {"train.schedule": {"name": "one_cycle"}, "train.batch_size": 5}
    spec = diverging(rate, **{"model.params": params}, **more)
    here, _ = trained(spec)
    take = Batches.take

    def taken(self: Batches, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = take(self, *args)
        return images.as_subclass(SaidToBeOnGPU), labels

    monkeypatch.setattr(Batches, "take", taken)
    there, _ = trained(spec)
    assert here.state.update < there.state.update == 18
    assert here.state.reason == there.state.reason


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_the_largest_rate_that_is_allowed_crashes_no_optimizer(name: str) -> None:
    changes = {"train.optimizer": {"name": name, "learning_rate": 1e30}}
    _, record = trained(small.run_spec(changes))
    assert record.metrics["status"] in ("diverged", "finished")
    with pytest.raises(SpecError, match=r"train\.optimizer\.learning_rate"):
        small.run_spec({"train.optimizer": {"name": name, "learning_rate": 1e31}})


def test_a_loss_that_runs_away_after_good_epochs_keeps_the_best_of_them() -> None:
    spec = small.run_spec({"train.epochs": 4})
    session = Session(spec, small.data())
    for _ in session.advance():
        if session.state.epoch == 2 and session.state.step == 1:
            session.net.weights.fill_(math.nan)
    record = finish(session)
    assert record.metrics["status"] == "diverged"
    assert record.metrics["epochs"] == len(record.history) == 2
    assert "last finite training loss: " in record.metrics["reason"]
    assert record.metrics["best"]["epoch"] in (1, 2)
    assert math.isfinite(record.metrics["best"]["val"]["loss"])


def finish(session: Session) -> RunRecord:
    steps = session.finish()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def test_validation_that_is_no_longer_finite_is_a_divergence_too() -> None:
    # The last update of the epoch breaks the net: only validation can see it.
    session = Session(small.run_spec({"train.epochs": 1}), small.data())
    for tick in session.advance():
        if tick.phase == "train" and tick.done == tick.total:
            session.net.weights.fill_(math.inf)
    assert session.state.status == "diverged"
    assert "validation loss" in session.state.reason


def test_weights_have_to_be_numbers_also_where_no_answer_depends_on_them(tmp_path: Path) -> None:
    # The last convolution sees one pixel, and multiplies its corners by padding alone.
    model = {"family": "cnn", "params": {"filters": [2] * 6}}
    values = {"model": model, "train.epochs": 1, "train.precision": "bfloat16"}
    session = Session(small.run_spec(values), small.data())
    for _ in session.advance():
        pass
    (slot,) = (slot for slot in session.net.layout if slot.name == "conv_5.weight")
    session.state.best_weights[slot.start] = math.nan
    record = finish(session)
    assert record.metrics["status"] == "diverged"
    assert record.metrics["reason"] == "numbers no longer finite among the weights of epoch 1"
    write_run(record, tmp_path / "run")


def test_training_images_alone_that_overflow_in_the_end_are_no_crash(tmp_path: Path) -> None:
    # Validation images all black, so their logits are the biases whatever the kernels are; the
    # kernels are so large that any other image overflows.
    spec = small.run_spec({"model.params.hidden": [], "train.epochs": 1})
    data = small.data()
    black = dataclasses.replace(data.val, images_NCHW=np.zeros_like(data.val.images_NCHW))
    session = Session(spec, dataclasses.replace(data, val=black))
    for tick in session.advance():
        if tick.phase == "train" and tick.done == tick.total:
            dict(session.net.named_weights())["dense_0.weight"].fill_(3e38)
    record = finish(session)
    assert record.metrics["status"] == "diverged"
    assert "training loss" in record.metrics["reason"]
    write_run(record, tmp_path / "run")
    json.dumps(record.metrics, allow_nan=False)
