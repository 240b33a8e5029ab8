"""Many runs of equal shape trained as one: the loop of `modiste.train.loop`, for all at once.

Members differ in seed, optimizer, rates, schedule, early stopping and dropout. Each is trained as
it would be alone: on the same batches, with the same noise, by the same rules. Only the order in
which a sum is taken may differ, so a member alone and one of many agree to rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.data.batches import Batches
from modiste.data.load import TrainingData
from modiste.errors import SpecError
from modiste.models.build import Network
from modiste.models.population import Population
from modiste.runs.run import RunRecord
from modiste.spec.parts import Moment
from modiste.spec.run import RunSpec, TrainSpec
from modiste.train.checkpoint import EpochRow
from modiste.train.loop import Tick, diverge, end_epoch, rate_of
from modiste.train.loss import class_weights, image_losses
from modiste.train.noise import ByteNoise, ByteNoises
from modiste.train.record import is_out_of_memory
from modiste.train.record import record as blank_record
from modiste.train.session import Session, batches_of
from modiste.train.state import TrainState

# What all members must have in common, beside the shape of their nets.
COMMON = ("batch_size", "label_smoothing", "class_weights", "precision", "augment")


@dataclass(frozen=True)
class Member:
    """One run of a population, at its start or at the end of an epoch.

    Attributes:
        net: Which `state` moves; what it holds is right after each epoch.
    """

    spec: TrainSpec
    seed: int
    net: Network
    state: TrainState


def fit_population(members: Sequence[Member], train: Batches, val: Batches) -> Iterator[Tick]:
    """Train all members to their ends, moving their states in place.

    An epoch's seconds are shared out evenly among those that trained in it.

    Yields after every update and every inferred batch; states can be saved whenever an epoch has
    ended.

    Raises:
        SpecError: If they cannot be trained as one; says in what they differ.
    """
    _need_common(members)
    while running := [member for member in members if _goes_on(member)]:
        group = _Group(running, train, val)
        while all(map(_goes_on, running)):
            yield from group.epoch()


def _goes_on(member: Member) -> bool:
    return member.state.status == "running" and member.state.epoch < member.spec.last_epoch


def run_population(
    specs: Sequence[RunSpec], data: TrainingData
) -> Generator[Tick, None, list[RunRecord]]:
    """Train runs of one data set as one, and say what came out; a generator that returns records.

    Their environments say how many there were, because the last bits depend on it. Where memory
    does not last for so many, all of them are "out_of_memory".

    Args:
        specs: The runs, on one device.
        data: Of all of them.

    Raises:
        SpecError: If they cannot be trained as one.
    """
    first = specs[0]
    said = {(spec.data, spec.device, spec.threads, spec.kernels) for spec in specs}
    if said != {(data.spec, first.device, first.threads, "torch")}:
        raise SpecError(
            "runs that are trained as one are of the data that is given, on one device, with equal "
            "`threads` and `kernels: torch`."
        )
    try:
        records = yield from _trained(specs, data)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        words = str(error) or "MemoryError"
        reason = f"{len(specs)} runs at once want for memory, and fewer take less: {words}"
        records = [blank_record(spec, data, "out_of_memory", reason) for spec in specs]
    return [
        replace(record, environment={**record.environment, "population": len(specs)})
        for record in records
    ]


def _trained(
    specs: Sequence[RunSpec], data: TrainingData
) -> Generator[Tick, None, list[RunRecord]]:
    train, val = batches_of(specs[0], data)
    sessions = [Session(spec, data, batches=(train, val)) for spec in specs]
    members = [Member(s.spec.train, s.spec.seed, s.net, s.state) for s in sessions]
    yield from fit_population(members, train, val)
    records = []
    for session in sessions:
        record = yield from session.finish()
        records.append(record)
    return records


class _Group:
    """Members that are still running, and their vectors side by side."""

    def __init__(self, members: Sequence[Member], train: Batches, val: Batches) -> None:
        self._members, self._train, self._val = members, train, val
        self._nets = Population([member.net for member in members])
        self._blocks = [
            _Block(rows, members[rows.start : rows.stop]) for rows in _neighbours(members)
        ]
        self._num_steps = train.num_batches(members[0].spec.batch_size)
        self._weights_K = class_weights(members[0].spec, train.labels)

    def epoch(self) -> Iterator[Tick]:
        """One epoch of all members, and what it says of each."""
        members, nets = self._members, self._nets
        number = members[0].state.epoch
        began = time.perf_counter()
        grads = torch.empty_like(nets.weights)
        sums_P2 = torch.zeros(len(members), 2, dtype=torch.float64, device=grads.device)
        lost_P = torch.zeros(len(members), dtype=torch.float64, device=grads.device)
        orders = [self._train.order(member.seed, number) for member in members]
        for step in range(self._num_steps):
            update = number * self._num_steps + step
            images_PNCHW, labels_PN = self._take(orders, step, update, number)

            noises = ByteNoises([ByteNoise(member.seed, update) for member in members])
            logits_PNK = nets(images_PNCHW, noises)
            losses_P = self._losses(logits_PNK, labels_PN)
            nets.gather(torch.autograd.grad(losses_P.sum(), nets.parameters), out=grads)
            for block in self._blocks:
                block.move(nets, grads, update, self._num_steps)

            with torch.no_grad():
                sums_P2[:, 0] += losses_P * labels_PN.shape[1]
                sums_P2[:, 1] += (logits_PNK.argmax(2) == labels_PN).sum(1)
                lost_P.masked_fill_((lost_P == 0) & ~losses_P.isfinite(), step + 1)
            yield Tick("train", step + 1, self._num_steps)
        scores_P2 = _scores((yield from self._infer()), self._val.labels)
        self._hand_back()
        figures = torch.cat((sums_P2, scores_P2, lost_P.unsqueeze(1)), 1).tolist()
        seconds = (time.perf_counter() - began) / len(members)
        for member, (loss_sum, correct, *scores, lost) in zip(members, figures, strict=True):
            self._end(member, loss_sum, correct, (scores[0], scores[1]), int(lost), seconds)

    def _take(
        self, orders: Sequence[Tensor], step: int, update: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Each member's batch: P x N x C x H x W, and P x N."""
        spec = self._members[0].spec
        start = step * spec.batch_size
        which = [order[start : start + spec.batch_size] for order in orders]
        if spec.augment:
            parts = [
                self._train.take(one, spec.augment, member.seed, update, epoch)
                for one, member in zip(which, self._members, strict=True)
            ]
            images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        else:
            images, labels = self._train.take(torch.cat(which))
        size = len(orders), len(which[0])
        return images.view(*size, *images.shape[1:]), labels.view(size)

    def _losses(self, logits_PNK: Tensor, labels_PN: Tensor) -> Tensor:
        """The mean loss of each member's batch."""
        losses = image_losses(
            logits_PNK.flatten(0, 1),
            labels_PN.flatten(),
            self._members[0].spec.label_smoothing,
            self._weights_K,
        )
        return losses.view(labels_PN.shape).mean(1)

    def _infer(self) -> Generator[Tick, None, Tensor]:
        """Logits of all validation images, P x M x K, in inference mode."""
        num_nets, parts = len(self._members), []
        total = self._val.num_batches(self._val.inferred_at_once(num_nets))
        for done, (images, _) in enumerate(self._val.in_order(num_nets), start=1):
            with torch.inference_mode():
                parts.append(self._nets(images.expand(num_nets, *images.shape)))
            yield Tick("infer", done, total)
        return torch.cat(parts, 1).float()

    def _hand_back(self) -> None:
        """Give every member its own vectors, as they are now."""
        rows = zip(self._members, self._nets.weights, self._nets.statistics, strict=True)
        for member, weights, statistics in rows:
            member.net.load(weights, statistics)
        for block in self._blocks:
            block.hand_back()

    def _end(
        self,
        member: Member,
        loss_sum: float,
        correct: float,
        scores: tuple[float, float],
        lost: int,
        seconds: float,
    ) -> None:
        """What an epoch of the loop ends with, for one member.

        One whose loss was lost at an update of the epoch, counted from 1, ended there: what the
        others went on with is none of its own.
        """
        state = member.state
        state.update += lost or self._num_steps
        val_loss, val_accuracy = scores
        rate = rate_of(member.spec, state, self._num_steps)
        if lost:
            diverge(state, rate, "training loss")
            return
        if not math.isfinite(val_loss):
            diverge(state, rate, "validation loss")
            return
        row = EpochRow(
            epoch=state.epoch + 1,
            train_loss=loss_sum / len(self._train),
            train_accuracy=correct / len(self._train),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate,
            seconds=seconds,
        )
        end_epoch(member.spec, state, row)


def _scores(logits_PMK: Tensor, labels_M: Tensor) -> Tensor:
    """Mean cross-entropy and accuracy of each member, P x 2, as `modiste.train.loop.score`."""
    losses = [F.cross_entropy(logits_MK.double(), labels_M) for logits_MK in logits_PMK]
    num_correct_P = (logits_PMK.argmax(2) == labels_M).sum(1)
    return torch.stack((torch.stack(losses), num_correct_P.double() / len(labels_M)), 1)


class _Block:
    """Neighbours with equal optimizers: their vectors are rows of one matrix."""

    def __init__(self, rows: range, members: Sequence[Member]) -> None:
        self._rows, self._members = rows, members
        first = members[0].state.optimizer
        self._state = {
            name: torch.stack([member.state.optimizer[name] for member in members])
            for name in first
        }

    def move(self, nets: Population, grads: Tensor, update: int, num_steps: int) -> None:
        """One update of each; those whose rates are equal, too, are moved as one vector."""
        rule = self._members[0].spec.optimizer
        rates = [_rate(member, num_steps, update) for member in self._members]
        stop = 0
        for rate, equal in groupby(rates):
            start, stop = stop, stop + len(list(equal))
            rows = slice(self._rows.start + start, self._rows.start + stop)
            rule.update(
                nets.weights[rows].view(-1),
                grads[rows].view(-1),
                {name: matrix[start:stop].view(-1) for name, matrix in self._state.items()},
                update + 1,
                rate,
                nets.layout if len(self._members) == 1 else (),
            )

    def hand_back(self) -> None:
        """Give every member its optimizer's vectors, as they are now."""
        for place, member in enumerate(self._members):
            for name, matrix in self._state.items():
                member.state.optimizer[name].copy_(matrix[place])


def _neighbours(members: Sequence[Member]) -> Iterator[range]:
    """Rows whose optimizers are equal and move each weight by itself; else rows one by one."""
    stop = 0
    for rule, equal in groupby(member.spec.optimizer for member in members):
        start, stop = stop, stop + len(list(equal))
        if rule.is_elementwise:
            yield range(start, stop)
        else:
            yield from (range(row, row + 1) for row in range(start, stop))


def _rate(member: Member, num_steps: int, update: int) -> float:
    spec = member.spec
    moment = Moment(update, num_steps, spec.epochs)
    return spec.schedule.rate(spec.optimizer.learning_rate, member.state.schedule, moment)


def _need_common(members: Sequence[Member]) -> None:
    for name in COMMON:
        values = {str(getattr(member.spec, name)) for member in members}
        if len(values) > 1:
            found = " and ".join(sorted(values))
            raise SpecError(f"train.{name}: runs that are trained as one must agree; got {found}.")
    if any(member.spec.averaging for member in members):
        raise SpecError(
            "train.averaging: runs that are trained as one do not average; leave it out."
        )
    if members[0].spec.precision != "float32":
        raise SpecError("train.precision: runs that are trained as one compute in float32.")
    at = {(member.state.epoch, member.state.step) for member in members}
    if len(at) > 1 or any(step for _, step in at):
        raise SpecError("runs that are trained as one must stand at the end of the same epoch.")
    if any(member.net.views != "one" for member in members):
        raise SpecError("model.params.views: runs that are trained as one see an image once.")
