"""The rate that the optimizer says, from the first update to the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from modiste.spec.parts import SCHEDULES, Counters, Moment, Schedule


@SCHEDULES.register("constant")
class Constant(Schedule):
    """The learning rate stands still."""

    name: Literal["constant"] = "constant"

    def start(self, learning_rate: float) -> Counters:
        return {}

    def rate(self, learning_rate: float, counters: Counters, moment: Moment) -> float:
        return learning_rate

    def after_epoch(self, counters: Counters, measured: Mapping[str, float]) -> Counters:
        return counters
