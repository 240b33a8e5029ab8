"""Up to the optimizer's rate and down again, over the whole of training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from modiste.spec.parts import SCHEDULES, Counters, Moment, Schedule


@SCHEDULES.register("one_cycle")
class OneCycle(Schedule):
    """Rises in a straight line, then falls to the end of the epochs that were planned.

    The rate changes with every update. ``warmup`` 0 only falls; ``shape: linear`` with a warm-up is
    a triangle. It knows the limit of epochs, so early stopping goes badly with it.

    Attributes:
        warmup: Share of all updates in which the rate rises.
        start_share: Where it begins, as a share of the optimizer's rate.
        end_share: Where it ends, as a share of the optimizer's rate.
        shape: How it falls: ``cosine`` (half a wave) or ``linear``.

    Source:
        Smith and Topin, arXiv:1708.07120 (one cycle); Loshchilov and Hutter, arXiv:1608.03983,
        eq. 5 (cosine).
    """

    ends_at_limit: ClassVar[bool] = True

    name: Literal["one_cycle"] = "one_cycle"
    warmup: float = Field(0.2, ge=0, lt=1)
    start_share: float = Field(0.1, ge=0, le=1)
    end_share: float = Field(0.0, ge=0, le=1)
    shape: Literal["cosine", "linear"] = "cosine"

    def start(self, learning_rate: float) -> Counters:
        return {}

    def rate(self, learning_rate: float, counters: Counters, moment: Moment) -> float:
        # The first update is at the start, the last one an update short of the end.
        at = moment.update / (moment.updates_per_epoch * moment.epochs)
        if at < self.warmup:
            share = self.start_share + (1.0 - self.start_share) * at / self.warmup
        else:
            fallen = (at - self.warmup) / (1.0 - self.warmup)
            if self.shape == "cosine":
                fallen = (1.0 - math.cos(math.pi * fallen)) / 2.0
            share = 1.0 + (self.end_share - 1.0) * fallen
        return learning_rate * share

    def after_epoch(self, counters: Counters, measured: Mapping[str, float]) -> Counters:
        return counters
