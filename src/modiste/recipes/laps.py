"""Laps of a recipe, timed from arrays in memory to the logits of ten thousand images."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from modiste.data.load import divide
from modiste.data.types import ImageSet
from modiste.errors import DataError
from modiste.runs.run import Run, RunRecord
from modiste.spec.run import RunSpec
from modiste.train.loop import Tick, to_end
from modiste.train.session import Session

# As many as Fashion-MNIST has test images.
NUM_ANSWERED = 10_000
WARM_UP_UPDATES = 3


@dataclass(frozen=True)
class Lap:
    """One training of a recipe.

    Attributes:
        seconds: From arrays to logits: dividing the images and measuring what they are scaled by,
            net, batches, every update, what an epoch measures on validation images, and the logits
            of `NUM_ANSWERED` images.
        num_right: Of the validation images, by the weights that count.
        run: What it left behind: in memory, or in a folder where it was kept.
    """

    spec: RunSpec
    seconds: float
    num_right: int
    num_val: int
    run: RunRecord | Run

    @property
    def accuracy(self) -> float:
        """On the validation images."""
        return self.num_right / self.num_val


def run_laps(
    specs: Sequence[RunSpec],
    images: ImageSet,
    tell: Callable[[int, Tick], object] = lambda lap, tick: None,
) -> Iterator[Lap]:
    """Train each spec, one after another, in this process.

    Before the first one its net is built and updated a few times, so that what happens once in a
    process (kernels that are compiled, memory that is claimed) is in no lap's time.

    Args:
        specs: The laps; of none, nothing is run.
        images: All that may be trained on.
        tell: Told after every update of which lap.

    Raises:
        DataError: If a lap diverges.
        SpecError: If a spec does not fit the images.
    """
    if not specs:
        return
    for _ in islice(Session(specs[0], divide(images, specs[0].data)).advance(), WARM_UP_UPDATES):
        pass
    digest = images.digest  # names the data; no part of any lap
    for index, spec in enumerate(specs):
        yield _lap(spec, images, digest, functools.partial(tell, index))


def _lap(spec: RunSpec, images: ImageSet, digest: str, tell: Callable[[Tick], object]) -> Lap:
    # In place of test images, which stay closed: as many, of the same size, cost the same time.
    answered = images.take(np.arange(min(NUM_ANSWERED, len(images))), "val")
    began = time.perf_counter()
    data = divide(images, spec.data, digest)
    session = Session(spec, data)
    for tick in session.advance():
        tell(tick)
    if session.state.status != "finished":
        raise DataError(f"seed {spec.seed}: {session.state.status} ({session.state.reason}).")
    session.answer(answered)
    seconds = time.perf_counter() - began
    record = to_end(session.finish())
    right_N = record.predictions["logits_last_NK"].argmax(axis=1) == data.val.labels_N
    return Lap(spec, seconds, int(right_N.sum()), len(right_N), record)
