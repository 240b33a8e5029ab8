"""AdamW: Adam, with weight decay beside the gradient and not inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.optim.adam_step import move, start_moments
from modiste.spec.parts import OPTIMIZERS, Layout, LearningRate, Optimizer, State

if TYPE_CHECKING:
    from torch import Tensor


@OPTIMIZERS.register("adamw")
class AdamW(Optimizer):
    """``w -= rate * weight_decay * w``, then Adam's step; biases and scales decay too.

    Attributes:
        weight_decay: Share of each weight that one update takes away, before the rate.
        beta_1: Share of the moving mean that stays at each update.
        beta_2: Share of the moving square that stays at each update.
        epsilon: Keeps the division finite while gradients are small.
        epsilon_hat: Where `epsilon` is added, as in `Adam`.
        amsgrad: Divide by the largest moving square so far.

    Source:
        Loshchilov and Hutter, arXiv:1711.05101 (2019), algorithm 2.
    """

    name: Literal["adamw"] = "adamw"
    learning_rate: LearningRate = 0.001
    weight_decay: float = Field(ge=0)
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(gt=0)
    epsilon_hat: bool
    amsgrad: bool = False

    preset_defaults = {
        "keras": {"weight_decay": 0.004, "epsilon": 1e-7, "epsilon_hat": True},
        "torch": {"weight_decay": 0.01, "epsilon": 1e-8, "epsilon_hat": False},
    }

    def start(self, weights: Tensor) -> State:
        return start_moments(self, weights)

    def update(
        self,
        weights: Tensor,
        grads: Tensor,
        state: State,
        step: int,
        learning_rate: float,
        layout: Layout = (),
    ) -> None:
        move(self, weights, grads, state, step, learning_rate, self.weight_decay)
