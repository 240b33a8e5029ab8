"""Studies of other tools, read from what these tools really wrote (tests/samples)."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import SpecError
from modiste.search.reader import READERS, Stated, read_foreign

SAMPLES = Path(__file__).parents[2] / "samples"
SOURCES = {
    "talos": [
        *(SAMPLES / name for name in ("talos1.csv", "talos1_evaluated.csv")),
        *(SAMPLES / name for name in ("talos2", "talos2_classes")),
    ],
    "keras-tuner": [SAMPLES / "keras_tuner"],
    "optuna": [SAMPLES / "optuna.db"],
}
ALL = [path for paths in SOURCES.values() for path in paths]
ASKED = {"optuna.db": Stated(study="mlp")}


# --- what every reader promises ---


def test_each_reader_has_a_sample() -> None:
    assert sorted(SOURCES) == READERS.names()


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_one_reader_knows_it_and_the_others_do_not(path: Path) -> None:
    assert sum(READERS.get(name).can_read(path) for name in READERS.names()) == 1


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_each_row_says_what_evidence_it_is(path: Path) -> None:
    found = read_foreign(path, ASKED.get(path.name))
    assert found.ranked
    for row in found.rows:
        assert row.evidence
        assert row.label
    json.dumps(found.to_dict(), allow_nan=False)
    figures = [row.figure for row in found.ranked]
    assert figures == sorted(figures, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_what_is_read_is_left_as_it_was(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    read_foreign(copy, ASKED.get(path.name))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_what_nobody_knows_is_refused_with_what_would_do(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss\n1,0.5\n", "utf-8")
    with pytest.raises(SpecError, match=r"Talos Scan.*round_epochs"):
        read_foreign(tmp_path / "a.csv")
    with pytest.raises(SpecError, match="KerasTuner project folder"):
        read_foreign(tmp_path)
    with pytest.raises(SpecError, match="no such file or folder"):
        read_foreign(tmp_path / "b.csv")


# --- Talos ---


def test_talos_1_is_the_last_epoch_of_one_training() -> None:
    found = read_foreign(SAMPLES / "talos1.csv")
    assert (found.tool, found.figure, found.direction) == ("Talos", "val_accuracy", "max")
    assert (found.epoch, found.scored_on, len(found.rows)) == ("last", "validation", 6)
    first = found.ranked[0]
    assert first.label == "round 6"
    assert first.figure == 0.75
    assert first.settings == {
        "first_neuron": 16, "dropout": 0.3, "lr": 0.01, "batch_size": 32, "epochs": 4
    }  # fmt: skip
    assert set(first.figures) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert (first.epochs, first.seeds, first.seconds) == (4, 1, None)
    assert "seed is not recorded" in first.evidence


def test_slices_that_talos_measured_one_model_on_are_told_as_such() -> None:
    path = SAMPLES / "talos1_evaluated.csv"
    found = read_foreign(path)
    assert found.refolded == ("eval_f1score_mean", "eval_f1score_std")
    assert found.rows[0].seconds == pytest.approx(3.158, abs=0.001)
    assert "M012" in [finding.code for finding in found.findings()]
    # Half the rows were not evaluated: that is no failure.
    by_slices = read_foreign(path, Stated(metric="eval_f1score_mean"))
    assert len(by_slices.ranked) == 3
    assert {row.status for row in by_slices.rows} == {"finished"}
    assert "one trained model" in by_slices.ranked[0].evidence


def test_talos_2_tells_its_settings_seed_and_space_beside_the_table() -> None:
    found = read_foreign(SAMPLES / "talos2")
    assert found.tool == "Talos 2"
    assert set(found.rows[0].settings) == {"first_neuron", "dropout", "lr", "batch_size", "epochs"}
    assert found.space["first_neuron"].values == (4, 8, 16)
    assert "seed 7" in found.rows[0].evidence
    assert found.rows[0].seconds == pytest.approx(4.154, abs=0.001)
    assert found.notes == ("Its record says that 72 images were validated on.",)
    assert read_foreign(SAMPLES / "talos2" / "results.csv").rows == found.rows


def test_a_scan_that_was_told_no_objective_ranks_by_what_keras_measured() -> None:
    """Talos then writes `val_acc` as its objective, and Keras no longer has a figure so called."""
    found = read_foreign(SAMPLES / "talos2_classes")
    assert (found.figure, found.direction) == ("val_accuracy", "max")
    assert found.ranked[0].label == "round 5"


def test_what_talos_2_allowed_is_said_as_its_rows_say_it() -> None:
    found = read_foreign(SAMPLES / "talos2_classes")
    assert found.space["hidden"].values == ([4], [8, 4])
    assert found.space["optimizer"].values == ("Adam",)
    # (0.0, 0.6, 3), with the upper end left out, to the last bit.
    assert found.space["dropout"].values == (0.0, 0.19999999999999998, 0.39999999999999997)
    for key, space in found.space.items():
        assert {repr(row.settings[key]) for row in found.rows} == {repr(v) for v in space.values}


def marked(kind: str, **values: Any) -> dict[str, Any]:
    return {"__talos_type__": kind, **values}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (marked("tuple", items=[10, 50, 4]), (10, 20, 30, 40)),
        (marked("tuple", items=[4, 0, 2]), (2, 4)),
        (marked("tuple", items=[0.0, 1.0, 1e12]), None),
        (marked("tuple", items=[0.5, 0.5, 2]), None),
        (marked("tuple", items=["a", "b"]), None),
        (marked("tuple"), None),
        ([marked("nonportable_callable", qualname="make.<locals>.tanh")], ("tanh",)),
        ([marked("tuple", items=[8, 4]), marked("numpy_scalar", value=3)], ([8, 4], 3)),
        ([marked("float", value="inf"), 1.0], ("inf", 1.0)),
        ([marked("complex", real=0.0, imag=1.0), 1.0], None),
        (7, None),
    ],
)
def test_what_talos_2_marks_is_a_value_or_left_out(
    tmp_path: Path, given: Any, read: tuple[Any, ...] | None
) -> None:
    folder = shutil.copytree(SAMPLES / "talos2", tmp_path / "scan")
    change_json(folder / "metadata.json", lambda m: m["identity"]["params"].update(lr=given))
    space = read_foreign(folder).space
    assert (space["lr"].values if "lr" in space else None) == read


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_talos_columns_are_told_apart_where_a_rate_was_scheduled(tmp_path: Path) -> None:
    text = "round_epochs,loss,val_loss,lr,lr,hidden\n3,0.5,0.6,0.0001,0.01,8\n"
    found = read_foreign(write(tmp_path / "a.csv", text), Stated(metric="val_loss"))
    row = found.rows[0]
    assert row.settings == {"lr": 0.01, "hidden": 8}
    assert row.figures == {"loss": 0.5, "val_loss": 0.6, "lr": 0.0001}
    assert found.direction == "min"


@pytest.mark.parametrize(("metric", "best_first"), [("val_loss", "bca"), ("val_acc", "abc")])
def test_the_best_row_is_the_lowest_of_a_loss_and_the_highest_of_an_accuracy(
    tmp_path: Path, metric: str, best_first: str
) -> None:
    text = "round_epochs,val_loss,val_acc,name\n3,0.9,0.9,a\n3,0.2,0.8,b\n3,0.5,0.7,c\n3,,,d\n"
    found = read_foreign(write(tmp_path / "a.csv", text), Stated(metric=metric))
    assert "".join(row.settings["name"] for row in found.ranked) == best_first


def test_values_that_python_alone_reads_as_numbers_stay_words(tmp_path: Path) -> None:
    text = "round_epochs,val_acc,units,other\n3,0.9,128_64,\N{ARABIC-INDIC DIGIT THREE}\n"
    (row,) = read_foreign(write(tmp_path / "a.csv", text)).rows
    assert row.settings == {"units": "128_64", "other": "\N{ARABIC-INDIC DIGIT THREE}"}


def test_talos_values_are_read_as_what_they_are(tmp_path: Path) -> None:
    text = (
        "round_epochs,val_acc,rate,flag,none,optimizer,activation,wide,hidden,mixed,open,deep\n"
        "3,0.9,1e-3,True,None,<class 'keras.optimizers.Adam'>,<function relu at 0x7f0>,inf,"
        '"[8, 4]","(\'a\', 0.5)",[8,[[8]]\n'
    )
    row = read_foreign(write(tmp_path / "a.csv", text)).rows[0]
    assert row.settings == {
        "rate": 0.001, "flag": True, "none": None, "optimizer": "Adam", "activation": "relu",
        "wide": "inf", "hidden": [8, 4], "mixed": ["a", 0.5], "open": "[8", "deep": "[[8]]",
    }  # fmt: skip


def test_a_talos_round_that_diverged_has_no_figure(tmp_path: Path) -> None:
    text = "round_epochs,val_accuracy,val_loss\n3,nan,nan\n3,0.8,0.5\n"
    found = read_foreign(write(tmp_path / "a.csv", text))
    assert [row.status for row in found.rows] == ["failed", "finished"]
    assert [row.label for row in found.ranked] == ["round 2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("round_epochs,val_acc,hidden\n3,0.9,[64, 32]\n", r"a\.csv:2: 4 values under 3 columns"),
        ("round_epochs,val_acc\n", "holds no round"),
        ("round_epochs,val_f1,val_auc\n3,0.9,0.8\n", "Name one with --metric: val_f1, val_auc"),
        ("round_epochs,val_acc\n3,\xff0.9\n", "cannot be read as CSV"),
    ],
    ids=["a list", "empty", "which figure", "not text"],
)
def test_a_talos_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SpecError, match=said):
        read_foreign(path)


def test_a_figure_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"--metric val_acuracy.*'val_accuracy'"):
        read_foreign(SAMPLES / "talos1.csv", Stated(metric="val_acuracy"))


# --- KerasTuner ---


def test_keras_tuner_is_the_best_epoch_averaged_over_unknown_trainings() -> None:
    found = read_foreign(SAMPLES / "keras_tuner")
    assert (found.tool, found.figure, found.epoch) == ("KerasTuner", "val_accuracy", "best")
    assert found.scored_on == "validation"
    first = found.ranked[0]
    assert (first.label, first.seeds, first.epochs) == ("trial 2", None, None)
    assert first.figure == pytest.approx(0.76875)
    assert first.settings["units"] == 8
    assert "unknown number of trainings" in first.evidence
    assert (found.space["units"].low, found.space["units"].high) == (4.0, 16.0)
    assert found.space["learning_rate"].log
    assert "M010" in [finding.code for finding in found.findings()]


def test_a_keras_tuner_folder_is_found_one_above_as_well(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "keras_tuner", tmp_path / "above" / "project")
    assert read_foreign(tmp_path / "above").source == "project"


def change_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value), "utf-8")


def test_keras_tuner_trials_that_failed_or_run_yet_do_not_compete(tmp_path: Path) -> None:
    folder = shutil.copytree(SAMPLES / "keras_tuner", tmp_path / "project")
    change_json(folder / "trial_0" / "trial.json", lambda t: t.update(status="FAILED", score=None))
    change_json(folder / "trial_1" / "trial.json", lambda t: t.update(status="RUNNING"))
    found = read_foreign(folder)
    assert [row.status for row in found.rows] == ["failed", "unfinished", "finished", "finished"]
    assert len(found.ranked) == 2


def test_hyperband_says_how_many_epochs_a_trial_had(tmp_path: Path) -> None:
    folder = shutil.copytree(SAMPLES / "keras_tuner", tmp_path / "project")

    def band(trial: dict[str, Any]) -> None:
        trial["hyperparameters"]["values"] |= {"tuner/epochs": 4, "tuner/bracket": 1}

    change_json(folder / "trial_2" / "trial.json", band)
    first = read_foreign(folder).ranked[0]
    assert "of at most 4 epochs" in first.evidence
    assert not any(name.startswith("tuner/") for name in first.settings)


def test_a_keras_tuner_folder_without_trials_says_so(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "keras_tuner" / "oracle.json", tmp_path / "oracle.json")
    with pytest.raises(SpecError, match="holds no trial"):
        read_foreign(tmp_path)
    (tmp_path / "oracle.json").write_text("{", "utf-8")
    with pytest.raises(SpecError, match="cannot be read as JSON"):
        read_foreign(tmp_path)


# --- Optuna ---


def test_optuna_is_one_value_of_which_nothing_more_is_known() -> None:
    found = read_foreign(SAMPLES / "optuna.db", Stated(study="mlp"))
    assert (found.tool, found.figure, found.direction) == ("Optuna", "objective value", "max")
    assert found.scored_on is None
    states = [row.status for row in found.rows]
    # As Optuna itself tells them: COMPLETE 0, 1, 6; FAIL 3; WAITING 8; PRUNED the others.
    assert [i for i, state in enumerate(states) if state == "finished"] == [0, 1, 6]
    assert (states[3], states[8]) == ("failed", "unfinished")
    assert {states[i] for i in (2, 4, 5, 7)} == {"pruned"}
    first = found.ranked[0]
    assert first.label == "trial 0"
    assert first.figure == 0.8900426134453681
    assert first.settings == {
        "learning_rate": 0.0017826497151386949, "hidden": 96, "activation": "tanh",
        "dropout": 0.0461692973843989,
    }  # fmt: skip
    assert found.rows[4].settings["activation"] is None
    assert first.seconds == pytest.approx(0.281, abs=0.001)
    assert found.space["learning_rate"].log
    assert found.space["activation"].values == ("relu", "tanh", None)


def test_optuna_trials_that_returned_the_best_of_their_reports_are_told() -> None:
    found = read_foreign(SAMPLES / "optuna.db", Stated(study="mlp"))
    assert found.epoch == "best"
    assert "M010" in [finding.code for finding in found.findings()]


def test_a_database_of_several_studies_or_objectives_asks_which() -> None:
    path = SAMPLES / "optuna.db"
    with pytest.raises(SpecError, match=r"which study.*mlp, two"):
        read_foreign(path)
    with pytest.raises(SpecError, match="'mlp'"):
        read_foreign(path, Stated(study="mpl"))
    with pytest.raises(SpecError, match=r"which objective.*val_accuracy, flops"):
        read_foreign(path, Stated(study="two"))
    with pytest.raises(SpecError, match=r"--metric flop.*'flops'"):
        read_foreign(path, Stated(study="two", metric="flop"))
    flops = read_foreign(path, Stated(study="two", metric="flops"))
    assert (flops.figure, flops.direction) == ("flops", "min")
    accuracy = read_foreign(path, Stated(study="two", metric="val_accuracy"))
    assert (accuracy.direction, accuracy.scored_on) == ("max", "validation")


def test_an_objective_without_a_name_may_be_given_one() -> None:
    found = read_foreign(SAMPLES / "optuna.db", Stated(study="mlp", metric="test_accuracy"))
    assert found.figure == "test_accuracy"
    assert "M011" in [finding.code for finding in found.findings()]


@pytest.mark.parametrize(
    ("distribution", "value", "setting", "space"),
    [
        ('{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}', 0.5, 0.5,
         (0.0, 1.0, False)),
        ('{"name": "LogUniformDistribution", "attributes": {"low": 0.1, "high": 1.0}}', 0.5, 0.5,
         (0.1, 1.0, True)),
        ('{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 1}}', 3.0,
         3, (1.0, 9.0, False)),
    ],
)  # fmt: skip
def test_distributions_of_older_versions_are_read(
    tmp_path: Path, distribution: str, value: float, setting: float, space: tuple[Any, ...]
) -> None:
    path = Path(shutil.copy(SAMPLES / "optuna.db", tmp_path))
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "UPDATE trial_params SET distribution_json = ?, param_value = ? "
            "WHERE trial_id = 1 AND param_name = 'dropout'",
            (distribution, value),
        )
        base.execute("DELETE FROM trial_params WHERE trial_id > 1 AND param_name = 'dropout'")
    found = read_foreign(path, Stated(study="mlp"))
    assert found.rows[0].settings["dropout"] == setting
    assert type(found.rows[0].settings["dropout"]) is type(setting)
    allowed = found.space["dropout"]
    assert (allowed.low, allowed.high, allowed.log) == space


@pytest.mark.parametrize("kind", ["another database", "a broken one"])
def test_what_is_no_database_of_optuna_says_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE shoes (size REAL)")
    if kind == "a broken one":
        path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4_000)
    said = "no table studies" if kind == "another database" else "cannot be read as a database"
    with pytest.raises(SpecError, match=said.replace("no table studies", "no table s")):
        read_foreign(path)
