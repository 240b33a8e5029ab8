"""Adadelta: steps as long as recent steps, turned by the size of recent gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.spec.parts import OPTIMIZERS, Layout, Optimizer, State

if TYPE_CHECKING:
    from torch import Tensor


@OPTIMIZERS.register("adadelta")
class Adadelta(Optimizer):
    """``d = g * rms(d so far) / rms(g so far); w -= rate * d``; the paper's rate is 1.

    Attributes:
        rho: Share of both moving squares that stays at each update.
        epsilon: Added to both squares before their root.

    Source:
        Zeiler, arXiv:1212.5701 (2012), algorithm 1.
    """

    name: Literal["adadelta"] = "adadelta"
    rho: float = Field(ge=0, lt=1)
    epsilon: float = Field(gt=0)

    preset_defaults = {
        "keras": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
        "torch": {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
    }

    def start(self, weights: Tensor) -> State:
        return {
            "grad_square": weights.new_zeros(weights.shape),
            "delta_square": weights.new_zeros(weights.shape),
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
        grad_square, delta_square = state["grad_square"], state["delta_square"]
        grad_square.mul_(self.rho).addcmul_(grads, grads, value=1 - self.rho)
        ratio = delta_square.add(self.epsilon).div_(grad_square.add(self.epsilon))
        delta = ratio.sqrt_().mul_(grads)
        delta_square.mul_(self.rho).addcmul_(delta, delta, value=1 - self.rho)
        weights.add_(delta, alpha=-learning_rate)
