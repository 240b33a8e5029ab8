"""What every way of halving promises. A new one is tested here unasked."""

from __future__ import annotations

import pytest

from modiste.spec.search import HALVINGS, Halving

pytestmark = pytest.mark.parametrize("name", HALVINGS.names())


def build(name: str, **values: int) -> Halving:
    return HALVINGS.get(name).parse({"name": name, **values}, "halving")


@pytest.mark.parametrize("num", [1, 2, 7, 30, 100])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_every_trial_is_in_one_bracket_and_every_bracket_comes_to_an_end(
    name: str, num: int, factor: int
) -> None:
    brackets = list(build(name, first_epochs=2, factor=factor).brackets(num))
    assert [n for b in brackets for n in range(b.first, b.stop)] == list(range(num))
    for bracket in brackets:
        assert bracket.rungs[0].num == bracket.stop - bracket.first
        assert [rung.until for rung in bracket.rungs[:-1]] == [
            bracket.rungs[0].until * factor**k  # type: ignore[operator]
            for k in range(len(bracket.rungs) - 1)
        ]
        assert bracket.rungs[-1].until is None
        nums = [rung.num for rung in bracket.rungs]
        assert nums == sorted(nums, reverse=True)
        assert nums[-1] >= 1


def times_fewer(halving: Halving, num: int, epochs: int) -> float:
    """By how much it is cheaper, in epochs, than running every point to the end."""
    cost = 0
    for bracket in halving.brackets(num):
        before = 0
        for rung in bracket.rungs:
            until = rung.until or epochs
            cost += rung.num * (until - before)
            before = until
    return num * epochs / cost


# At its defaults, for 30 trials of 50 epochs. Hyperband hedges, and saves less for it.
LEAST = {"successive": 5.0, "hyperband": 2.5}


def test_it_trains_fewer_epochs_than_running_every_point_to_the_end(name: str) -> None:
    assert times_fewer(build(name, first_epochs=3, factor=3), 30, 50) > 1 / 0.6
    assert times_fewer(build(name), 30, 50) >= LEAST.get(name, 1 / 0.6)


def test_more_trials_leave_the_brackets_before_them_alone(name: str) -> None:
    halving = build(name, **({"bracket": 9} if name == "successive" else {}))
    few, many = list(halving.brackets(20)), list(halving.brackets(200))
    # The last one of the few may have been cut short.
    assert few[:-1] == many[: len(few) - 1]


def test_it_reads_its_own_dictionary(name: str) -> None:
    halving = build(name, first_epochs=4)
    assert type(halving).parse(halving.to_dict()) == halving
