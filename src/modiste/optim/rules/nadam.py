"""Nadam: Adam with Nesterov's look-ahead, its momentum warming up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from modiste.spec.parts import OPTIMIZERS, Layout, Optimizer, State

if TYPE_CHECKING:
    from torch import Tensor


@OPTIMIZERS.register("nadam")
class Nadam(Optimizer):
    """Adam's step, from a mean of the gradients that already looks one update ahead.

    The momentum of update ``t`` is ``beta_1 * (1 - 0.96^(momentum_decay * t) / 2)``: it climbs
    from about half of `beta_1` to all of it, in Keras within some 100 updates, in PyTorch within
    some 25,000.

    Attributes:
        beta_1: Share of the moving mean that stays at each update.
        beta_2: Share of the moving square that stays at each update.
        epsilon: Keeps the division finite while gradients are small; added after correction.
        momentum_decay: How fast the momentum climbs.

    Source:
        Dozat, "Incorporating Nesterov Momentum into Adam" (ICLR workshop, 2016).
    """

    name: Literal["nadam"] = "nadam"
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(gt=0)
    momentum_decay: float = Field(ge=0)

    preset_defaults = {
        "keras": {"learning_rate": 0.001, "epsilon": 1e-7, "momentum_decay": 1.0},
        "torch": {"learning_rate": 0.002, "epsilon": 1e-8, "momentum_decay": 0.004},
    }

    def start(self, weights: Tensor) -> State:
        return {
            "mean": weights.new_zeros(weights.shape),
            "square": weights.new_zeros(weights.shape),
        }

    def update(
        self,
        weights: Tensor,
        grads: Tensor,
        state: State,
        step: int,
        learning_rate: float,
        layout: Layout = (),
    ) -> None:
        mean, square = state["mean"], state["square"]
        mean.lerp_(grads, 1 - self.beta_1)
        square.mul_(self.beta_2).addcmul_(grads, grads, value=1 - self.beta_2)
        # sqrt(v / c) + e, all times sqrt(c): the correction c needs no pass over memory of its own.
        correction = math.sqrt(1 - self.beta_2**step)
        root = square.sqrt().add_(self.epsilon * correction)
        momentum, product = self._momentum(step), self._product(step)
        following = self._momentum(step + 1)
        rate = learning_rate * correction
        weights.addcdiv_(mean, root, value=-rate * following / (1 - product * following))
        weights.addcdiv_(grads, root, value=-rate * (1 - momentum) / (1 - product))

    def _momentum(self, step: int) -> float:
        return float(self.beta_1 * (1 - 0.5 * 0.96 ** (self.momentum_decay * step)))

    def _product(self, step: int) -> float:
        """All momentums up to `step`, multiplied: a function of the step, so no state to keep."""
        if self.beta_1**step < 2.0**-60:  # less than nothing beside the 1 it is subtracted from
            return 0.0
        steps = np.arange(1, step + 1)
        return float(np.prod(self.beta_1 * (1 - 0.5 * 0.96 ** (self.momentum_decay * steps))))
