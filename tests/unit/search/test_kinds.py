"""Which work takes the same time, and how fast work goes that was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from modiste.search.kinds import Kind, Pace, in_order, kind_of, pace_of, pace_of_epochs
from tests import small

SHAPE, CLASSES = (1, 28, 28), 10


def kind(settings: Mapping[str, Any] | None = None, **more: Any) -> Kind:
    found = kind_of(small.run_spec(settings, **more), SHAPE, CLASSES)
    assert found is not None
    return found


def mlp(units: int, batch_size: int = 25) -> Kind:
    return kind({"model.params.hidden": [units], "train.batch_size": batch_size})


def test_a_kind_knows_its_cost() -> None:
    # 784 x 12 and 12 x 10 multiply-adds, two FLOPs each; forward once, backward twice.
    assert mlp(12).flops == 2 * (784 * 12 + 12 * 10)
    assert mlp(12).flops_per_update == 3 * 25 * mlp(12).flops
    assert mlp(12).parameters == 785 * 12 + 13 * 10


@pytest.mark.parametrize(
    "settings",
    [
        {"model.params.dropout": 0.4},
        {"train.optimizer.learning_rate": 0.5},
        {"train.optimizer.beta_1": 0.8},
        {"train.epochs": 50},
        {"data.num_val": 20},
        {"train.early_stopping": {"patience": 3}},
    ],
    ids=str,
)
def test_what_costs_nothing_makes_no_other_kind(settings: dict[str, Any]) -> None:
    assert kind(settings, seed=5) == kind()


@pytest.mark.parametrize(
    "settings",
    [
        {"model.params.dropout": 0.0},
        {"model.params.hidden": [13]},
        {"train.batch_size": 26},
        {"train.optimizer": "nadam"},
        {"train.optimizer.amsgrad": True},
        {"train.augment": ["mirror"]},
        {"threads": 2},
        {"model.params.views": "mirror"},
        {"train.averaging": {"decay": 0.99}},
    ],
    ids=str,
)
def test_what_costs_time_makes_another_kind(settings: dict[str, Any]) -> None:
    assert kind(settings) != kind()


def test_a_measured_kind_goes_as_it_was_measured() -> None:
    assert pace_of(mlp(8), {mlp(8): Pace(0.5, 0.25), mlp(9): Pace(1.0, 1.0)}) == (0.5, 0.25)


def test_another_goes_by_its_flops() -> None:
    one = mlp(100)
    twice = replace(one, layers=(), flops=2 * one.flops)
    assert pace_of(twice, {one: Pace(0.5, 0.25)}) == pytest.approx((1.0, 0.5))


def test_between_two_the_rate_goes_from_one_to_the_other() -> None:
    one = mlp(100)
    four, sixteen = (replace(one, layers=(), flops=n * one.flops) for n in (4, 16))
    known = {one: Pace(1.0, 1.0), sixteen: Pace(4.0, 16.0)}  # four times as fast, for an update
    # Half way on a logarithmic scale: twice as fast, so 4 / 2; for an image, the same rate.
    assert pace_of(four, known) == pytest.approx((2.0, 4.0))
    # Beyond both ends the rate stays what it was there.
    far = replace(one, layers=(), flops=64 * one.flops)
    assert pace_of(far, known) == pytest.approx((16.0, 64.0))


def test_of_another_family_nothing_is_known() -> None:
    conv = kind(small.CNN)
    assert conv.family == "cnn"
    assert pace_of(mlp(8), {conv: Pace(1.0, 1.0)}) is None


def test_epochs_of_finished_runs_tell_the_pace() -> None:
    one = mlp(100, batch_size=30)
    # 90 images are 3 updates; 45 inferred ones, at a third of an update's 30, half of one more.
    pace = pace_of_epochs(one, num_train=90, num_val=45, seconds_per_epoch=7.0)
    assert pace.per_update == pytest.approx(2.0)
    assert 3 * pace.per_update + 45 * pace.per_image_inferred == pytest.approx(7.0)


def test_the_ends_are_measured_first_then_what_matters_and_what_is_cheap_in_turn() -> None:
    nets = [mlp(units) for units in (1, 2, 3, 4, 5, 6)]
    flops = dict(zip(nets, (1.0, 5.0, 2.0, 9.0, 3.0, 1.0), strict=True))
    order = [nets.index(net) + 1 for net in in_order(flops)]
    # The dearest and the cheapest; 4 makes up most; 2 is the cheapest left; 5 comes next by share.
    assert order == [6, 1, 4, 2, 5, 3]
    assert in_order({}) == []


def test_every_family_has_its_ends_measured_first() -> None:
    conv = kind(small.CNN)
    order = in_order({mlp(1): 100.0, mlp(2): 90.0, mlp(3): 80.0, conv: 0.1})
    assert set(order[:3]) == {mlp(1), mlp(3), conv}
