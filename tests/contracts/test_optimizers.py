"""What every optimizer promises, under both presets. A new one is tested here unasked."""

from __future__ import annotations

from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from modiste.errors import SpecError
from modiste.spec.parts import OPTIMIZERS, Optimizer, State, with_preset
from modiste.train.session import network
from modiste.train.step import RecordedMove
from tests import small
from tests.recording import Again

NAMES = OPTIMIZERS.names()
PRESETS = ["keras", "torch"]

pytestmark = [pytest.mark.parametrize("name", NAMES), pytest.mark.parametrize("preset", PRESETS)]


def build(name: str, preset: str, **values: Any) -> Optimizer:
    cls = OPTIMIZERS.get(name)
    return cls.parse(with_preset(cls, values, preset), "train.optimizer")


def some_weights(dtype: torch.dtype = torch.float32, size: int = 1_003) -> Tensor:
    # No multiple of any vector width: kernels treat the last few numbers apart.
    return torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=dtype)


def some_grads(count: int, like: Tensor) -> list[Tensor]:
    chance = torch.Generator().manual_seed(1)
    return [torch.randn(like.shape, generator=chance, dtype=like.dtype) for _ in range(count)]


def test_the_preset_fills_every_field_that_has_no_default(name: str, preset: str) -> None:
    optimizer = build(name, preset)
    assert optimizer.name == name
    assert optimizer.learning_rate > 0
    assert type(optimizer).parse(optimizer.to_dict()) == optimizer


def test_a_quadratic_goes_down(name: str, preset: str) -> None:
    optimizer = build(name, preset)
    weights, curvature = some_weights(), torch.linspace(0.1, 2.0, 1_003)
    state = optimizer.start(weights)
    heights = []
    for step in range(1, 201):
        heights.append(float((curvature * weights**2).sum()) / 2)
        optimizer.update(weights, curvature * weights, state, step, optimizer.learning_rate)
    # At these rates and curvatures nothing overshoots, so it goes down all along the way, as seen
    # every twenty updates.
    assert heights[::20] == sorted(heights[::20], reverse=True)
    assert heights[-1] < heights[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_looks_like_the_weights_and_keeps_doing_so(
    name: str, preset: str, dtype: torch.dtype
) -> None:
    optimizer, weights = build(name, preset), some_weights(dtype)
    state = optimizer.start(weights)
    names = set(state)
    for step, grads in enumerate(some_grads(3, weights), start=1):
        optimizer.update(weights, grads, state, step, 0.01)
    assert weights.dtype == dtype
    assert set(state) == names
    for vector in state.values():
        assert (vector.shape, vector.dtype) == (weights.shape, dtype)
        assert vector.data_ptr() != weights.data_ptr()


def test_starting_changes_no_weights(name: str, preset: str) -> None:
    weights = some_weights()
    build(name, preset).start(weights)
    assert torch.equal(weights, some_weights())


def test_the_gradients_are_left_as_they_were(name: str, preset: str) -> None:
    optimizer, weights = build(name, preset), some_weights()
    state = optimizer.start(weights)
    for step, grads in enumerate(some_grads(3, weights), start=1):
        before = grads.clone()
        optimizer.update(weights, grads, state, step, 0.01)
        assert torch.equal(grads, before)


def test_a_state_saved_and_put_back_goes_on_bit_for_bit(name: str, preset: str) -> None:
    def go(optimizer: Optimizer, weights: Tensor, state: State, steps: range) -> None:
        grads = some_grads(8, weights)
        for step in steps:
            optimizer.update(weights, grads[step - 1], state, step, 0.01 / step)

    weights = some_weights()
    state = build(name, preset).start(weights)
    go(build(name, preset), weights, state, range(1, 9))

    cut = some_weights()
    cut_state = build(name, preset).start(cut)
    go(build(name, preset), cut, cut_state, range(1, 5))
    saved = safetensors.torch.save({"weights": cut, **cut_state})
    again = safetensors.torch.load(saved)
    again_weights = again.pop("weights")
    go(build(name, preset), again_weights, again, range(5, 9))

    assert not torch.equal(again_weights, cut)
    assert torch.equal(again_weights, weights)
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_gradients_of_zero_leave_finite_weights(name: str, preset: str) -> None:
    optimizer, weights = build(name, preset), some_weights()
    state = optimizer.start(weights)
    for step in range(1, 4):
        optimizer.update(weights, torch.zeros_like(weights), state, step, 0.01)
    assert torch.isfinite(weights).all()
    # Weight decay may take up to 1 % of the rate at each of these updates, nothing else may.
    assert torch.allclose(weights, some_weights(), rtol=3 * 0.01 * 0.01 + 1e-6, atol=0.0)


def test_the_rate_of_the_moment_counts_not_the_one_it_was_built_with(
    name: str, preset: str
) -> None:
    moved = []
    for rate, built_with in ((0.01, 0.5), (0.01, 0.005), (0.001, 0.5)):
        optimizer, weights = build(name, preset, learning_rate=built_with), some_weights()
        (grads,) = some_grads(1, weights)
        optimizer.update(weights, grads, optimizer.start(weights), 1, rate)
        moved.append(weights - some_weights())
    assert torch.equal(moved[0], moved[1])
    assert moved[2].norm() < moved[0].norm()


def test_vectors_are_moved_as_one_where_each_weight_goes_its_own_way(
    name: str, preset: str
) -> None:
    """Many nets are trained as one vector by what calls itself elementwise."""
    rule = build(name, preset)
    if not rule.is_elementwise:
        return
    weights = [some_weights(torch.float64), 2 * some_weights(torch.float64)]
    both, states = torch.cat(weights), [rule.start(each) for each in weights]
    state = rule.start(both)
    for step, (one, two) in enumerate(zip(*[iter(some_grads(6, weights[0]))] * 2, strict=True), 1):
        grads = [one, 30 * two]
        rule.update(both, torch.cat(grads), state, step, 0.01)
        for each, own, grad in zip(weights, states, grads, strict=True):
            rule.update(each, grad, own, step, 0.01)
    # The last few numbers of a vector are computed apart from the others, with a rounding more.
    torch.testing.assert_close(both, torch.cat(weights), rtol=1e-12, atol=1e-12)


def test_an_update_that_was_recorded_is_the_update(name: str, preset: str) -> None:
    """A GPU plays updates back of what calls itself recordable, rate and number being tensors."""
    rule = build(name, preset)
    if not rule.is_recordable:
        return
    images = small.data().train
    alone, played = (network(small.run_spec(small.CNN), images) for _ in range(2))
    vectors = [rule.start(net.weights) for net in (alone, played)]
    move = RecordedMove(rule, played, vectors[1], Again())
    for step, grads in enumerate(some_grads(4, alone.weights), start=1):
        alone.grads.copy_(grads)
        played.grads.copy_(grads)
        rule.update(alone.weights, alone.grads, vectors[0], step, 0.1 / step, alone.layout)
        move(step, 0.1 / step)
        # The rate is a number of float32 there.
        torch.testing.assert_close(played.weights, alone.weights, rtol=1e-5, atol=1e-6)
        for key, vector in vectors[0].items():
            torch.testing.assert_close(vectors[1][key], vector, rtol=1e-5, atol=1e-7)


def test_a_wrong_name_is_answered_with_the_nearest(name: str, preset: str) -> None:
    with pytest.raises(SpecError, match=f"Did you mean '{name}'"):
        OPTIMIZERS.get(f"{name}x")
    with pytest.raises(SpecError, match=r"train\.optimizer\.learning_rat: no such key") as error:
        build(name, preset, learning_rat=0.1)
    assert "Did you mean 'learning_rate'?" in str(error.value)


@pytest.mark.parametrize("rate", [0.0, -0.1, float("nan"), float("inf")])
def test_a_rate_that_makes_no_sense_is_refused(name: str, preset: str, rate: float) -> None:
    with pytest.raises(SpecError, match=r"train\.optimizer\.learning_rate"):
        build(name, preset, learning_rate=rate)
