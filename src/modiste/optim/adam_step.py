"""The update that Adam and AdamW share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from modiste.spec.parts import State

if TYPE_CHECKING:
    from torch import Tensor


class Moments(Protocol):
    """What the update needs to know; `modiste.optim.rules.adam` says what each means."""

    @property
    def beta_1(self) -> float: ...
    @property
    def beta_2(self) -> float: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def epsilon_hat(self) -> bool: ...
    @property
    def amsgrad(self) -> bool: ...


def start_moments(rule: Moments, weights: Tensor) -> State:
    """Zeros: the moving mean and square, and with AMSGrad the largest square so far."""
    names = ("mean", "square", "largest_square") if rule.amsgrad else ("mean", "square")
    return {name: weights.new_zeros(weights.shape) for name in names}


def move(
    rule: Moments,
    weights: Tensor,
    grads: Tensor,
    state: State,
    step: float | Tensor,
    learning_rate: float | Tensor,
    weight_decay: float = 0.0,
    places: Sequence[slice] = (slice(None),),
) -> None:
    """Move `weights` and `state` in place by one update.

    Args:
        rule: The betas and the epsilon.
        weights: All trainable weights, one vector.
        grads: Their gradients; left as they were.
        state: What `start_moments` returned, as later updates left it.
        step: 1 for the first update; a tensor only where the rule has no `epsilon_hat`.
        learning_rate: The rate now.
        weight_decay: Each weight first shrinks by this share of itself, times the rate.
        places: The parts of the vector that are moved; all of it if not given.
    """
    import torch

    def parts(vector: Tensor) -> list[Tensor]:
        return [vector[place] for place in places]

    # sqrt(v) + e, divided by the correction c = sqrt(1 - beta_2^t), is sqrt(v) / c + e / c: so
    # Keras's place for epsilon is PyTorch's place with another epsilon at each step.
    correction = 1.0
    if rule.epsilon_hat:
        assert not isinstance(step, torch.Tensor)
        correction = math.sqrt(1.0 - rule.beta_2**step)
    if not isinstance(step, torch.Tensor):
        step = weights.new_full((), step, dtype=torch.float32)
    if isinstance(learning_rate, torch.Tensor):
        learning_rate = learning_rate.float()
    # PyTorch's fused kernel: one pass over memory where tensor operations need six. On 610,570
    # weights and one core of an AMD EPYC: 0.32 ms against 0.62 to 1.4 ms.
    torch._fused_adamw_(
        parts(weights),
        parts(grads),
        parts(state["mean"]),
        parts(state["square"]),
        parts(state["largest_square"]) if rule.amsgrad else [],
        [step] * len(places),
        lr=learning_rate,
        beta1=rule.beta_1,
        beta2=rule.beta_2,
        weight_decay=weight_decay,
        eps=rule.epsilon / correction,
        amsgrad=rule.amsgrad,
        maximize=False,
        grad_scale=None,
        found_inf=None,
    )
