"""Muon: momentum whose matrices are made orthogonal, so that every direction moves alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from modiste.optim.adam_step import move
from modiste.spec.parts import OPTIMIZERS, Layout, LearningRate, Optimizer, Slot, State

if TYPE_CHECKING:
    from torch import Tensor

# Chosen by Jordan for the steepest rise at 0: five steps bring every singular value near 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@OPTIMIZERS.register("muon")
class Muon(Optimizer):
    """Kernels by orthogonal momentum; biases, norms and the last layer by Adam.

    A kernel counts as a matrix of one row for each output. Its step has the same length whatever
    the gradient's: rate times ``sqrt(max(1, rows / columns))`` for each singular value.

    Attributes:
        learning_rate: Of the kernels.
        momentum: Share of the velocity that stays at each update.
        nesterov: Step to where the velocity leads next.
        steps: Of Newton and Schulz's iteration.
        weight_decay: Share of each kernel that one update takes away, before the rate.
        adam_share: The rate of all else, as a share of the kernels'.
        beta_1: As in `Adam`, of all else.
        beta_2: As in `Adam`, of all else.
        epsilon: As in `Adam`, of all else.

    Source:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the same
        update as `torch.optim.Muon` has, in float32.
    """

    name: Literal["muon"] = "muon"
    learning_rate: LearningRate = 0.02
    momentum: float = Field(0.95, ge=0, lt=1)
    nesterov: bool = True
    steps: int = Field(5, ge=1, le=20)
    weight_decay: float = Field(0.0, ge=0)
    adam_share: float = Field(0.15, gt=0)
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)

    is_elementwise = False
    is_recordable = True

    @property
    def epsilon_hat(self) -> bool:
        """For the step that it shares with Adam."""
        return False

    @property
    def amsgrad(self) -> bool:
        """For the step that it shares with Adam."""
        return False

    def start(self, weights: Tensor) -> State:
        return {name: weights.new_zeros(weights.shape) for name in ("mean", "square")}

    def update(
        self,
        weights: Tensor,
        grads: Tensor,
        state: State,
        step: float | Tensor,
        learning_rate: float | Tensor,
        layout: Layout = (),
    ) -> None:
        others = []
        for slot in layout or [Slot("", tuple(weights.shape), 0, len(weights))]:
            place = slice(slot.start, slot.stop)
            if slot.is_kernel and not slot.is_last:
                matrix = (slot.shape[0], -1)
                self._turn(
                    weights[place].view(matrix),
                    grads[place].view(matrix),
                    state["mean"][place].view(matrix),
                    learning_rate,
                )
            else:
                others.append(place)
        if others:
            adam_rate = self.adam_share * learning_rate
            move(self, weights, grads, state, step, adam_rate, places=others)

    def _turn(self, weights: Tensor, grads: Tensor, velocity: Tensor, rate: float | Tensor) -> None:
        velocity.lerp_(grads, 1.0 - self.momentum)
        ahead = grads.lerp(velocity, self.momentum) if self.nesterov else velocity
        if self.weight_decay:
            weights.mul_(1.0 - rate * self.weight_decay)
        rows, columns = weights.shape
        length = rate * math.sqrt(max(1.0, rows / columns))
        found = orthogonal(ahead, self.steps)
        if isinstance(length, float):
            weights.add_(found, alpha=-length)
        else:
            weights.sub_(found.mul(length))


def orthogonal(matrix: Tensor, steps: int) -> Tensor:
    """About ``U V'`` of a matrix ``U S V'``: its singular values brought near 1.

    Args:
        matrix: Any shape with two sides; left as it was.
        steps: Of the iteration; after five, singular values that were at least 0.002 of the
            matrix's (Frobenius) norm lie between 0.68 and 1.21.

    Source:
        Newton and Schulz's iteration of fifth order, with Jordan's coefficients.
    """
    import torch

    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if is_tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if is_tall else found
