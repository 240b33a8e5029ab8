"""What a person writes: errors say file, key, value, what was meant, and what would do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from modiste.errors import SpecError
from modiste.spec import files
from modiste.spec.files import parse_override, read_study, read_yaml
from modiste.spec.study import Confirm, Found, StudySpec, check, points
from tests import small

ROOT = Path(__file__).parents[3]
STUDIES = sorted(
    path for path in (ROOT / "studies").glob("*.yaml") if not path.name.endswith(".published.yaml")
)


def wrong(tmp_path: Path, values: dict[str, Any] | str) -> str:
    """What is said of a study file that makes no sense."""
    path = tmp_path / "mine.yaml"
    text = values if isinstance(values, str) else yaml.safe_dump(values, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as error:
        read_study(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(str(path)) for line in lines)
    return str(error.value)


def with_stage(**changes: Any) -> dict[str, Any]:
    return small.study(stages=[{"name": "one", **changes}])


# --- one mistake each -----------------------------------------------------------------------------


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (small.study(stagse=[]), ["stagse: no such key", "Did you mean 'stages'?"]),
    (small.study(stages=[]), ["stages", "at least 1"]),
    (with_stage(gird={}), ["stages[0].gird: no such key", "Did you mean 'grid'?"]),
    (
        with_stage(model={"params": {"hiden": [3]}}),
        ["stages[one]", "model.params.hiden: no such key", "Did you mean 'hidden'?", "dropout"],
    ),
    (
        with_stage(points=[{"model.params.hiden": [3]}]),
        ["stages[one] point 'hiden=[3]'", "Did you mean 'hidden'?"],
    ),
    (with_stage(model={"family": "mpl"}), ["model.family", "'mpl'", "Did you mean 'mlp'?"]),
    (
        with_stage(train={"optimizer": "adma"}),
        ["train.optimizer.name", "'adma'", "Did you mean 'adam'?"],
    ),
    (
        with_stage(train={"optimizer": {"name": "adam", "lr": 0.1}}),
        ["train.optimizer.lr: no such key", "learning_rate"],
    ),
    (
        with_stage(train={"optimizer": {"learning_rate": 0.1}}),
        ["train.optimizer.name", "a name is needed", "adam"],
    ),
    (
        with_stage(train={"schedule": "plateau"}),
        ["train.schedule.name", "'plateau'", "reduce_on_plateau"],
    ),
    (
        with_stage(train={"augment": ["miror"]}),
        ["train.augment[0].name", "'miror'", "Did you mean 'mirror'?"],
    ),
    (
        with_stage(train={"augment": [{"name": "shift", "pixels": 0}]}),
        ["train.augment[0].pixels", "greater than or equal to 1", "got 0"],
    ),
    (with_stage(train={"epochs": 0}), ["train.epochs", "greater than or equal to 1", "got 0"]),
    (with_stage(train={"epochs": 1.5}), ["train.epochs", "1.5"]),
    (with_stage(train={"epochs": "many"}), ["train.epochs", "'many'"]),
    (with_stage(train={"batch_size": -1}), ["train.batch_size", "got -1"]),
    (with_stage(model={"params": {"dropout": 1.0}}), ["model.params.dropout", "got 1.0"]),
    (
        with_stage(model={"params": {"dropout": float("nan")}}),
        ["model.params.dropout", "finite", "nan"],
    ),
    (
        with_stage(train={"optimizer": {"name": "adam", "learning_rate": float("inf")}}),
        ["train.optimizer.learning_rate", "finite"],
    ),
    (with_stage(model={"params": {"hidden": [0]}}), ["model.params.hidden[0]", "got 0"]),
    (with_stage(model={"params": {"hidden": 768}}), ["model.params.hidden", "got 768"]),
    (with_stage(model={"params": {"activation": "rleu"}}), ["'rleu'", "Did you mean 'relu'?"]),
    (with_stage(preset="kreas"), ["preset", "'kreas'", "Did you mean 'keras'?"]),
    (with_stage(threads=0), ["threads", "got 0"]),
    (with_stage(repeats=0), ["repeats", "got 0"]),
    (small.study(seed=-1), ["seed", "got -1"]),
    (with_stage(final=True, keep_weights=0), ["stages[one].keep_weights", "Keep 1 or more"]),
    (with_stage(export=True), ["stages[one].export", "is not final", "Add `final: true`"]),
    (
        with_stage(final=True, points=[{"train.epochs": 2}, {"model.family": "knn"}]),
        ["stages[one].final", "may be won by 'knn'", "--stages one"],
    ),
    (
        small.study(
            stages=[
                {"name": "one", "points": [{"train.epochs": 2}, {"model.family": "knn"}]},
                {"name": "two", "from": ["one"]},
                {"name": "three", "from": ["two"], "final": True},
            ]
        ),
        ["stages[three].final", "may be won by 'knn'"],
    ),
    (small.study(rank_epoch="lats"), ["rank_epoch", "'lats'", "Did you mean 'last'?"]),
    (with_stage(grid={"train.batch_size": []}), ["grid.train.batch_size", "at least 1"]),
    (with_stage(grid={"": [1]}), ["stages[one]"]),
    (
        with_stage(points=[{"train.epochs.more": 3}], train={"epochs": 3}),
        ["train.epochs.more", "'epochs' holds 3", "no keys inside"],
    ),
    (
        with_stage(**{"from": ["none"]}),
        ["stages[one].from", "no earlier stage 'none'", "Known: none."],
    ),
    (
        small.study(stages=[{"name": "grid"}, {"name": "two", "from": ["gird"]}]),
        ["stages[two].from", "no earlier stage 'gird'", "Did you mean 'grid'?"],
    ),
    (
        small.study(stages=[{"name": "one", "from": ["two"]}, {"name": "two"}]),
        ["stages[one].from", "no earlier stage 'two'", "comes later: move it up"],
    ),
    (
        small.study(stages=[{"name": "one", "from": ["one"]}]),
        ["stages[one].from", "no earlier stage 'one'"],
    ),
    (
        small.study(stages=[{"name": "one"}, {"name": "one"}]),
        ["stages: two are named 'one'"],
    ),
    (
        small.study(
            stages=[
                {"name": "one", "profiles": {"quick": {"skip": "too slow"}}},
                {"name": "two", "from": ["one"]},
            ]
        ),
        ["stages[two].from", "'one' runs nothing in the profile quick", "skip"],
    ),
    (
        small.study(stages=[{"name": "one", "confirm": {"seeds": 2}}]),
        ["stages[one].confirm.stage", "needs a stage before it"],
    ),
    (
        small.study(stages=[{"name": "grid"}, {"name": "two", "confirm": {"stage": "gird"}}]),
        ["stages[two].confirm.stage", "no earlier stage 'gird'", "Did you mean 'grid'?"],
    ),
    (
        small.study(
            stages=[
                {"name": "grid"},
                {"name": "two", "confirm": {"top": 1, "among": {"model.params.hiden": [8]}}},
            ]
        ),
        ["stages[two].confirm.among", "agrees with no point", "Give full keys"],
    ),
    (
        small.study(stages=[{"name": "grid"}, {"name": "two", "confirm": {"top": 2}}]),
        ["stages[two].confirm.top", "2", "'grid' has 1 points in all"],
    ),
    (
        small.study(
            stages=[
                {"name": "one"},
                {"name": "two", "confirm": {"top": 1}},
                {"name": "three", "confirm": {"top": 1}},
            ]
        ),
        ["stages[three].confirm.stage", "'two' confirms another one already"],
    ),
    (
        small.study(
            stages=[
                {"name": "one"},
                {"name": "two", "confirm": {"top": 1}, "train": {"epochs": 9}},
            ]
        ),
        ["stages[two].confirm", "`train` has no place"],
    ),
    (
        small.study(
            stages=[
                {"name": "one", "profiles": {"quick": {"skip": "too slow"}}},
                {"name": "two", "confirm": {"top": 1}},
            ]
        ),
        ["stages[two].confirm", "'one' runs nothing in the profile quick"],
    ),
    (
        with_stage(profiles={"quick": {"only": [{"train.epochs": 7}]}}),
        ["stages[one].profiles", "only {'train.epochs': 7} names no point", "one"],
    ),
    (with_stage(profiles={"quik": {}}), ["profiles", "'quick'"]),
    (with_stage(model=None), ["stages[0].model"]),
    (with_stage(model="mlp"), ["stages[0].model", "'mlp'"]),
]


@pytest.mark.parametrize(
    ("values", "said"), MISTAKES, ids=[f"{n} {said[0]}" for n, (_, said) in enumerate(MISTAKES)]
)
def test_a_mistake_is_named_with_its_file_its_key_and_what_was_meant(
    values: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    message = wrong(tmp_path, values)
    for words in said:
        assert words in message
    assert "validation error" not in message  # pydantic's own report
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "name", ["", "Ünicode", "two words", "a/b", "../up", "a\nb", "-x", "x" * 65]
)
def test_a_name_that_would_make_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    assert "stages[0].name" in wrong(tmp_path, small.study(stages=[{"name": name}]))
    assert "name" in wrong(tmp_path, small.study(name=name))


@pytest.mark.parametrize("word", ["yes", "on", "true", "no"])
def test_a_truth_value_is_no_number(word: str, tmp_path: Path) -> None:
    for key in ("epochs", "batch_size"):
        text = f"name: a\nmodel: {{family: mlp}}\nstages: [{{name: one, train: {{{key}: {word}}}}}]"
        message = wrong(tmp_path, text)
        assert f"train.{key}" in message
        assert "truth values" in message
    text = (
        f"name: a\nmodel: {{family: mlp, params: {{hidden: [{word}]}}}}\nstages: [{{name: one}}]\n"
    )
    assert "truth values" in wrong(tmp_path, text)


def test_truth_values_and_numbers_are_taken_where_they_belong() -> None:
    spec = small.run_spec({"model": {"family": "cnn", "params": {"batch_norm": False}}})
    assert spec.model.params.batch_norm is False  # type: ignore[attr-defined]
    # A number with an exponent and no point is a word to YAML; it is read all the same.
    spec = small.run_spec({"train.optimizer.learning_rate": yaml.safe_load("1e-3")})
    assert spec.train.optimizer.learning_rate == 0.001


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    message = wrong(tmp_path, small.study(sed=1, tilte="x", stages=[{"name": "A"}]))
    assert len(message.splitlines()) == 3
    assert all(key in message for key in ("sed", "tilte", "stages[0].name"))


def test_rows_with_other_numbers_of_validation_images_are_no_stage(tmp_path: Path) -> None:
    stages = [{"name": "one", "points": [{"data.num_val": 20}, {"data.num_val": 60}]}]
    message = wrong(tmp_path, small.study(stages=stages))
    assert "stages[one]: points with data.num_val 20 and 60" in message
    assert "Vary data.num_train" in message


def test_rows_with_validation_images_of_other_seeds_are_no_stage(tmp_path: Path) -> None:
    stage: dict[str, Any] = {"name": "one", "grid": {"data.split_seed": [3, 0, 1]}}
    message = wrong(tmp_path, small.study(stages=[stage]))
    assert "stages[one]: points with data.split_seed 0 and 3: rows of a stage are" in message
    assert "Give each division a stage of its own; or set `folds` and `repeats`" in message
    # Repeats of folds are divided anew, for all points alike.
    stage = {"name": "one", "grid": {"model.params.hidden": [[8], [9]]}, "folds": 2, "repeats": 2}
    read_study(small.write_study(tmp_path / "s.yaml", small.study(stages=[stage])))


@pytest.mark.parametrize("goal", ["flops", "latency"])
def test_a_goal_that_a_model_cannot_have_is_refused_before_training(
    tmp_path: Path, goal: str
) -> None:
    search = {"tune": {"model.params.neighbours": [1, 3]}, "goals": ["accuracy", goal]}
    stage = {"name": "one", "model": {"family": "knn"}, "search": search}
    message = wrong(tmp_path, small.study(stages=[stage]))
    assert f"is fitted in one go and has no {goal}" in message
    assert "stages[one].search.goals" in message


def test_a_mistake_that_only_one_profile_makes_is_found(tmp_path: Path) -> None:
    for profile in ("quick", "full"):
        assert "epochs" in wrong(tmp_path, small.study(profiles={profile: {"train.epochs": 0}}))


# --- YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b\n", "mine.yaml:2: the key 'name' stands here twice"),
        ("name: a\nstages:\n  - {x: 1, x: 2}\n", "mine.yaml:3: the key 'x' stands here twice"),
        ("a: &x [1]\nb: *x\n", "mine.yaml:2: aliases"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "mine.yaml:3"),
        ("a: [1\n", "mine.yaml:2"),
        ("a: !!python/object/apply:os.system ['true']\n", "mine.yaml:1"),
        ("a: 2020-13-45\n", "no valid YAML"),
        ("\tname: a\n", "mine.yaml:1"),
        ("a: \x00\n", "no valid YAML"),
        ("", "expected keys and values"),
        ("- a\n- b\n", "expected keys and values"),
        ("just words", "expected keys and values"),
        ("? [1, 2]\n: 3\n", "mine.yaml:1"),
        ("a: " + "[" * 2_000, "nested too deeply"),
        ("1: 2\nname: a\nstages: [{name: b}]\n", "1"),
        ("a: !!timestamp foo\n", "mine.yaml: a value is none of the kind that its tag"),
        ("a: !!bool foo\n", "mine.yaml: a value is none of the kind that its tag"),
        ("a: !!int ''\n", "mine.yaml: a value is none of the kind that its tag"),
    ],
    ids=range(18),
)
def test_yaml_that_would_surprise_is_refused_with_its_line(
    text: str, said: str, tmp_path: Path
) -> None:
    assert said in wrong(tmp_path, text)


@pytest.mark.parametrize(
    ("shared", "stage", "overrides", "place"),
    [
        ({"train": {"epoch": 2}}, {}, [], "train.epoch: no such key"),
        ({"train": {"optimizer": {"name": "adam", "rat": 2}}}, {}, [], "train.optimizer.rat: no"),
        ({"data": {"name": "idx", "num_val": -1}}, {}, [], "data.num_val: "),
        ({}, {"train": {"epoch": 2}}, [], "stages[one].train.epoch: no such key"),
        ({"train": {"epoch": 2}}, {"train": {"epoch": 3}}, [], "stages[one].train.epoch: no"),
        (
            {"train": {"epoch": 2}},
            {"points": [{"label": "a", "train.epoch": 3}]},
            [],
            "stages[one] point 'a'.train.epoch: no such key",
        ),
        ({"train": {"epoch": 2}}, {}, ["train.epoch=3"], "stages[one].train.epoch: no such key"),
    ],
)
def test_a_mistake_is_named_where_it_stands(
    shared: dict[str, Any], stage: dict[str, Any], overrides: list[str], place: str
) -> None:
    values = {
        "name": "x",
        "data": {"name": "idx", "num_val": 30},
        "model": {"family": "mlp", "params": {"hidden": [4]}},
        "stages": [{"name": "one", **stage}],
        **shared,
    }
    with pytest.raises(SpecError) as raised:
        check(StudySpec.parse(values), overrides=[parse_override(text) for text in overrides])
    assert str(raised.value).startswith(place), str(raised.value)


def test_a_folder_in_the_place_of_a_file_is_told_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"a folder, and no study file\..*`modiste init"):
        read_study(tmp_path)
    (tmp_path / "study.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SpecError, match=r"a study folder\. To go on with it, name its study file"):
        read_study(tmp_path)


def test_a_file_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file"):
        read_study(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        read_study(binary)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (files.LIMIT_BYTES + 1))
    with pytest.raises(SpecError, match="larger than 1048576 bytes"):
        read_study(large)
    large.write_bytes(b"a: 1 #" + b"#" * (files.LIMIT_BYTES - 6))
    assert read_yaml(large) == {"a": 1}


def test_words_of_any_script_are_kept(tmp_path: Path) -> None:
    path = small.write_study(
        tmp_path / "ü.yaml",
        small.study(
            title="Größe – サイズ 👗",
            stages=[{"name": "one", "points": [{"label": "größer ✔", "train.epochs": 2}]}],
        ),
    )
    study, _ = read_study(path)
    assert study.title == "Größe – サイズ 👗"
    assert study.stages[0].settings()[0][0] == "größer ✔"


def test_numbers_and_arrays_of_numpy_are_written_as_numbers_and_lists(tmp_path: Path) -> None:
    grid = {"train.batch_size": list(np.arange(32, 65, 32)), "train.epochs": np.array([1, 2])}
    path = tmp_path / "mine.yaml"
    given = small.study(stages=[{"name": "one", "grid": grid}])
    path.write_text(files.study_text(given, path.stem), encoding="utf-8")
    study, _ = read_study(path)
    found = [settings for _, settings in study.stages[0].settings()]
    assert found[0] == {"train.batch_size": 32, "train.epochs": 1}
    assert len(found) == 4


def test_of_a_file_with_one_question_the_last_stage_is_final_and_exported(tmp_path: Path) -> None:
    path = tmp_path / "which-shape.yaml"
    values = {"grid": {"model.params.hidden": [[3], [4]]}, "final": True, "export": True}
    for more, names in (({}, ["search"]), ({"confirm": {"top": 1}}, ["search", "confirmed"])):
        path.write_text(yaml.safe_dump({"model": {"family": "mlp"}, **values, **more}), "utf-8")
        stages = read_study(path)[0].stages
        assert [stage.name for stage in stages] == names
        *earlier, last = [(stage.is_final, stage.is_exported) for stage in stages]
        assert last == (True, True)
        assert earlier in ([], [(False, False)])


def test_published_figures_that_are_missing_are_named(tmp_path: Path) -> None:
    path = small.write_study(tmp_path / "mine.yaml", small.study(published="figures.yaml"))
    with pytest.raises(SpecError, match=r"figures\.yaml: there is no such file"):
        read_study(path)


# --- `--set` --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("train.epochs=5", ("", "train.epochs", 5)),
        ("mlp-grid:train.epochs=5", ("mlp-grid", "train.epochs", 5)),
        (" train.epochs = 5 ", ("", "train.epochs", 5)),
        ("model.params.hidden=[768, 512]", ("", "model.params.hidden", [768, 512])),
        ("model.params.hidden=[]", ("", "model.params.hidden", [])),
        ("a=1e-3", ("", "a", 0.001)),
        ("a=1E3", ("", "a", 1000.0)),
        ("a=-2.5e-1", ("", "a", -0.25)),
        ("a=true", ("", "a", True)),
        ("a=null", ("", "a", None)),
        ("a=", ("", "a", None)),
        ("a=sgd", ("", "a", "sgd")),
        ("a=edge", ("", "a", "edge")),
        ("a='5'", ("", "a", "5")),
        ("a=b=c", ("", "a", "b=c")),
        ("a={name: sgd, momentum: 0.9}", ("", "a", {"name": "sgd", "momentum": 0.9})),
        ("a=größe", ("", "a", "größe")),
    ],
)
def test_a_setting_is_stage_key_and_value(text: str, wanted: tuple[str, str, Any]) -> None:
    found = parse_override(text)
    assert (found.stage, found.key, found.value) == wanted
    assert type(found.value) is type(wanted[2])


@pytest.mark.parametrize(
    "text",
    [
        *["", "train.epochs", "=5", " =5", ":a=5", " : a=5", "a:=5", "a=[1", "a={b: 1, b: 2}"],
        *["a=? [b]", "a=[*x]", "a=2020-13-45", "a=!!python/name:os.system", "a=" + "[" * 2_000],
    ],
    ids=range(14),
)
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"--set {text}"[:60])):
        parse_override(text)


# --- the files we ship ----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_each_study_file_of_ours_makes_sense_in_each_profile(path: Path, profile: str) -> None:
    study, published = read_study(path)
    earlier: dict[str, Found] = {}
    num_chosen = 0
    for stage in study.stages:
        found = points(study, stage, profile, study.seed, earlier)
        earlier[stage.name] = Found(tuple((point.label, point.settings) for point in found))
        num_chosen += sum(point.is_chosen for point in found)
        assert len({point.label for point in found}) == len(found)
        assert stage.title
        assert stage.about
    assert num_chosen >= 1
    assert (published is None) == (study.published is None)
    assert StudySpec.parse(study.to_dict()) == study


def test_the_reference_study_holds_the_stages_and_points_it_was_asked_for() -> None:
    study, _ = read_study(ROOT / "studies" / "fashion-mnist.yaml")
    assert study.stages[-1].name == "cnn-augmented"
    assert study.stage("mlp-confirmed").confirm == Confirm(stage="mlp-grid", top=10, seeds=5)
    own = [stage for stage in study.stages[:-1] if stage.confirm is None]
    assert {stage.name: len(stage.settings()) for stage in own} == {
        "no-network": 5,
        "mlp-baseline": 1,
        "mlp-capacity": 5,
        "mlp-grid": 30,
        "mlp-optimizers": 20,
        "mlp-rates": 4,
        "mlp-scaling": 2,
        "mlp-folds": 2,
        "mlp-final": 1,
        "mlp-winner": 1,
        "cnn-baseline": 3,
        "cnn-depth": 4,
        "cnn-grid": 18,
        "cnn-final": 1,
        "cnn-winner": 1,
    }
