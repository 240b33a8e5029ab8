"""Adam, and AMSGrad as an option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.optim.adam_step import move, start_moments
from modiste.spec.parts import OPTIMIZERS, Layout, LearningRate, Optimizer, State

if TYPE_CHECKING:
    from torch import Tensor


@OPTIMIZERS.register("adam")
class Adam(Optimizer):
    """Steps along the moving mean of the gradients, over the root of their moving square.

    Attributes:
        beta_1: Share of the moving mean that stays at each update.
        beta_2: Share of the moving square that stays at each update.
        epsilon: Keeps the division finite while gradients are small.
        epsilon_hat: Add `epsilon` before the moving square is corrected for its start at zero
            (Keras; the form just before section 2.1 of the paper), not after (PyTorch; the
            paper's algorithm 1). Before means a larger epsilon in the first updates.
        amsgrad: Divide by the largest moving square so far.

    Source:
        Kingma and Ba, arXiv:1412.6980 (2015), algorithm 1; Reddi, Kale, Kumar, "On the Convergence
        of Adam and Beyond" (ICLR 2018), algorithm 2.
    """

    name: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(gt=0)
    epsilon_hat: bool
    amsgrad: bool = False

    preset_defaults = {
        "keras": {"epsilon": 1e-7, "epsilon_hat": True},
        "torch": {"epsilon": 1e-8, "epsilon_hat": False},
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
        move(self, weights, grads, state, step, learning_rate)
