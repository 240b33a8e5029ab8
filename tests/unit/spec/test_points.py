"""From a study to its points: what goes above what, what a profile runs, and what is taken over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.errors import SpecError
from modiste.spec.settings import assign, label, layered, merge
from modiste.spec.study import Found, Override, Point, StudySpec, check, points
from tests import small


def found(
    values: dict[str, Any],
    stage: str = "one",
    profile: str = "full",
    winners: dict[str, Any] | None = None,
    overrides: list[Override] | None = None,
    seed: int = 0,
) -> list[Point]:
    study = StudySpec.parse(values)
    found = {name: Found((("best", settings),)) for name, settings in (winners or {}).items()}
    return points(study, study.stage(stage), profile, seed, found, overrides or [])


def one(values: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The first run of the first point, as plain values."""
    return found(values, **more)[0].specs[0].to_dict()


def with_stage(**stage: Any) -> dict[str, Any]:
    return small.study(stages=[{"name": "one", **stage}])


def test_a_points_own_seed_is_that_of_its_first_repeat() -> None:
    values = with_stage(points=[{"seed": 5}, {"seed": "7"}, {"seed": 9.0}, {}], repeats=3)
    seeds = [[spec.seed for spec in point.specs] for point in found(values, seed=1)]
    assert seeds == [[5, 6, 7], [7, 8, 9], [9, 10, 11], [1, 2, 3]]
    with pytest.raises(SpecError, match=r"point 'seed=x'.*seed"):
        found(with_stage(points=[{"seed": "x"}], repeats=2))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data.split_seed", None, r"data\.split_seed: .* valid integer; got None"),
        ("data.split_seed", "x", r"data\.split_seed: .* valid integer.*; got 'x'"),
        ("data.split_seed", True, r"data\.split_seed: true, yes, on, .* got True"),
        ("data", 5, r"data: input should be keys and values; got 5"),
        ("data", None, r"data: input should be keys and values; got None"),
    ],
)
def test_folds_of_data_that_make_no_sense_are_named(key: str, value: Any, said: str) -> None:
    with pytest.raises(SpecError, match=rf"stages\[one\]\.{said}"):
        found(with_stage(folds=3), overrides=[Override("", key, value)])


@pytest.mark.parametrize("written", [2, 2.0, "2"], ids=repr)
def test_each_repeat_deals_its_own_folds_however_the_seed_is_written(written: Any) -> None:
    values = with_stage(folds=2, repeats=2, data={"split_seed": written})
    specs = found(values)[0].specs
    assert [(one.data.split_seed, one.data.fold) for one in specs] == [
        (2, 0),
        (2, 1),
        (3, 0),
        (3, 1),
    ]


# --- what goes above what -------------------------------------------------------------------------


def test_each_layer_goes_above_the_one_before() -> None:
    values: dict[str, Any] = small.study(train={"epochs": 1}, stages=[{"name": "one"}])
    stage = values["stages"][0]
    assert one(values)["train"]["epochs"] == 1
    stage["train"] = {"epochs": 2}
    assert one(values)["train"]["epochs"] == 2
    stage["from"] = ["zero"]
    winners = {"zero": {"train.epochs": 3}}
    values["stages"].insert(0, {"name": "zero"})
    assert one(values, winners=winners)["train"]["epochs"] == 3
    stage["points"] = [{"train.epochs": 4}]
    assert one(values, winners=winners)["train"]["epochs"] == 4
    values["profiles"] = {"full": {"train.epochs": 5}, "quick": {"train.epochs": 50}}
    assert one(values, winners=winners)["train"]["epochs"] == 5
    stage["profiles"] = {"full": {"set": {"train.epochs": 6}}}
    assert one(values, winners=winners)["train"]["epochs"] == 6
    sets = [Override("", "train.epochs", 7)]
    assert one(values, winners=winners, overrides=sets)["train"]["epochs"] == 7
    sets += [Override("one", "train.epochs", 8), Override("other", "train.epochs", 9)]
    assert one(values, winners=winners, overrides=sets)["train"]["epochs"] == 8


def test_a_part_chosen_by_name_replaces_the_old_one_and_is_never_mixed_into_it() -> None:
    values = with_stage(train={"optimizer": {"name": "sgd"}})
    values["train"]["optimizer"] = {"name": "adam", "learning_rate": 0.5, "amsgrad": True}
    optimizer = one(values)["train"]["optimizer"]
    assert optimizer["name"] == "sgd"
    assert optimizer["learning_rate"] != 0.5
    # Without a name it is the same part, and the rest of it stays.
    values["stages"][0]["train"]["optimizer"] = {"learning_rate": 0.25}
    optimizer = one(values)["train"]["optimizer"]
    assert (optimizer["name"], optimizer["learning_rate"]) == ("adam", 0.25)
    assert optimizer["amsgrad"] is True


@pytest.mark.parametrize("how", ["stage", "point", "override"])
def test_another_family_brings_hyperparameters_of_its_own(how: str) -> None:
    values = with_stage()
    values["model"] = {"family": "mlp", "params": {"hidden": [3]}}
    stage, sets = values["stages"][0], []
    if how == "stage":
        stage["model"] = {"family": "cnn"}
    elif how == "point":
        stage["points"] = [{"model.family": "cnn"}]
    else:
        sets = [Override("", "model.family", "cnn")]
    model = one(values, overrides=sets)["model"]
    assert model["family"] == "cnn"
    assert "hidden" not in model["params"]


@pytest.mark.parametrize("train", [{}, {"optimizer": "adam"}, {"optimizer": {"name": "adam"}}])
@pytest.mark.parametrize("how", ["grid", "point", "search", "stage's profile", "override"])
def test_a_key_of_an_optimizer_can_be_set_however_that_was_chosen(
    how: str, train: dict[str, Any]
) -> None:
    key, sets = "train.optimizer.learning_rate", []
    values = with_stage()
    values["train"] = train
    stage = values["stages"][0]
    if how == "grid":
        stage["grid"] = {key: [0.02, 0.03]}
    elif how == "point":
        stage["points"] = [{key: 0.02, "train.schedule.name": "constant"}]
    elif how == "search":
        stage["search"] = {"method": "random", "trials_per_value": 2, "tune": {key: [0.02, 0.03]}}
    elif how == "stage's profile":
        stage["profiles"] = {"full": {"set": {key: 0.02}}}
    else:
        sets = [Override("", key, 0.02)]
    optimizer = one(values, overrides=sets)["train"]["optimizer"]
    assert (optimizer["name"], optimizer["learning_rate"]) == ("adam", 0.02)


def test_an_optimizer_that_is_varied_by_its_name_has_keys_to_vary_as_well() -> None:
    rates = [0.2, 0.1]
    grid = {"train.optimizer": ["sgd", "adam"], "train.optimizer.learning_rate": rates}
    chosen = [point.specs[0].train.optimizer for point in found(with_stage(grid=grid))]
    assert [(each.name, each.learning_rate) for each in chosen] == [
        (name, rate) for name in ("sgd", "adam") for rate in rates
    ]
    # What is given is written out, and what is not given has the same fingerprint as if it were.
    given, silent = with_stage(), with_stage()
    given["train"] = {"optimizer": {"name": "adam"}, "schedule": "constant"}
    silent["train"] = {}
    assert one(given) == one(silent)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("train.optimizer.learning_rat", "Did you mean 'learning_rate'?"),
        ("train.optimizer.momentum", r"train\.optimizer\.momentum: no such key.* Known: amsgrad"),
        ("train.optimiser.learning_rate", "Did you mean 'optimizer'?"),
        ("train.schedule.warmup", r"train\.schedule\.warmup: no such key"),
    ],
)
def test_a_key_that_the_default_does_not_have_is_named(key: str, words: str) -> None:
    values = with_stage(grid={key: [0.5]})
    values["train"] = {}
    with pytest.raises(SpecError, match=words) as error:
        found(values)
    assert str(error.value).startswith("stages[one] point")


@pytest.mark.parametrize("how", ["stage", "point", "override"])
def test_another_data_set_keeps_the_keys_beside_its_name(how: str) -> None:
    values = with_stage()
    values["data"] = {"name": "fashion-mnist", "num_val": 77, "scaling": "standard"}
    stage, sets = values["stages"][0], []
    if how == "stage":
        stage["data"] = {"name": "idx"}
    elif how == "point":
        stage["points"] = [{"data.name": "idx"}]
    else:
        sets = [Override("", "data.name", "idx")]
    data = one(values, overrides=sets)["data"]
    assert (data["name"], data["num_val"], data["scaling"]) == ("idx", 77, "standard")


@pytest.mark.parametrize("below", ["sgd", {"name": "sgd"}])
def test_a_part_that_stands_by_its_name_takes_settings_of_a_stage(below: Any) -> None:
    rate = {"learning_rate": 0.25}
    with_rate = one({**with_stage(train={"optimizer": rate}), "train": {"optimizer": below}})
    optimizer = with_rate["train"]["optimizer"]
    assert (optimizer["name"], optimizer["learning_rate"]) == ("sgd", 0.25)
    other = one({**with_stage(train={"optimizer": "adam"}), "train": {"optimizer": below}})
    assert other["train"]["optimizer"]["name"] == "adam"


def test_device_and_kernels_of_a_study_hold_for_stages_that_do_not_say_otherwise() -> None:
    spec = one({**with_stage(), "kernels": "fused"})
    assert (spec["device"], spec["kernels"]) == ("cpu", "fused")
    spec = one({**with_stage(device="cuda", kernels="torch"), "kernels": "fused"})
    assert (spec["device"], spec["kernels"]) == ("cuda", "torch")
    assert one(with_stage())["kernels"] == "torch"


def test_preset_and_threads_of_a_stage_go_above_those_of_the_study() -> None:
    values = with_stage(preset="torch", threads=2)
    spec = one(values)
    assert (spec["preset"], spec["threads"]) == ("torch", 2)
    assert spec["model"]["params"]["initialisation"] == "kaiming_uniform"
    assert one(with_stage())["preset"] == "keras"


def test_repeats_count_the_seeds_up_from_that_of_the_study() -> None:
    values = with_stage(repeats=3, profiles={"quick": {"repeats": 2}})
    assert [spec.seed for spec in found(values, seed=7)[0].specs] == [7, 8, 9]
    assert [spec.seed for spec in found(values, seed=7, profile="quick")[0].specs] == [7, 8]


# --- grids ----------------------------------------------------------------------------------------


def test_a_grid_is_every_combination_the_last_key_fastest_then_the_points() -> None:
    values = with_stage(
        grid={"model.params.hidden": [[3], [4]], "train.batch_size": [10, 20]},
        points=[{"label": "mine", "train.epochs": 9}],
    )
    rows = found(values)
    assert [row.label for row in rows] == [
        "hidden=[3], batch_size=10",
        "hidden=[3], batch_size=20",
        "hidden=[4], batch_size=10",
        "hidden=[4], batch_size=20",
        "mine",
    ]
    assert rows[3].specs[0].to_dict()["model"]["params"]["hidden"] == [4]
    assert rows[3].specs[0].train.batch_size == 20
    assert rows[4].specs[0].train.epochs == 9


def test_a_stage_without_grid_or_points_is_one_run() -> None:
    rows = found(with_stage())
    assert [(row.label, row.settings, len(row.specs)) for row in rows] == [("one", {}, 1)]


@pytest.mark.parametrize(
    ("others", "wanted"),
    [
        ([{"train.epochs": 5}], "one"),
        ([{"label": "one", "train.epochs": 5}], "one 2"),
        ([{"label": "one", "train.epochs": 5}, {"label": "one 2", "seed": 1}], "one 3"),
    ],
)
def test_a_point_that_sets_nothing_has_a_name_of_its_own(others: list[Any], wanted: str) -> None:
    rows = found(with_stage(points=[{}, *others]))
    assert rows[0].label == wanted
    assert len({row.label for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, ""),
        ({"train.epochs": 5}, "epochs=5"),
        ({"train.optimizer": {"name": "sgd", "momentum": 0.9}}, "sgd momentum=0.9"),
        ({"model": {"family": "cnn"}}, "cnn"),
        ({"train.augment": [{"name": "shift", "pixels": 2}]}, "augment=[shift pixels=2]"),
        ({"model.params": {"num_layers": 3, "filters": 32}}, "num_layers=3 filters=32"),
        ({"a.b": 0.1 + 0.2}, "b=0.3"),
        ({"a": None}, "a=None"),
        ({"train.averaging": {}, "b": [{}, {"c": {}}]}, "averaging={}, b=[{}, c={}]"),
    ],
    ids=str,
)
def test_a_label_says_what_a_point_sets(settings: dict[str, Any], wanted: str) -> None:
    assert label(settings) == wanted


# --- profiles -------------------------------------------------------------------------------------

GRID: dict[str, Any] = {"grid": {"model.params.hidden": [[3], [4]], "train.batch_size": [10, 20]}}


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, [0, 1, 2, 3]),
        ({"only": [{"model.params.hidden": [3]}]}, [0, 1]),
        ({"only": [{"model.params.hidden": [3], "train.batch_size": 20}]}, [1]),
        ({"only": [{"train.batch_size": 20}, {"model.params.hidden": [3]}]}, [0, 1, 3]),
        ({"only": [{"label": "hidden=[4], batch_size=10"}]}, [2]),
        ({"only": []}, []),
        ({"skip": "takes an hour"}, []),
        ({"skip": "takes an hour", "only": [{"train.batch_size": 20}]}, []),
    ],
    ids=str,
)
def test_a_profile_chooses_points_and_hides_none(changes: Any, chosen: list[int]) -> None:
    values = with_stage(**GRID, profiles={"quick": changes})
    rows = found(values, profile="quick")
    assert [number for number, row in enumerate(rows) if row.is_chosen] == chosen
    assert len(rows) == 4
    assert all(row.is_chosen for row in found(values, profile="full"))


@pytest.mark.parametrize("label", [16, 0, 1.5, True, False, "16"], ids=repr)
def test_a_label_is_text_whatever_yaml_takes_it_for(label: Any) -> None:
    points = [{"label": label, "model.params.hidden": [3]}, {"model.params.hidden": [4]}]
    values = with_stage(points=points, profiles={"quick": {"only": [{"label": label}]}})
    rows = found(values, profile="quick")
    assert [row.label for row in rows] == [str(label), "hidden=[4]"]
    assert [row.is_chosen for row in rows] == [True, False]


# --- taking over ----------------------------------------------------------------------------------


def test_winners_are_taken_over_in_their_order() -> None:
    values = small.study(stages=[{"name": "a"}, {"name": "b"}, {"name": "one", "from": ["a", "b"]}])
    winners = {
        "a": {"train.optimizer": {"name": "sgd"}, "train.batch_size": 11},
        "b": {"train.batch_size": 22, "model.params.hidden": [5]},
    }
    spec = one(values, winners=winners)
    assert spec["train"]["optimizer"]["name"] == "sgd"
    assert spec["train"]["batch_size"] == 22
    assert spec["model"]["params"]["hidden"] == [5]


def test_a_key_that_comes_again_is_set_after_all_before_it() -> None:
    first = {"train.optimizer.learning_rate": 0.5, "a": 1}
    second = {"train.optimizer": {"name": "sgd"}, "train.optimizer.learning_rate": 0.25}
    both = layered(first, second)
    assert list(both) == ["a", "train.optimizer", "train.optimizer.learning_rate"]
    values = small.study(stages=[{"name": "a"}, {"name": "one", "from": ["a"]}])
    both.pop("a")
    optimizer = one(values, winners={"a": both})["train"]["optimizer"]
    assert (optimizer["name"], optimizer["learning_rate"]) == ("sgd", 0.25)


def test_checking_returns_what_a_profile_runs() -> None:
    study = StudySpec.parse(
        small.study(
            stages=[
                {
                    "name": "one",
                    **GRID,
                    "profiles": {"quick": {"only": [{"train.batch_size": 10}]}},
                },
                {"name": "two", "profiles": {"quick": {"skip": "long"}}},
            ]
        )
    )
    assert len(check(study, ("quick",))) == 2
    assert len(check(study, ("full",))) == 5
    assert len(check(study)) == 7
    with pytest.raises(SpecError, match=r"stages\[one\].*epochs"):
        check(study, ("quick",), [Override("", "train.epochs", 0)])
    # A setting for one stage is tried in that stage alone.
    check(study, ("quick",), [Override("three", "train.epochs", 0)])


# --- merge and assign -----------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "data"])
LEAVES = st.one_of(st.integers(0, 3), st.none(), st.just([1]), st.text("xy", max_size=2))
TREES = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda t: st.dictionaries(KEYS, t), max_leaves=6)
)


@given(TREES, TREES)
def test_merging_changes_neither_side_and_lets_the_upper_one_win(
    base: dict[str, Any], above: dict[str, Any]
) -> None:
    before = repr((base, above))
    merged = merge(base, above)
    assert repr((base, above)) == before
    assert set(merged) == set(base) | set(above)
    for key, value in above.items():
        if not isinstance(value, dict) or not isinstance(base.get(key), dict):
            assert merged[key] == value
    assert merge(merged, above) == merged
    assert merge({}, base) == merge(base, {}) == base


@given(TREES, st.lists(KEYS, min_size=1, max_size=3), LEAVES)
def test_a_key_that_was_assigned_holds_its_value(
    base: dict[str, Any], path: list[str], value: Any
) -> None:
    before, dotted, node = repr(base), ".".join(path), base
    for key in path[:-1]:
        node = node.get(key, {})
        if not isinstance(node, dict):
            with pytest.raises(SpecError, match=f"here: {dotted}: '{key}' holds .* no keys inside"):
                assign(base, {dotted: value}, "here")
            return
    node = assign(base, {dotted: value}, "here")
    assert repr(base) == before
    for key in path:
        node = node[key]
    assert node == value


# --- what would be lost, or cannot go on ----------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "lost"),
    [
        (
            {"grid": {"train.optimizer.learning_rate": [0.1], "train.optimizer": ["sgd", "adam"]}},
            "'train.optimizer' would undo 'train.optimizer.learning_rate'.*move it up",
        ),
        (
            {"grid": {"model.params.dropout": [0.0, 0.5], "model.family": ["mlp", "cnn"]}},
            "'model.family' would undo 'model.params.dropout'.*move it up",
        ),
        (
            {
                "grid": {"train.optimizer.learning_rate": [0.1, 0.2]},
                "profiles": {"full": {"set": {"train.optimizer": {"name": "sgd"}}}},
            },
            "'train.optimizer' would undo 'train.optimizer.learning_rate'.*set a key inside it",
        ),
    ],
    ids=["a part", "a family", "of a profile"],
)
def test_what_a_point_sets_is_not_undone(stage: dict[str, Any], lost: str) -> None:
    study = StudySpec.parse(with_stage(**stage))
    with pytest.raises(SpecError, match=lost):
        check(study)
    # A study that was trained before anybody looked can still be read.
    assert points(study, study.stage("one"), "full", 0, {})


def test_keys_beside_one_another_undo_nothing() -> None:
    points = [
        {"train.optimizer": "sgd", "train.optimizer.momentum": 0.9},
        {"train.optimizer.learning_rate": 0.2, "train.optimizer": {"learning_rate": 0.1}},
        {"train.optimizer.learning_rate": 0.2, "train": {"epochs": 7}},
    ]
    overrides = [Override("", "train.optimizer.learning_rate", 0.5)]
    answer = found(with_stage(points=points), overrides=overrides)
    assert [one.specs[0].train.optimizer.learning_rate for one in answer] == [0.5] * 3
    assert answer[2].specs[0].train.epochs == 7


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (
            [
                {"label": "m", "model": {"family": "mlp"}},
                {"label": "k", "model": {"family": "knn"}},
            ],
            {"model.params.dropout": [0.0, 0.3]},
            r"stages\[then\] point 'dropout=0'.*dropout.*if 'k' won 'first'",
        ),
        (
            [
                {"label": "waits", "train.early_stopping": {"patience": 5}},
                {"label": "never", "train.early_stopping": None},
            ],
            {"train.early_stopping.patience": [3, 5]},
            r"early_stopping.*if 'never' won 'first'",
        ),
    ],
    ids=["a family", "none"],
)
def test_a_stage_makes_sense_whatever_wins_the_one_before(
    first: list[dict[str, Any]], then: dict[str, Any], said: str
) -> None:
    stages = [
        {"name": "first", "points": first},
        {"name": "then", "from": ["first"], "grid": then},
    ]
    with pytest.raises(SpecError, match=said):
        check(StudySpec.parse(small.study(stages=stages)))
    stages[1]["grid"] = {"train.batch_size": [25, 50]}
    check(StudySpec.parse(small.study(stages=stages)))
