"""How fast a run gets on and how much memory it takes, measured by beginning it.

What is measured are the steps of the real loop on the real images; nothing is trained to an end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from modiste.cores import memory_bytes
from modiste.data.batches import INFERRED_AT_ONCE, Batches
from modiste.data.load import TrainingData
from modiste.spec.run import RunSpec
from modiste.train.loop import Tick, infer
from modiste.train.session import Session
from modiste.train.task import Sample, Task

# Steps are timed after a first one that is not: two of them or more, or one that takes so many
# times longer than all of them should.
LEAST_STEPS, LONG = 2, 3
# Inference is a tenth of a run or less, so it gets less of the time, and fewer images; on a GPU as
# many as runs infer at once, because fewer take as long.
INFERENCE_SHARE = 0.25
NUM_INFERRED = {"cpu": 128, "cuda": INFERRED_AT_ONCE["cuda"]}


class Prober:
    """Takes the tasks that a `Worker` takes, and answers how long they would take.

    Args:
        load: Gives the data for a spec.
    """

    def __init__(self, load: Callable[[RunSpec], TrainingData]) -> None:
        self._load = load

    def work(
        self,
        task: Task,
        tell: Callable[[Any], Any] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Sample:
        """Begin a run, time its steps for about `task.seconds`, and let it go.

        Raises:
            ModisteError: If the spec makes no sense for these images.
        """
        data = self._load(task.spec)
        session = Session(task.spec, data)
        device = task.spec.device
        some = data.val.take(np.arange(min(len(data.val), NUM_INFERRED[device])), "val")
        images = Batches(some, data.preprocess, device)
        rounds = _again(lambda: infer(session.net, images))
        per_round = _timed(rounds, "infer", task.seconds * INFERENCE_SHARE, device, should_stop)
        clock, cores = time.perf_counter(), time.process_time()
        per_update = _timed(session.advance(), "train", task.seconds, device, should_stop)
        clock, cores = time.perf_counter() - clock, time.process_time() - cores
        return Sample(
            task.fingerprint,
            seconds_per_update=per_update,
            seconds_per_image=per_round / len(some),
            core_share=min(1.0, cores / (clock * task.spec.threads)),
            memory_bytes=memory_bytes(),
        )


def _again(begin: Callable[[], Iterator[Tick]]) -> Iterator[Tick]:
    while True:
        yield from begin()


def _timed(
    steps: Iterator[Tick], phase: str, seconds: float, device: str, should_stop: Callable[[], bool]
) -> float:
    """Mean seconds of a step of that phase.

    The first of all is timed only if there is no other: what is made once is made in it. Steps
    of another phase are taken and not counted.
    """
    spent, count, first = 0.0, 0, 0.0
    clock = time.perf_counter()
    for number, tick in enumerate(steps):
        if number == 0 or tick.done == tick.total:  # what a phase leaves to do is its own
            _catch_up(device)
        if number == 0:
            first = time.perf_counter() - clock
        elif tick.phase == phase:
            spent, count = spent + time.perf_counter() - clock, count + 1
        is_enough = spent >= seconds * (1 if count >= LEAST_STEPS else LONG)
        if (count and is_enough) or should_stop():
            break
        clock = time.perf_counter()
    clock = time.perf_counter()
    _catch_up(device)
    spent += time.perf_counter() - clock
    return spent / count if count else first


def _catch_up(device: str) -> None:
    """Wait for what a GPU was asked to do; asked after every step, it would be slowed down."""
    if device == "cuda":
        torch.cuda.synchronize()
