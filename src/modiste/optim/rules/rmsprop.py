"""RMSprop: gradients divided by the root of their recent mean square."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.spec.parts import OPTIMIZERS, Layout, Optimizer, State

if TYPE_CHECKING:
    from torch import Tensor


@OPTIMIZERS.register("rmsprop")
class RMSprop(Optimizer):
    """``s = rho s + (1 - rho) g^2; w -= rate * g / sqrt(s + epsilon)``, with momentum if asked.

    Attributes:
        rho: Share of the moving square that stays at each update.
        momentum: Share of the velocity that stays at each update; 0 keeps none.
        epsilon: Keeps the division finite while gradients are small.
        epsilon_in_root: Add `epsilon` before the root (Keras), not after it (PyTorch).
        rate_in_velocity: The velocity holds steps that already have their rate, as in `SGD`.

    Source:
        Tieleman and Hinton, Neural Networks for Machine Learning (2012), lecture 6e.
    """

    name: Literal["rmsprop"] = "rmsprop"
    rho: float = Field(ge=0, lt=1)
    momentum: float = Field(0.0, ge=0, lt=1)
    epsilon: float = Field(gt=0)
    epsilon_in_root: bool
    rate_in_velocity: bool

    preset_defaults = {
        "keras": {
            "learning_rate": 0.001,
            "rho": 0.9,
            "epsilon": 1e-7,
            "epsilon_in_root": True,
            "rate_in_velocity": True,
        },
        "torch": {
            "learning_rate": 0.01,
            "rho": 0.99,
            "epsilon": 1e-8,
            "epsilon_in_root": False,
            "rate_in_velocity": False,
        },
    }

    def start(self, weights: Tensor) -> State:
        state = {"square": weights.new_zeros(weights.shape)}
        if self.momentum:
            state["velocity"] = weights.new_zeros(weights.shape)
        return state

    def update(
        self,
        weights: Tensor,
        grads: Tensor,
        state: State,
        step: int,
        learning_rate: float,
        layout: Layout = (),
    ) -> None:
        square = state["square"]
        square.mul_(self.rho).addcmul_(grads, grads, value=1 - self.rho)
        if self.epsilon_in_root:
            root = square.add(self.epsilon).sqrt_()
        else:
            root = square.sqrt().add_(self.epsilon)
        if not self.momentum:
            weights.addcdiv_(grads, root, value=-learning_rate)
            return
        inside, outside = (learning_rate, 1.0) if self.rate_in_velocity else (1.0, learning_rate)
        velocity = state["velocity"]
        velocity.mul_(self.momentum).addcdiv_(grads, root, value=inside)
        weights.add_(velocity, alpha=-outside)
