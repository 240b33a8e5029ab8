"""The training loop, on one page."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from modiste.data.batches import Batches
from modiste.models.build import Network
from modiste.spec.parts import Moment
from modiste.spec.run import TrainSpec
from modiste.train.checkpoint import EpochRow
from modiste.train.noise import ByteNoise
from modiste.train.state import TrainState
from modiste.train.step import Move, Step

LogitsNK = npt.NDArray[np.float32]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Tick:
    """Something was done: a safe place to save, show progress, or stop."""

    phase: str
    done: int
    total: int


def fit(
    spec: TrainSpec,
    seed: int,
    step: Step,
    move: Move,
    train: Batches,
    val: Batches,
    state: TrainState,
    judge: Network,
) -> Iterator[Tick]:
    """Train until the limit, early stopping or divergence, moving `state` in place.

    `step` and `move` belong to the net whose vectors it holds; a GPU records them when first asked.
    What is measured after an epoch is `judge`: the net itself, or one that is given the averages.
    A run that is cut (`until`) is left "running": whoever plans more goes on from there.

    Yields after every update and every inferred batch. Whoever iterates may stop at any of them
    and save the state; going on from it gives, on a CPU, the same bits as never having stopped.
    """
    num_steps = train.num_batches(spec.batch_size)
    clock = time.perf_counter()
    while state.status == "running" and state.epoch < spec.last_epoch:
        order = train.order(seed, state.epoch)
        while state.step < num_steps:
            start = state.step * spec.batch_size
            which = order[start : start + spec.batch_size]
            images, labels = train.take(which, spec.augment, seed, state.update, state.epoch)

            passed = step(images, labels, ByteNoise(seed, state.update))

            moment = Moment(state.update, num_steps, spec.epochs)
            rate = spec.schedule.rate(spec.optimizer.learning_rate, state.schedule, moment)
            move(state.update + 1, rate)

            state.note(passed.loss, passed.logits, labels)
            state.step += 1
            state.update += 1
            if spec.averaging is not None:
                state.average(spec.averaging.decay)
            now = time.perf_counter()
            state.seconds, clock = state.seconds + now - clock, now
            # Asking a GPU for a number makes it wait, so there the whole epoch is asked at once.
            if not images.is_cuda and not math.isfinite(passed.loss.item()):
                diverge(state, rate, "training loss")
                return
            yield Tick("train", state.step, num_steps)
            clock = time.perf_counter()  # what was done with the tick is no training

        loss_sum, num_correct = state.counted()
        if not math.isfinite(loss_sum):
            rate = rate_of(spec, state, num_steps, state.lost_at)
            diverge(state, rate, "training loss", state.lost_at)
            return
        judge.load(*state.judged)
        logits_NK = yield from infer(judge, val)
        val_loss, val_accuracy = score(logits_NK, val.labels.cpu().numpy())
        now = time.perf_counter()
        row = EpochRow(
            epoch=state.epoch + 1,
            train_loss=loss_sum / len(train),
            train_accuracy=num_correct / len(train),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate_of(spec, state, num_steps),
            seconds=state.seconds + now - clock,
        )
        clock = now
        if not math.isfinite(val_loss):
            diverge(state, row.learning_rate, "validation loss")
            return
        end_epoch(spec, state, row)


def infer(net: Network, batches: Batches) -> Generator[Tick, None, LogitsNK]:
    """Logits of all images in inference mode; a generator that returns N x K float32."""
    logits = []
    total = batches.num_batches(batches.inferred_at_once())
    for done, (images, _) in enumerate(batches.in_order(), start=1):
        with torch.inference_mode():
            logits.append(net(images))
        yield Tick("infer", done, total)
    answer: LogitsNK = torch.cat(logits).float().cpu().numpy()
    return answer


def to_end(steps: Generator[Tick, None, Result]) -> Result:
    """What a generator returns, its ticks passed over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def score(
    logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy of logits, computed in float64."""
    logits = logits_NK.astype(np.float64)
    with np.errstate(invalid="ignore"):  # a net that diverged gives infinities; NaN is the answer
        logits -= logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(logits).sum(axis=1))
    losses = log_total - logits[np.arange(len(labels_N)), labels_N]
    return float(losses.mean()), float((logits_NK.argmax(axis=1) == labels_N).mean())


def end_epoch(spec: TrainSpec, state: TrainState, row: EpochRow) -> None:
    """Count the epoch, keep the best weights, move the schedule, and stop where due."""
    state.history.append(row)
    if row.val_loss < state.best_val_loss:
        state.best_epoch, state.best_val_loss = row.epoch, row.val_loss
        weights, statistics = state.judged
        state.best_weights.copy_(weights)
        state.best_statistics.copy_(statistics)
    state.epoch, state.step, state.seconds = row.epoch, 0, 0.0
    state.sums.zero_()
    measured = vars(row)
    state.schedule = spec.schedule.after_epoch(state.schedule, measured)
    if spec.early_stopping is not None and state.stopping is not None:
        state.stopping = spec.early_stopping.after_epoch(state.stopping, row.epoch, measured)
        if state.stopping.should_stop:
            state.status = "finished"
            state.reason = (
                f"early stopping: no better {spec.early_stopping.monitor} for "
                f"{spec.early_stopping.patience} epochs"
            )
    if state.status == "running" and state.epoch >= spec.epochs:
        state.status, state.reason = "finished", f"epoch limit of {spec.epochs}"
    seconds = sum(row.seconds for row in state.history)
    if state.status == "running" and spec.max_seconds and seconds >= spec.max_seconds:
        state.status, state.reason = "finished", f"time limit of {spec.max_seconds:g} s"


def rate_of(spec: TrainSpec, state: TrainState, num_steps: int, update: int = 0) -> float:
    """The learning rate of an update, counted from 1; of the last one if not given."""
    moment = Moment((update or state.update) - 1, num_steps, spec.epochs)
    return spec.schedule.rate(spec.optimizer.learning_rate, state.schedule, moment)


def diverge(state: TrainState, rate: float, what: str, update: int = 0) -> None:
    """End a run whose numbers are none any more, and say where: at the last update if not given."""
    last = state.history[-1].train_loss if state.history else None
    state.status = "diverged"
    state.reason = (
        f"{what} no longer finite at epoch {state.epoch + 1}, update {update or state.update}, "
        f"learning rate {rate:g}; last finite training loss: "
        f"{'none' if last is None else f'{last:.4f}'}"
    )
