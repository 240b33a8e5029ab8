"""What every search method promises. A new one is tested here unasked."""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

import pytest

from modiste.errors import SpecError
from modiste.search import optuna_points
from modiste.search.optuna_points import finite
from modiste.spec.search import METHODS, Learner, Method, SearchSpec, Told
from modiste.spec.settings import Settings
from modiste.spec.space import Choices, Space, identity

NUM = 13
RATE, DROP, UNITS, KIND = "a.rate", "a.drop", "a.units", "a.kind"
# Every kind of domain; and what a condition hides, for those who take it.
NUMBERS: dict[str, Any] = {
    RATE: {"low": 1e-4, "high": 1e-1, "log": True},
    DROP: {"low": 0.0, "high": 0.5},
    UNITS: {"low": 8, "high": 512, "log": True, "integer": True},
}
SPACES: dict[str, dict[str, Any]] = {
    "numbers": NUMBERS,
    "lists": {
        RATE: {"low": 1e-4, "high": 1e-1, "log": True, "num": 4},
        UNITS: {"low": 32, "high": 96, "step": 32, "integer": True},
        KIND: [[4], [4, 4], "x"],
    },
    "numbers in lists": {RATE: [0.1, 0.2, 0.4], UNITS: {"low": 1, "high": 9, "integer": True}},
    "conditions": {
        KIND: [{"name": "sgd"}, {"name": "adam"}],
        RATE: {"low": 0.001, "high": 0.1, "log": True},
        DROP: {"low": 0.0, "high": 0.9, "when": {KIND: {"name": "sgd"}}},
    },
}
NAMES = METHODS.names()
GOALS = {1: ["accuracy"], 2: ["accuracy", "parameters"]}


def search(name: str, space: str, num_goals: int = 1, trials: int = NUM, **more: Any) -> SearchSpec:
    return SearchSpec.parse(
        {
            "method": {"name": name, **more},
            "tune": SPACES[space],
            "trials": trials,
            "goals": GOALS[num_goals],
        }
    )


def taken(name: str, num_goals: int = 1) -> list[str]:
    """The spaces that a method takes."""
    found = []
    for space in SPACES:
        try:
            search(name, space, num_goals)
        except SpecError:
            continue
        found.append(space)
    return found


PAIRS = [(name, space) for name in NAMES for space in taken(name)]
every_pair = pytest.mark.parametrize(("name", "space"), PAIRS)
LEARNERS = [name for name in NAMES if issubclass(METHODS.get(name), Learner)]


def result(point: Settings, num_goals: int = 1) -> tuple[float, ...]:
    """Best at a rate of 0.003, whatever else there is; the second goal wants few units."""
    rate = math.log10(point.get(RATE, 0.003)) + 2.5
    accuracy = 0.9 - 0.05 * rate**2 - 0.1 * point.get(DROP, 0.0) ** 2
    return (accuracy, -math.log10(point.get(UNITS, 10)))[:num_goals]


def played(
    method: Method, space: Space, num: int = NUM, broken: tuple[int, ...] = (), num_goals: int = 1
) -> list[Settings]:
    """The points of a search in which results are told as late as the method allows."""
    points: list[Settings] = []
    results: list[Told] = []
    for number in range(num):
        needed = method.num_needed(number)
        assert needed <= len(results)
        tried = {identity(point) for point in points}
        points.append(method.propose(space, number, tried, results[:needed]))
        values = None if number in broken else result(points[-1], num_goals)
        results.append(Told(points[-1], values))
    return points


@functools.cache
def usual(name: str, space: str) -> tuple[Settings, ...]:
    spec = search(name, space)
    return tuple(played(spec.method, spec.space({})))


def is_inside(point: Settings, space: Space) -> bool:
    keys = [key for key, found in space.domains.items() if not found.when]
    for key, value in point.items():
        found = space.domains[key]
        listed = found.listed
        if listed is not None and value not in listed:
            return False
        if not isinstance(found, Choices) and not found.low <= value <= found.high:
            return False
    return (
        set(keys) <= set(point) and space.active({**dict.fromkeys(space.domains), **point}) == point
    )


# --- the promises ---------------------------------------------------------------------------------


@every_pair
def test_every_point_lies_inside_the_space_and_comes_once(name: str, space: str) -> None:
    points = usual(name, space)
    assert all(is_inside(point, Space(search(name, space).tune)) for point in points)
    assert len({identity(point) for point in points}) == NUM


@every_pair
def test_the_same_results_give_the_same_points(name: str, space: str) -> None:
    spec = search(name, space)
    assert tuple(played(spec.method, spec.space({}))) == usual(name, space)


@every_pair
def test_a_search_that_was_stopped_goes_on_with_the_points_it_would_have_had(
    name: str, space: str
) -> None:
    points = usual(name, space)
    results = [Told(point, result(point)) for point in points]
    for number in (0, 9, 10, NUM - 1):
        again = search(name, space)  # nothing is remembered but what is handed over
        tried = {identity(point) for point in points[:number]}
        told = results[: again.method.num_needed(number)]
        assert again.method.propose(again.space({}), number, tried, told) == points[number]


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "seed" in METHODS.get(name).model_fields]
)
def test_another_seed_gives_other_points(name: str) -> None:
    spec = search(name, taken(name)[0], seed=7)
    assert tuple(played(spec.method, spec.space({}))) != usual(name, taken(name)[0])


@every_pair
def test_trials_that_break_end_no_search(name: str, space: str) -> None:
    spec = search(name, space)
    for broken in ((3,), (0, 1, 2, 3, 11), tuple(range(NUM))):
        points = played(spec.method, spec.space({}), broken=broken)
        assert len({identity(point) for point in points}) == NUM


@pytest.mark.parametrize(
    ("name", "space"), [pair for pair in PAIRS if pair[1] in ("lists", "numbers in lists")]
)
def test_a_small_space_is_tried_to_its_last_point(name: str, space: str) -> None:
    small = {key: found for key, found in SPACES[space].items() if key != RATE}
    small[DROP] = [0.1, 0.5]
    spec = SearchSpec.parse({"method": name, "tune": small, "trials": 2})
    every = {identity(point) for point in spec.space({}).points()}
    points = played(spec.method, spec.space({}), num=len(every))
    assert {identity(point) for point in points} == every


@pytest.mark.parametrize("name", [name for name, space in PAIRS if space == "numbers"])
def test_ranges_whose_digits_leave_few_values_are_tried_to_their_last_point(name: str) -> None:
    few = {RATE: {"low": 0.9997, "high": 0.9999}, DROP: {"low": 0.1001, "high": 0.1003}}
    spec = SearchSpec.parse({"method": name, "tune": few, "trials": 9})
    every = {identity(point) for point in spec.space({}).points()}
    assert len(every) == 9
    assert {identity(point) for point in played(spec.method, spec.space({}), num=9)} == every


@pytest.mark.parametrize("name", NAMES)
def test_several_goals_are_taken_or_refused(name: str) -> None:
    spaces = taken(name, 2)
    if not spaces:
        with pytest.raises(SpecError, match=r"goals: .* nsga2"):
            search(name, "numbers", 2)
        return
    spec = search(name, spaces[0], 2)
    points = played(spec.method, spec.space({}), broken=(2, 12), num_goals=2)
    assert len({identity(point) for point in points}) == NUM


@pytest.mark.parametrize("name", NAMES)
def test_a_space_that_is_not_taken_is_an_error_that_names_the_key_and_a_way(name: str) -> None:
    for space in set(SPACES) - set(taken(name)):
        with pytest.raises(SpecError, match=r"^tune(\.a\.\w+(\.when)?)?: .*(tpe|random|num)"):
            search(name, space)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_learns_comes_nearer_to_the_best_than_evenly_spread_points(name: str) -> None:
    num = 28 if name == "gaussian_process" else 72  # it needs fewer, and takes longer
    spec = search(name, "numbers", trials=num, startup=12)
    points = played(spec.method, spec.space({}), num=num)
    values = [result(point)[0] for point in points]
    # The mean of the later points, so that a lucky one of the others counts for little. A method
    # that learnt nothing would be as good on both sides; ours gain 0.01 and more.
    assert sum(values[-12:]) / 12 > sum(values[:12]) / 12 + 0.005


@pytest.mark.parametrize("name", LEARNERS)
def test_how_far_it_lags_is_how_many_trials_may_be_under_way(name: str) -> None:
    method = search(name, "numbers", lag=3, startup=8).method
    assert [method.num_needed(n) for n in (0, 7, 8, 9, 20)] == [0, 0, 6, 7, 18]
    with pytest.raises(SpecError, match="startup: 2, but the lag is 3"):
        search(name, "numbers", lag=3, startup=2)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(LEARNERS)))
def test_what_does_not_learn_depends_on_the_number_alone(name: str) -> None:
    spec = search(name, taken(name)[0])
    points = usual(name, taken(name)[0])
    tried = {identity(point) for point in points[:5]}
    told = [Told(point, (0.5,)) for point in points]
    assert spec.method.num_needed(NUM) == 0
    assert spec.method.propose(spec.space({}), 5, tried, told) == points[5]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_reads_its_own_dictionary(name: str) -> None:
    method = search(name, taken(name)[0]).method
    assert method.words
    assert "Source" in (inspect.getdoc(type(method)) or "") or name not in LEARNERS
    assert type(method).parse(method.to_dict()) == method


# --- what Optuna is told --------------------------------------------------------------------------


def test_what_broke_counts_as_the_worst_that_was_told() -> None:
    told = [Told({}, (0.9, -4.0)), Told({}, None), Told({}, (0.8, -3.0))]
    assert finite(told) == [(0.9, -4.0), (0.8, -4.0), (0.8, -3.0)]
    assert finite([Told({}, None)]) == [(0.0,)]


@pytest.mark.parametrize("space", SPACES)
def test_a_value_that_was_coded_for_optuna_is_read_back(space: str) -> None:
    for point in usual("random", space):
        for key, value in point.items():
            found = Space(search("random", space).tune).domains[key]
            code = optuna_points.encode(found, value)
            assert optuna_points.distribution(found)._contains(
                optuna_points.distribution(found).to_internal_repr(code)
            )
            assert optuna_points.decode(found, code) == value


def test_a_sampler_never_sees_a_running_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna

    seen: set[str] = set()
    ask = optuna.Study.ask

    def watched(study: optuna.Study, *args: Any, **more: Any) -> optuna.Trial:
        seen.update(trial.state.name for trial in study.trials)
        return ask(study, *args, **more)

    monkeypatch.setattr(optuna.Study, "ask", watched)
    for name in LEARNERS:
        spec = search(name, "numbers")
        played(spec.method, spec.space({}))
    # One that is told again waits to be asked for; none runs.
    assert seen == {"COMPLETE", "WAITING"}
