"""Muon against `torch.optim.Muon`, and what its iteration promises."""

from __future__ import annotations

import pytest
import torch

from modiste.optim.rules.muon import Muon, orthogonal
from modiste.spec.parts import OPTIMIZERS, Slot, with_preset


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 13), (1, 9)])
def test_five_steps_bring_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = drawn(*shape)
    before, found = torch.linalg.svdvals(matrix), torch.linalg.svdvals(orthogonal(matrix, 5))
    assert float(before.min()) > 0.002 * float(matrix.norm()), "a matrix that is no example"
    assert float(found.min()) > 0.68
    assert float(found.max()) < 1.21


def test_directions_are_kept() -> None:
    matrix = drawn(8, 30)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonal(matrix, 5) @ right.T
    # Each direction is scaled, none is turned into another; 60 roundings of float32 in all.
    torch.testing.assert_close(found, torch.diag(found.diagonal()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(12, 50), (50, 12)])
def test_updates_of_a_matrix_are_those_of_torch(shape: tuple[int, int], nesterov: bool) -> None:
    rule = Muon(learning_rate=0.02, weight_decay=0.1, nesterov=nesterov)
    weights = drawn(*shape, seed=1).flatten()
    parameter = torch.nn.Parameter(weights.view(shape).clone())
    peer = torch.optim.Muon(
        [parameter], lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=nesterov
    )
    state, layout = rule.start(weights), [Slot("dense_0.weight", shape, 0, weights.numel())]
    for step in range(1, 11):
        grads = drawn(*shape, seed=step + 1)
        rule.update(weights, grads.flatten(), state, step, 0.02, layout)
        parameter.grad = grads.clone()
        peer.step()
    moved = (parameter.detach() - drawn(*shape, seed=1)).norm()
    # torch iterates in bfloat16, 8 bits of each product: 0.4 %, some of it in every direction.
    assert (parameter.detach() - weights.view(shape)).norm() < 0.02 * moved


def test_all_but_inner_kernels_move_as_by_adam() -> None:
    sizes = {"conv_0.weight": (4, 1, 3, 3), "conv_0.bias": (4,), "dense_0.weight": (5, 4)}
    layout, start = [], 0
    for name, shape in sizes.items():
        stop = start + torch.Size(shape).numel()
        layout.append(Slot(name, shape, start, stop, is_last=name.startswith("dense")))
        start = stop
    weights, grads = drawn(start), drawn(start, seed=5)
    rule = Muon()
    cls = OPTIMIZERS.get("adam")
    adam = cls.parse(with_preset(cls, {}, "torch"))
    ours, theirs = weights.clone(), weights.clone()
    states = rule.start(ours), adam.start(theirs)
    for step in (1, 2, 3):
        rule.update(ours, grads, states[0], step, 0.01, layout)
        adam.update(theirs, grads, states[1], step, 0.01 * rule.adam_share)
    kernel = layout[0].stop
    assert torch.equal(ours[kernel:], theirs[kernel:])
    assert not torch.equal(ours[:kernel], theirs[:kernel])
