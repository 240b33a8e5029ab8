"""The plateau rule and early stopping against tables of epochs worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from modiste.errors import SpecError
from modiste.spec.early_stopping import EarlyStopping, Stopping
from modiste.spec.parts import Moment
from modiste.train.schedules.reduce_on_plateau import ReduceOnPlateau

ANY = Moment(update=0, updates_per_epoch=1, epochs=1)


def rates(rule: ReduceOnPlateau, start: float, column: str, numbers: list[float]) -> list[float]:
    """The rate after each epoch."""
    counters, found = rule.start(start), []
    for number in numbers:
        counters = rule.after_epoch(counters, {column: number})
        found.append(rule.rate(start, counters, ANY))
    return found


def stops(rule: EarlyStopping, column: str, numbers: list[float]) -> list[Stopping]:
    """The state after each epoch, up to the one that says stop."""
    state, found = rule.start(), []
    for epoch, number in enumerate(numbers, start=1):
        state = rule.after_epoch(state, epoch, {column: number})
        found.append(state)
        if state.should_stop:
            break
    return found


def test_a_plateau_with_cooldown_follows_the_table() -> None:
    rule = ReduceOnPlateau(
        patience=2, cooldown=2, factor=0.1, min_delta=1e-4, min_learning_rate=0.005
    )
    # val_loss, rate after the epoch, and why
    table = [
        (1.00, 1.0),  # 1: the first is the best
        (0.90, 1.0),  # 2: better; best 0.9
        (0.90, 1.0),  # 3: no better; waited 1
        (0.89995, 0.1),  # 4: better by less than min_delta; waited 2: cut, cooldown 2
        (0.95, 0.1),  # 5: cooldown 1, not counted
        (0.95, 0.1),  # 6: cooldown 0, counted: waited 1
        (0.95, 0.01),  # 7: waited 2: cut, cooldown 2
        (0.80, 0.01),  # 8: cooldown 1; best 0.8
        (0.85, 0.01),  # 9: cooldown 0, waited 1
        (0.85, 0.005),  # 10: waited 2: cut to 0.001, but the floor is 0.005; cooldown 2
        (0.85, 0.005),  # 11: cooldown 1, not counted
        (0.85, 0.005),  # 12: cooldown 0, waited 1
        (0.85, 0.005),  # 13: waited 2: at the floor, nothing to cut
        (0.70, 0.005),  # 14: better, and the rate never rises again
        (0.75, 0.005),  # 15
    ]
    found = rates(rule, 1.0, "val_loss", [loss for loss, _ in table])
    # 1e-12: only the rounding of a few products in float64 stands between.
    assert found == pytest.approx([rate for _, rate in table], rel=1e-12)


def test_a_better_epoch_within_the_cooldown_does_not_end_it() -> None:
    rule = ReduceOnPlateau(patience=1, cooldown=3, factor=0.5, min_delta=0.0)
    table = [
        (1.0, 1.0),  # 1: best
        (1.0, 0.5),  # 2: waited 1: cut, cooldown 3
        (0.9, 0.5),  # 3: cooldown 2; best 0.9
        (0.9, 0.5),  # 4: cooldown 1, not counted
        (0.9, 0.25),  # 5: cooldown 0, waited 1: cut
    ]
    assert rates(rule, 1.0, "val_loss", [loss for loss, _ in table]) == [r for _, r in table]


@pytest.mark.parametrize("cooldown", [0, 1])
def test_a_cooldown_of_one_is_none(cooldown: int) -> None:
    rule = ReduceOnPlateau(patience=2, cooldown=cooldown, factor=0.5)
    found = rates(rule, 1.0, "val_loss", [1.0] * 6)
    assert found == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_a_rate_below_the_floor_from_the_start_is_not_raised_to_it() -> None:
    rule = ReduceOnPlateau(patience=1, min_learning_rate=0.1)
    assert rates(rule, 0.01, "val_loss", [1.0] * 4) == [0.01] * 4


def test_accuracy_should_rise_where_loss_should_fall() -> None:
    rising = [0.5, 0.6, 0.7, 0.8]
    for column, expected in (("val_accuracy", 1.0), ("val_loss", 0.125)):
        rule = ReduceOnPlateau(monitor=column, patience=1, factor=0.5)  # type: ignore[arg-type]
        assert rates(rule, 1.0, column, rising)[-1] == expected


def test_early_stopping_follows_the_table() -> None:
    rule = EarlyStopping(patience=3, min_delta=0.01)
    # val_loss, best epoch and epochs waited
    table = [
        (0.500, 1, 0),  # 1: the first is the best
        (0.495, 1, 1),  # 2: better by 0.005 only
        (0.485, 3, 0),  # 3: better by 0.015
        (0.480, 3, 1),  # 4: by 0.005
        (0.476, 3, 2),  # 5: by 0.009, and not by 0.004: the best counts, not the epoch before
        (0.474, 6, 0),  # 6: by 0.011
        (0.474, 6, 1),  # 7
        (0.600, 6, 2),  # 8
        (0.473, 6, 3),  # 9: waited 3: stop
    ]
    found = stops(rule, "val_loss", [loss for loss, _, _ in table] + [0.1])
    assert [(s.best_epoch, s.wait) for s in found] == [(b, w) for _, b, w in table]
    assert [s.should_stop for s in found] == [False] * 8 + [True]
    assert found[-1].best == 0.474


@pytest.mark.parametrize("patience", [0, 1])
def test_a_patience_of_nought_or_one_stops_at_the_first_epoch_without_progress(
    patience: int,
) -> None:
    found = stops(EarlyStopping(patience=patience), "val_loss", [0.5, 0.4, 0.4, 0.3])
    assert [s.should_stop for s in found] == [False, False, True]


@pytest.mark.parametrize(
    ("column", "numbers"), [("val_loss", [0.2, 0.1999]), ("val_accuracy", [0.8009, 0.801])]
)
def test_a_tie_is_no_progress(column: str, numbers: list[float]) -> None:
    # To whoever wrote these numbers they differ by 1e-4 and no more; in float64, by a little more.
    rule = EarlyStopping(monitor=column, patience=1, min_delta=1e-4)  # type: ignore[arg-type]
    assert stops(rule, column, numbers)[-1].should_stop


def test_accuracy_has_to_rise_by_more_than_min_delta() -> None:
    rule = EarlyStopping(monitor="val_accuracy", patience=2, min_delta=0.01)
    # Best 0.900 at 1; 0.905 is 0.005 better; 0.912 is 0.012 better; then 0.002 and 0.008.
    found = stops(rule, "val_accuracy", [0.900, 0.905, 0.912, 0.914, 0.920])
    assert [s.best_epoch for s in found] == [1, 1, 3, 3, 3]
    assert [s.should_stop for s in found] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("column", "numbers", "best_epoch"),
    [
        ("val_loss", [math.nan, 0.5, 0.4], 1),  # nothing compares with NaN, so nothing beats it
        ("val_loss", [math.inf, 0.5, 0.4], 3),
        ("val_loss", [0.5, math.nan, 0.4], 3),
        ("val_loss", [0.5, math.inf, math.inf], 1),
        ("val_loss", [math.inf, math.inf, math.nan], 1),
        ("val_accuracy", [math.nan, 0.5, 0.6], 1),
        ("val_accuracy", [0.5, math.nan, 0.6], 3),
    ],
)
def test_numbers_that_are_not_finite_are_never_progress_except_as_the_first(
    column: str, numbers: list[float], best_epoch: int
) -> None:
    rule = EarlyStopping(monitor=column, patience=9)  # type: ignore[arg-type]
    state = stops(rule, column, numbers)[-1]
    assert state.best_epoch == best_epoch
    assert Stopping(**json.loads(json.dumps(asdict(state), allow_nan=False))) == state


def test_a_state_saved_and_put_back_goes_on_alike() -> None:
    rule, numbers = EarlyStopping(patience=4), [0.5, 0.4, 0.6, 0.45, 0.41, 0.42, 0.3]
    whole, state = stops(rule, "val_loss", numbers), rule.start()
    for epoch, number in enumerate(numbers[: len(whole)], start=1):
        state = Stopping(**json.loads(json.dumps(asdict(state))))
        state = rule.after_epoch(state, epoch, {"val_loss": number})
    assert state == whole[-1]
    assert state.should_stop


def test_a_misspelt_monitor_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'val_loss'"):
        EarlyStopping.parse({"patience": 3, "monitor": "val_los"}, "train.early_stopping")
    with pytest.raises(SpecError, match="Did you mean 'val_accuracy'"):
        ReduceOnPlateau.parse({"monitor": "val_acuracy"}, "train.schedule")
