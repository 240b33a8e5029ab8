"""Lower the rate when a measured number has stopped getting better, as Keras 3 does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from modiste.spec.monitor import Monitor, is_better, remember
from modiste.spec.parts import SCHEDULES, Counters, Moment, Schedule


@SCHEDULES.register("reduce_on_plateau")
class ReduceOnPlateau(Schedule):
    """After `patience` epochs without progress, multiply the rate by `factor`.

    In a cooldown of n epochs the first n - 1 after a cut are not counted against the patience;
    the n-th is. This is how Keras counts, and a cooldown of 1 is the same as none.

    Attributes:
        monitor: The column of the history to watch; losses should fall, accuracies rise.
        factor: What the rate is multiplied by.
        patience: Epochs without progress before a cut; 0 and 1 are the same.
        cooldown: Epochs after a cut in which patience begins anew.
        min_learning_rate: The rate never falls below.
        min_delta: A smaller difference from the best number is no progress; absolute.
    """

    name: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    monitor: Monitor = "val_loss"
    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(10, ge=0)
    cooldown: int = Field(0, ge=0)
    min_learning_rate: float = Field(0.0, ge=0)
    min_delta: float = Field(1e-4, ge=0)

    def start(self, learning_rate: float) -> Counters:
        return {"rate": learning_rate, "wait": 0, "cooldown": 0}

    def rate(self, learning_rate: float, counters: Counters, moment: Moment) -> float:
        return counters["rate"]

    def after_epoch(self, counters: Counters, measured: Mapping[str, float]) -> Counters:
        number, new = measured[self.monitor], dict(counters)
        if new["cooldown"] > 0:
            new["cooldown"] -= 1
        if is_better(self.monitor, number, new.get("best"), self.min_delta):
            return {**new, "best": remember(self.monitor, number), "wait": 0}
        if new["cooldown"] > 0:
            return new
        new["wait"] += 1
        if new["wait"] >= self.patience and new["rate"] > self.min_learning_rate:
            lowered = max(new["rate"] * self.factor, self.min_learning_rate)
            new |= {"rate": lowered, "cooldown": self.cooldown, "wait": 0}
        return new
