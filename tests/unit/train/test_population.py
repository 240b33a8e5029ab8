"""Runs that are trained as one come out as each of them does alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from modiste.data import batches as cutting
from modiste.data.batches import Batches
from modiste.errors import SpecError
from modiste.models.build import Network
from modiste.spec.run import RunSpec
from modiste.train.loop import fit
from modiste.train.loss import class_weights
from modiste.train.population import Member, fit_population
from modiste.train.session import start
from modiste.train.step import move_of, step_of
from tests import small

# Sums are taken in another order, and each update builds on the last: float64 has 1.1e-16.
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
COMPACT = {
    "model": {"family": "compact", "params": {"stem": 3, "widths": [4], "blocks": 1}},
    "train.schedule": {"name": "one_cycle"},
    "train.label_smoothing": 0.1,
}


def prepared(spec: RunSpec, dtype: torch.dtype) -> tuple[Member, Network]:
    """A run at its start, and a net to judge it by."""
    data = small.data(spec)
    params = spec.model.net
    layers = params.layers(data.train.shape_CHW, data.train.num_classes)
    nets = [
        Network(layers, data.train.shape_CHW, params.initialisation, spec.seed, dtype=dtype)
        for _ in range(2)
    ]
    return Member(spec.train, spec.seed, nets[0], start(spec, nets[0])), nets[1]


def batches(spec: RunSpec, dtype: torch.dtype) -> tuple[Batches, Batches]:
    data = small.data(spec)
    train, val = (Batches(part, data.preprocess, dtype=dtype) for part in (data.train, data.val))
    return train, val


def both(
    changes: Sequence[Mapping[str, Any]], dtype: torch.dtype
) -> tuple[list[Member], list[Member]]:
    """The same runs: each alone, and all as one."""
    specs = [small.run_spec(change) for change in changes]
    alone = []
    for spec in specs:
        member, judge = prepared(spec, dtype)
        train, val = batches(spec, dtype)
        step = step_of(member.net, spec.train, class_weights(spec.train, train.labels))
        move = move_of(member.net, spec.train, member.state.optimizer)
        list(fit(spec.train, spec.seed, step, move, train, val, member.state, judge))
        alone.append(member)
    together = [prepared(spec, dtype)[0] for spec in specs]
    list(fit_population(together, *batches(specs[0], dtype)))
    return alone, together


def same(alone: Member, together: Member, **close: float) -> None:
    one, two = alone.state, together.state
    assert (one.status, one.reason, one.epoch, one.update, one.best_epoch) == (
        two.status,
        two.reason,
        two.epoch,
        two.update,
        two.best_epoch,
    )
    assert len(one.history) == len(two.history)
    for row, other in zip(one.history, two.history, strict=True):
        for name in ("epoch", "train_accuracy", "val_accuracy", "learning_rate"):
            assert getattr(row, name) == getattr(other, name)
        for name in ("train_loss", "val_loss"):
            np.testing.assert_allclose(getattr(row, name), getattr(other, name), **close)
    for name in ("weights", "statistics", "best_weights", "best_statistics"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name), **close)
    for name, vector in one.optimizer.items():
        torch.testing.assert_close(two.optimizer[name], vector, **close)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            [
                {"seed": 0},
                {"seed": 1, "model.params.dropout": 0.4},
                {"seed": 1, "train.optimizer.learning_rate": 0.003},
                {"seed": 2, "train.optimizer": {"name": "sgd", "learning_rate": 0.1}},
                {"seed": 3, "train.optimizer": {"name": "sgd", "learning_rate": 0.1}},
            ],
            id="MLPs of several rates, rules and dropouts",
        ),
        pytest.param(
            [{**small.CNN, "seed": seed, "train.epochs": 2 + seed} for seed in range(3)],
            id="CNNs that are augmented, plateau, and stop on their own",
        ),
        pytest.param(
            [
                {**COMPACT, "seed": 0},
                {**COMPACT, "seed": 1, "train.optimizer": {"name": "muon"}},
                {**COMPACT, "seed": 2, "train.optimizer": {"name": "muon"}},
            ],
            id="residual nets, two of them by Muon",
        ),
        pytest.param(
            [{"seed": seed, "train.class_weights": "balanced"} for seed in range(2)],
            id="weighted classes",
        ),
    ],
)
def test_each_comes_out_as_it_does_alone(changes: list[dict[str, Any]]) -> None:
    for alone, together in zip(*both(changes, torch.float64), strict=True):
        same(alone, together, **CLOSE)


def test_in_float32_they_agree_to_rounding() -> None:
    changes = [{"seed": seed, "train.epochs": 1} for seed in range(3)]
    for alone, together in zip(*both(changes, torch.float32), strict=True):
        # Four updates, each of numbers below 1: some tens of half units in the last place.
        torch.testing.assert_close(
            together.state.weights, alone.state.weights, rtol=1e-4, atol=1e-5
        )


def test_one_that_diverges_leaves_the_others_as_they_are() -> None:
    wild = {"seed": 1, "train.optimizer": {"name": "sgd", "learning_rate": 1e30}}
    alone, together = both([{"seed": 0}, wild, {"seed": 2}], torch.float32)
    for index in (0, 2):
        assert together[index].state.epoch == alone[index].state.epoch == 3
        # As above; twelve updates, not four.
        torch.testing.assert_close(
            together[index].state.weights, alone[index].state.weights, rtol=3e-4, atol=3e-5
        )
    assert together[1].state.status == alone[1].state.status == "diverged"
    # A run alone is stopped in the middle of the epoch: so is what one of many says of itself.
    assert together[1].state.reason == alone[1].state.reason
    assert "no longer finite at epoch 1, update 2," in alone[1].state.reason
    assert together[1].state.update == alone[1].state.update == 2
    assert not together[1].state.history


def test_on_a_gpu_they_share_how_many_images_are_inferred_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them 24, and at least 5 for each; here as if on one. A CPU's number is each net's."""
    changes = [{"seed": seed, "train.epochs": 1} for seed in range(3)]
    spec = small.run_spec(changes[0])
    val = batches(spec, torch.float64)[1]
    assert [val.inferred_at_once(num_nets) for num_nets in (1, 3, 1_000)] == [256] * 3
    monkeypatch.setitem(cutting.INFERRED_AT_ONCE, "cpu", 24)
    monkeypatch.setitem(cutting.LEAST_AT_ONCE, "cpu", 5)
    assert [val.inferred_at_once(num_nets) for num_nets in (1, 3, 1_000)] == [24, 8, 5]

    for alone, together in zip(*both(changes, torch.float64), strict=True):
        same(alone, together, **CLOSE)
    members = [prepared(small.run_spec(change), torch.float64)[0] for change in changes]
    ticks = fit_population(members, *batches(spec, torch.float64))
    inferred = [(tick.done, tick.total) for tick in ticks if tick.phase == "infer"]
    assert len(val) == 30
    assert inferred == [(1, 4), (2, 4), (3, 4), (4, 4)]  # 8, 8, 8 and 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([{}, {"train.batch_size": 30}], "train.batch_size: .* got 25 and 30"),
        ([{}, {"train.augment": ["mirror"]}], "train.augment: .* must agree"),
        ([{}, {"model.params.hidden": [13]}], "nets of different shapes"),
        ([{"train.averaging": {"decay": 0.9}}], "train.averaging: .* leave it out"),
        ([{"train.precision": "bfloat16"}], "train.precision: .* float32"),
    ],
)
def test_what_cannot_be_trained_as_one_is_said(changes: list[dict[str, Any]], words: str) -> None:
    specs = [small.run_spec(change) for change in changes]
    members = [prepared(spec, torch.float32)[0] for spec in specs]
    with pytest.raises(SpecError, match=words):
        next(fit_population(members, *batches(specs[0], torch.float32)))
