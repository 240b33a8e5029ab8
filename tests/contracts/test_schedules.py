"""What every schedule promises. A new one is tested here unasked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from modiste.errors import SpecError
from modiste.spec.parts import SCHEDULES, Counters, Moment, Schedule

EPOCHS, UPDATES_PER_EPOCH = 30, 4

# Falls, stands, rises, falls again: progress and none.
LOSSES = [1.0, 0.8, 0.7] + [0.7] * 12 + [0.75, 0.76] + [0.6] * 13

pytestmark = pytest.mark.parametrize("name", SCHEDULES.names())


def build(name: str) -> Schedule:
    return SCHEDULES.get(name).parse({"name": name}, "train.schedule")


def row(loss: float) -> dict[str, float]:
    return {
        "train_loss": loss,
        "train_accuracy": 1 - loss / 2,
        "val_loss": loss,
        "val_accuracy": 1 - loss / 2,
        "learning_rate": 0.1,
        "seconds": 1.0,
    }


def train(
    schedule: Schedule, counters: Counters, epochs: Sequence[int]
) -> tuple[list[float], Counters]:
    """The rate of every update in these epochs, and the counters after them."""
    rates = []
    for epoch in epochs:
        for step in range(UPDATES_PER_EPOCH):
            moment = Moment(epoch * UPDATES_PER_EPOCH + step, UPDATES_PER_EPOCH, EPOCHS)
            rates.append(schedule.rate(0.1, counters, moment))
        counters = schedule.after_epoch(counters, row(LOSSES[epoch]))
    return rates, counters


def test_every_rate_is_a_finite_number_not_below_zero(name: str) -> None:
    schedule = build(name)
    rates, _ = train(schedule, schedule.start(0.1), range(EPOCHS))
    assert all(type(rate) is float and math.isfinite(rate) and rate >= 0 for rate in rates)
    assert max(rates) > 0


def test_counters_are_numbers_that_json_can_hold(name: str) -> None:
    schedule = build(name)
    counters = schedule.start(0.1)
    for loss in LOSSES:
        assert json.loads(json.dumps(counters, allow_nan=False)) == counters
        assert all(isinstance(value, int | float) for value in counters.values())
        counters = schedule.after_epoch(counters, row(loss))


def test_counters_saved_and_put_back_give_the_same_rates(name: str) -> None:
    schedule = build(name)
    whole, _ = train(schedule, schedule.start(0.1), range(EPOCHS))
    first, counters = train(schedule, schedule.start(0.1), range(9))
    again = json.loads(json.dumps(counters))
    second, _ = train(build(name), again, range(9, EPOCHS))
    assert first + second == whole


def test_nothing_is_changed_but_the_value_returned(name: str) -> None:
    schedule = build(name)
    _, counters = train(schedule, schedule.start(0.1), range(9))
    before, measured = dict(counters), row(0.7)
    moment = Moment(9 * UPDATES_PER_EPOCH, UPDATES_PER_EPOCH, EPOCHS)
    assert schedule.rate(0.1, counters, moment) == schedule.rate(0.1, counters, moment)
    assert schedule.after_epoch(counters, measured) == schedule.after_epoch(counters, measured)
    assert counters == before
    assert measured == row(0.7)


def test_it_reads_its_own_dictionary(name: str) -> None:
    schedule = build(name)
    assert type(schedule).parse(schedule.to_dict()) == schedule


def test_a_wrong_name_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(SpecError, match=f"Did you mean '{name}'"):
        SCHEDULES.get(f"{name}x")
    with pytest.raises(SpecError, match=r"train\.schedule\.no_such_key: no such key"):
        SCHEDULES.get(name).parse({"no_such_key": 1}, "train.schedule")
