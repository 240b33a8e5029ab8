"""Stochastic gradient descent, with momentum and Nesterov's look-ahead as options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.spec.parts import OPTIMIZERS, Layout, Optimizer, State

if TYPE_CHECKING:
    from torch import Tensor


@OPTIMIZERS.register("sgd")
class SGD(Optimizer):
    """``w -= rate * g``, or with a velocity that remembers.

    Keras keeps the rate inside the velocity (``v = m v + rate g; w -= v``), PyTorch outside
    (``v = m v + g; w -= rate v``). Equal while the rate stands still; after each drop of the
    rate, Keras's velocity goes on at the old one for a while.

    Attributes:
        momentum: Share of the velocity that stays at each update; 0 keeps none.
        nesterov: Step to where the velocity leads next.
        rate_in_velocity: The velocity holds steps that already have their rate.
    """

    name: Literal["sgd"] = "sgd"
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False
    rate_in_velocity: bool

    preset_defaults = {
        "keras": {"learning_rate": 0.01, "rate_in_velocity": True},
        "torch": {"learning_rate": 0.001, "rate_in_velocity": False},
    }

    def start(self, weights: Tensor) -> State:
        return {"velocity": weights.new_zeros(weights.shape)} if self.momentum else {}

    def update(
        self,
        weights: Tensor,
        grads: Tensor,
        state: State,
        step: int,
        learning_rate: float,
        layout: Layout = (),
    ) -> None:
        if not self.momentum:
            weights.add_(grads, alpha=-learning_rate)
            return
        inside, outside = (learning_rate, 1.0) if self.rate_in_velocity else (1.0, learning_rate)
        velocity = state["velocity"]
        velocity.mul_(self.momentum).add_(grads, alpha=inside)
        weights.add_(velocity, alpha=-outside * (self.momentum if self.nesterov else 1.0))
        if self.nesterov:
            weights.add_(grads, alpha=-learning_rate)
