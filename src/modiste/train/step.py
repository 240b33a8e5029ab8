"""What the loop does between a batch and an update: loss and gradients, forward and back.

On a GPU a step of a small net is hundreds of short kernels, and asking for one takes longer than
computing it. There the step is recorded once and played back: one call asks for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from modiste.models.build import Network
from modiste.models.noise import Noise
from modiste.spec.run import TrainSpec
from modiste.train.loss import cross_entropy
from modiste.train.noise import ByteNoise, KeptNoise

Found = TypeVar("Found")
# Before it is recorded a step is taken so often: libraries choose and load their kernels then.
NUM_REHEARSALS = 3


@dataclass(frozen=True)
class Passed:
    """A batch that went forward and back; its gradients lie in the net.

    Attributes:
        loss: Mean over the batch.
        logits: N x K.
    """

    loss: Tensor
    logits: Tensor


class Step(Protocol):
    """Forward and back with a batch: scaled images, labels, and where dropout's chance is from.

    What it finds for the weights lies in `Network.grads`, for the `Move` that follows.
    """

    def __call__(self, images: Tensor, labels_N: Tensor, noise: ByteNoise) -> Passed: ...


def step_of(net: Network, spec: TrainSpec, weights_K: Tensor | None) -> Step:
    """How a net takes its steps: one by one on a CPU, recorded on a GPU.

    Args:
        net: Its weights may be moved between the steps, in place.
        spec: Says what is minimised.
        weights_K: What an image of each class counts; all the same if not given.
    """

    def pass_through(images: Tensor, labels_N: Tensor, noise: Noise) -> Passed:
        logits = net(images, noise)
        loss, slope = cross_entropy(logits, labels_N, spec.label_smoothing, weights_K)
        net.gradients(logits, slope)
        return Passed(loss, logits.detach())

    if net.weights.is_cuda:
        return Recorded(pass_through, net.statistics, OnGPU())
    return pass_through


class Move(Protocol):
    """An update of a net's weights by the gradients in it: its number, from 1, and the rate now."""

    def __call__(self, update: int, rate: float) -> None: ...


def move_of(net: Network, spec: TrainSpec, vectors: dict[str, Tensor]) -> Move:
    """How a net's weights are moved by its gradients: at once, or recorded where that pays.

    Args:
        net: Whose.
        spec: Names the rule.
        vectors: The rule's own, which it moves, too.
    """
    rule: Any = spec.optimizer
    if net.weights.is_cuda and rule.is_recordable:
        return RecordedMove(rule, net, vectors, OnGPU())
    return lambda update, rate: rule.update(
        net.weights, net.grads, vectors, update, rate, net.layout
    )


class Recorder(Protocol):
    """Records what a function does to tensors; all of them stay where they are."""

    def record(self, work: Callable[[], Found]) -> tuple[Found, Callable[[], None]]:
        """What came out, and what does the same again with what then lies there."""


class Recorded:
    """A step that is recorded for each size of batch when that is first seen, then played back.

    The same kernels in the same order as without, so the same numbers.

    Args:
        pass_through: The step; reads and writes the same memory each time.
        statistics: What it moves beside its answer; put back after rehearsals.
        recorder: Where it is recorded.
    """

    def __init__(
        self,
        pass_through: Callable[[Tensor, Tensor, Noise], Passed],
        statistics: Tensor,
        recorder: Recorder,
    ) -> None:
        self._pass, self._statistics, self._recorder = pass_through, statistics, recorder
        self._tapes: dict[int, _Tape] = {}

    def __call__(self, images: Tensor, labels_N: Tensor, noise: ByteNoise) -> Passed:
        """Play the step back on this batch; what comes out belongs to the caller."""
        size = len(labels_N)
        if size not in self._tapes:
            self._tapes[size] = self._tape(images, labels_N)
        tape = self._tapes[size]
        tape.images.copy_(images)
        tape.labels_N.copy_(labels_N)
        tape.noise.draw_all(noise)
        tape.play()
        found = tape.found
        return Passed(found.loss.clone(), found.logits.clone())

    def _tape(self, images: Tensor, labels_N: Tensor) -> _Tape:
        images, labels_N, kept = images.clone(), labels_N.clone(), KeptNoise()
        before = self._statistics.clone()

        def work() -> Passed:
            return self._pass(images, labels_N, kept)

        found, play = self._recorder.record(work)
        self._statistics.copy_(before)
        return _Tape(images, labels_N, kept, found, play)


@dataclass(frozen=True)
class _Tape:
    images: Tensor
    labels_N: Tensor
    noise: KeptNoise
    found: Passed
    play: Callable[[], None]


class RecordedMove:
    """An update of many operations, recorded when first asked for, then played back.

    Args:
        rule: Takes its numbers as tensors.
        net: Whose weights are moved by its gradients.
        vectors: The rule's own.
        recorder: Where it is recorded.
    """

    def __init__(
        self, rule: Any, net: Network, vectors: dict[str, Tensor], recorder: Recorder
    ) -> None:
        self._rule, self._net, self._vectors, self._recorder = rule, net, vectors, recorder
        self._update, self._rate = (
            torch.zeros((), dtype=dtype, device=net.weights.device)
            for dtype in (torch.float32, torch.float64)
        )
        self._play: Callable[[], None] | None = None

    def __call__(self, update: int, rate: float) -> None:
        """Play the update back with these numbers."""
        if self._play is None:
            self._play = self._recorded()
        self._update.fill_(update)
        self._rate.fill_(rate)
        self._play()

    def _recorded(self) -> Callable[[], None]:
        net, vectors = self._net, self._vectors
        moved = [net.weights, *vectors.values()]
        before = [vector.clone() for vector in moved]
        _, play = self._recorder.record(
            lambda: self._rule.update(
                net.weights, net.grads, vectors, self._update, self._rate, net.layout
            )
        )
        for vector, kept in zip(moved, before, strict=True):
            vector.copy_(kept)
        return play


class OnGPU:
    """Records CUDA graphs; those of one recorder take turns in the same memory."""

    def __init__(self) -> None:
        self._memory = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Found]) -> tuple[Found, Callable[[], None]]:
        """Rehearse beside the stream that all else runs on, as CUDA asks, then record."""
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(NUM_REHEARSALS):
                work()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            found = work()
        return found, graph.replay
