"""Spaces: what a key may be, what a condition hides, and what a dictionary of Talos means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.errors import SpecError
from modiste.spec.search import SearchSpec
from modiste.spec.settings import Settings
from modiste.spec.space import Choices, Range, Space, domain, identity
from modiste.spec.talos import from_talos

OPTIMIZER, RATE, MOMENTUM = "train.optimizer", "train.optimizer.learning_rate", "momentum"
CONDITIONAL: dict[str, Any] = {
    OPTIMIZER: [{"name": "sgd"}, {"name": "adam"}],
    "m": {"values": [0.8, 0.9], "when": {OPTIMIZER: {"name": "sgd"}}},
    "nesterov": {"values": [False, True], "when": {"m": 0.9}},
    RATE: [0.1, 0.01],
}


def space(tune: dict[str, Any], compare: dict[str, Any] | None = None) -> Space:
    search = SearchSpec.parse(
        {"method": "random", "trials": 1, "tune": tune, "compare": compare or {}}
    )
    return search.space(search.groups()[0])


# --- domains --------------------------------------------------------------------------------------


# Training in the same process has denormal numbers taken for 0.
@given(
    st.floats(1e-6, 1.0),
    st.floats(1.01, 1e6),
    st.floats(0, 1, allow_subnormal=False),
    st.booleans(),
)
def test_a_share_of_the_way_lies_within_the_range(
    low: float, factor: float, share: float, log: bool
) -> None:
    found = Range(low=low, high=low * factor, log=log)
    assert low <= found.at(share) <= low * factor
    assert found.at(0.0) <= found.at(share) <= found.at(1.0)


@given(st.integers(1, 50), st.integers(1, 500), st.booleans())
def test_whole_numbers_are_whole_and_each_comes(low: int, more: int, log: bool) -> None:
    found = Range(low=low, high=low + more, log=log, integer=True)
    drawn = {found.at(i / 20_000) for i in range(20_000)}
    assert drawn == set(range(low, low + more + 1))
    assert all(type(value) is int for value in drawn)


def test_each_value_of_a_list_is_as_likely_as_the_others() -> None:
    drawn = [Choices(values=("a", "b", "c")).at(i / 300) for i in range(300)]
    assert [drawn.count(value) for value in "abc"] == [100, 100, 100]


def test_numbers_have_four_digits_so_that_no_last_bit_moves_a_point() -> None:
    assert Range(low=1e-4, high=1e-1, log=True).at(1 / 3) == 0.001
    assert Range(low=0.123456, high=1.0).at(0.0) == 0.123456  # an end is an end
    assert Range(low=0.0, high=1.0).at(0.123456) == 0.1235


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        ([3, 1, 2], (3, 1, 2)),
        ({"low": 1, "high": 2, "num": 3}, (1.0, 1.5, 2.0)),
        ({"low": 1, "high": 100, "log": True, "num": 3}, (1.0, 10.0, 100.0)),
        ({"low": 0.1, "high": 0.3, "step": 0.1}, (0.1, 0.2, 0.3)),
        ({"low": 1, "high": 10, "step": 4, "integer": True}, (1, 5, 9)),
        ({"low": 2, "high": 5, "integer": True}, (2, 3, 4, 5)),
        ({"low": 2, "high": 5}, None),
        ({"values": ["x"], "when": {"a": 1}}, ("x",)),
    ],
)
def test_values_that_can_be_listed_are(value: Any, listed: Any) -> None:
    assert domain(value, "tune.a").listed == listed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, r"tune\.a: expected a list of values, a range"),
        ([], r"tune\.a\.values"),
        ([1, 1], r"tune\.a\.values: 1 stands here twice"),
        ({"low": 2, "high": 1}, r"tune\.a\.low: 2 is not below high, 1"),
        ({"low": 1}, r"tune\.a\.high: this key is needed"),
        ({"low": 0, "high": 1, "log": True}, r"low: 0; a logarithmic range begins above 0"),
        ({"low": 1, "high": 2.5, "integer": True}, "whole numbers are asked for"),
        ({"low": 1, "high": 2, "step": 0.5, "num": 3}, "goes with no `num`"),
        ({"low": 1, "high": 2, "logg": True}, r"tune\.a\.logg: no such key\. Did you mean 'log'"),
        ({"low": "1e-3x", "high": 1}, r"tune\.a\.low: .* needs a point: 1\.0e-3"),
        ({"low": True, "high": 2}, "truth values"),
        ([date(2026, 1, 1)], r"tune\.a\.values: .* a word in quotes"),
        ({"low": 0, "high": 1, "step": 1e-9}, "makes more than 100,000 values"),
    ],
)
def test_a_domain_that_makes_no_sense_is_named(value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        domain(value, "tune.a")


def test_a_range_of_very_many_whole_numbers_is_drawn_from_and_never_listed() -> None:
    found = Range(low=0, high=2**40, integer=True)
    assert found.listed is None
    assert (found.at(0.0), found.at(1.0)) == (0, 2**40)
    assert abs(found.at(0.5) - 2**39) <= 1
    few = Range(low=3, high=6, integer=True)
    assert {few.at(share / 100) for share in range(101)} == set(few.listed or ())


# --- conditions -----------------------------------------------------------------------------------


def test_a_grid_holds_each_point_once_the_last_key_fastest() -> None:
    found = list(space({"a": [1, 2], "b": [3, 4]}).points())
    assert found == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]


def test_a_key_is_set_only_where_its_condition_is_met() -> None:
    points = list(space(CONDITIONAL).points())
    assert len({identity(point) for point in points}) == len(points) == 2 + 2 * 2 + 2
    for point in points:
        is_sgd = point[OPTIMIZER]["name"] == "sgd"
        assert ("m" in point) == is_sgd
        assert ("nesterov" in point) == (point.get("m") == 0.9)


def test_samples_hold_every_listed_value_and_both_ends() -> None:
    rows = space({**CONDITIONAL, "x": {"low": 0.0, "high": 1.0}}).samples()
    seen = {(key, repr(value)) for row in rows for key, value in row.items()}
    wanted: dict[str, list[Any]] = {
        "m": [0.8, 0.9],
        "nesterov": [False, True],
        RATE: [0.1, 0.01],
        "x": [0.0, 1.0],
    }
    assert {(key, repr(v)) for key, values in wanted.items() for v in values} <= seen
    assert len(rows) < 10


def test_a_list_in_a_condition_names_alternatives() -> None:
    tune = {"a": ["x", "y", "z"], "b": {"values": [1, 2], "when": {"a": ["x", "z"]}}}
    assert [point["a"] for point in space(tune).points() if "b" in point] == ["x", "x", "z", "z"]
    lists = {"h": [[8], [8, 8]], "d": {"values": [0.5], "when": {"h": [8, 8]}}}
    assert [point["h"] for point in space(lists).points() if "d" in point] == [[8, 8]]


def test_compared_values_decide_what_is_tuned_beside_them() -> None:
    tune = {"m": {"low": 0.5, "high": 0.9, "when": {"o": "sgd"}}, "r": [1, 2]}
    search = SearchSpec.parse(
        {"method": "random", "trials": 2, "compare": {"o": ["sgd", "adam"]}, "tune": tune}
    )
    sgd, adam = (search.space(group) for group in search.groups())
    assert (list(sgd.domains), list(adam.domains)) == (["m", "r"], ["r"])
    assert not sgd.is_conditional


def test_what_a_compared_value_rules_out_rules_out_what_depends_on_it() -> None:
    tune = {
        "m": {"values": [0.0, 0.9], "when": {"o": "sgd"}},
        "nesterov": {"values": [True, False], "when": {"m": 0.9}},
        "deep": {"values": [1], "when": {"nesterov": True}},
        "r": [1, 2],
    }
    search = SearchSpec.parse(
        {"method": "random", "trials": 2, "compare": {"o": ["sgd", "adam"]}, "tune": tune}
    )
    sgd, adam = (search.space(group) for group in search.groups())
    assert list(sgd.domains) == ["m", "nesterov", "deep", "r"]
    assert list(adam.points()) == [{"r": 1}, {"r": 2}]
    assert {"o": "sgd", "m": 0.9, "nesterov": True, "deep": 1, "r": 1} in search.samples()


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"a": {"values": [1], "when": {"b": 1}}, "b": [1]}, r"tune\.a\.when: 'b' .*move it up"),
        ({"a": {"values": [1], "when": {"c": 1}}}, r"tune\.a\.when: 'c' is no key of this search"),
        ({"b": [1], "a": {"values": [1], "when": {"b": 2}}}, r"tune\.a\.when: b is never 2"),
        ({"t.o.rate": [1], "t.o": ["x"]}, r"tune\.t\.o: would undo 't\.o\.rate'"),
        ({"c.d": [1]}, r"tune\.c\.d: stands in `compare`, too"),
        ({}, "nothing is to be searched"),
    ],
)
def test_a_space_that_makes_no_sense_is_named(tune: dict[str, Any], message: str) -> None:
    compare = {"c.d": [1, 2]} if "c.d" in tune else {}
    with pytest.raises(SpecError, match=message):
        SearchSpec.parse({"tune": tune, "compare": compare})


# --- the search around it -------------------------------------------------------------------------

TUNE = {"a": [1, 2, 3], "b": [1, 2]}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"method": "gird"}, r"method\.name: no search method .* Did you mean 'grid'"),
        ({"method": {"seed": 1}}, r"method\.name: a name is needed"),
        ({"method": {"name": "random", "sede": 1}}, r"method\.sede: no such key"),
        ({"method": "random"}, "trials_per_value: how many points are to be tried is needed"),
        ({"method": "random", "trials": 7}, "7, but there are 6 points"),
        ({"method": "random", "trials": 2, "trials_per_value": 2}, "give one of them"),
        ({"halving": "sucessive"}, r"halving\.name: .* Did you mean 'successive'"),
        ({"halving": {"name": "successive", "factor": 1}}, r"halving\.factor"),
        ({"goals": ["flops"]}, "accuracy first"),
        ({"goals": ["accuracy", "size"]}, r"goals\[1\]: 'size' is none of the known words"),
        ({"rename": {"a": "b"}}, "there is no `talos`"),
        ({"compare": {"c": []}}, r"compare\.c"),
        ({"compare": {"c": [1, 2], "d.e": [0.0, 0.0]}}, r"compare\.d\.e: 0\.0 stands here twice"),
        ({"compare": {"c": [{"x": 1}, {"x": 1}]}}, r"compare\.c: \{'x': 1\} stands here twice"),
        ({"compare": {"c": [date(2020, 1, 1)]}}, r"compare\.c: .*2020.* is a word in quotes"),
    ],
)
def test_a_search_that_makes_no_sense_is_named(search: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        SearchSpec.parse({"tune": TUNE, **search})


def test_a_range_whose_digits_leave_few_values_has_no_more_trials_than_these() -> None:
    tune = {"decay": {"low": 0.999, "high": 0.9999}, "batch": [64, 128]}
    fits = SearchSpec.parse({"tune": tune, "method": "tpe", "trials": 20})
    assert fits.trials_per_value == 20
    with pytest.raises(SpecError, match="21, but there are 20 points"):
        SearchSpec.parse({"tune": tune, "method": "tpe", "trials": 21})
    assert SearchSpec.parse({"tune": tune | {"decay": [0.1]}, "trials": 2}).trials_per_value == 2
    ends = Range(low=0.99955, high=1.0012).few
    assert ends == (0.99955, 0.9996, 0.9997, 0.9998, 0.9999, 1.0, 1.001, 1.0012)
    tune["decay"] = {"low": 0.9, "high": 0.9999}
    assert SearchSpec.parse({"tune": tune, "method": "tpe", "trials": 500}).trials_per_value == 500


def test_a_search_that_was_stored_and_read_is_the_same() -> None:
    search = SearchSpec.parse(
        {
            "method": {"name": "tpe", "lag": 2},
            "trials": 5,
            "compare": {"c": [1, [2]]},
            "tune": CONDITIONAL | {"x": {"low": 1, "high": 8, "integer": True, "log": True}},
            "halving": {"name": "hyperband", "num_brackets": 2},
            "goals": ["accuracy", "flops"],
        }
    )
    assert SearchSpec.parse(search.to_dict()) == search


def test_a_grid_is_listed_once_however_many_points_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listings = 0
    points = Space.points

    def count(self: Space) -> Iterator[Settings]:
        nonlocal listings
        listings += 1
        return points(self)

    search = SearchSpec.parse({"method": "grid", "tune": {"a": [1, 2, 3], "b": [1, 2]}})
    space = search.space({})
    wanted = list(space.points())
    monkeypatch.setattr(Space, "points", count)
    found = [search.method.propose(space, number, (), ()) for number in range(6)]
    assert found == wanted
    assert listings == 1
    found[0]["a"] = 9
    assert search.method.propose(space, 0, (), ()) == wanted[0]


def test_a_grid_has_as_many_trials_as_points_unless_fewer_are_asked_for() -> None:
    assert SearchSpec.parse({"tune": TUNE}).num_trials({}) == 6
    assert SearchSpec.parse({"tune": TUNE, "trials": 4}).num_trials({}) == 4


# --- Talos ----------------------------------------------------------------------------------------

# As in Talos's own examples.
TALOS: dict[str, Any] = {
    "lr": (0.5, 5, 10),
    "first_neuron": [4, 8, 16],
    "batch_size": (2, 30, 10),
    "epochs": [150],
    "dropout": (0, 0.5, 5),
    "optimizer": "adam",
    "shift": 2,
}
RENAME = {
    "lr": "train.optimizer.learning_rate",
    "first_neuron": "model.params.hidden[]",
    "batch_size": "train.batch_size",
    "epochs": "train.epochs",
    "dropout": "model.params.dropout",
    "optimizer": "train.optimizer",
    "shift": "train.shift",
}


def test_a_dictionary_of_talos_means_what_it_means_there() -> None:
    found = from_talos(TALOS, RENAME)
    # talos.parameters.ParamSpace: numpy.arange(low, high, (high - low) / steps); of two whole
    # numbers, whole and each once. The upper end is never among them.
    assert found == {
        "train.optimizer.learning_rate": [0.5, 0.95, 1.4, 1.85, 2.3, 2.75, 3.2, 3.65, 4.1, 4.55],
        "model.params.hidden": [[4], [8], [16]],
        "train.batch_size": [2, 4, 7, 10, 13, 16, 18, 21, 24, 27],
        "train.epochs": [150],
        "model.params.dropout": [0.0, 0.1, 0.2, 0.3, 0.4],
        "train.optimizer": ["adam"],
        "train.shift": [2],
    }


def test_a_dictionary_of_talos_is_a_space_beside_our_own_keys() -> None:
    search = SearchSpec.parse(
        {"talos": {"bs": [32, 64], "d": "(0, 0.5, 5)"}, "rename": {"bs": "t.bs", "d": "m.d"},
         "tune": {"t.x": [1]}}
    )  # fmt: skip
    assert list(search.tune) == ["t.bs", "m.d", "t.x"]
    assert search.tune["m.d"].listed == (0.0, 0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    ("params", "rename", "message"),
    [
        ({"lr": [1]}, {}, r"talos\.lr: which of our keys is that\?"),
        # What YAML makes of {lr: (0.5, 1.5, 4)}.
        ({"lr": "(0.5", 1.5: None, "4)": None}, {"lr": "a.b"}, "1.5 has no values.*needs quotes"),
        ({"lr": [1]}, {"lr": "a.b", "x": "c.d"}, "rename: talos has no x. It has: lr"),
        ({"a.b": (1, 2)}, {}, r"talos\.a\.b: expected \(low, high, steps\)"),
        ({"a.b": (2, 1, 3)}, {}, "low is below high"),
        ({"a.b": (1, 2, 0.5)}, {}, "steps is 1 or more"),
        ({"a.b": []}, {}, "an empty list"),
        ({"a.b": "(1, x, 2)"}, {}, "'x' is no number"),
        ({"a.b": {"low": 1}}, {}, "expected a list, "),
    ],
)
def test_what_talos_would_not_take_is_named(
    params: dict[str, Any], rename: dict[str, str], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        from_talos(params, rename)
