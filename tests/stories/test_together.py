"""`modiste evaluate ... --together`: saved runs as one model, from the command line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from modiste.report import write as report
from modiste.runs import files
from modiste.search.collect import collect
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from tests.command_line import Cli
from tests.report_fixture import make_look, make_study

SPEC = {
    "name": "together",
    "data": {"num_val": 200},
    "model": {"family": "mlp"},
    "stages": [
        {"name": "grid", "grid": {"model.params.hidden": [[16], [64]]}},
        {"name": "mlp", "final": True, "model": {"family": "mlp"}, "repeats": 3},
        {"name": "cnn", "final": True, "model": {"family": "cnn"}},
        {"name": "split", "data": {"num_val": 200, "split_seed": 3}},
        {"name": "plain", "points": [{"label": "svm", "model": {"family": "svm"}}]},
    ],
}


@pytest.fixture(scope="module", name="original")
def _original(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Five stages of invented runs; those of `mlp` were shown the test set."""
    folder = tmp_path_factory.mktemp("together")
    study = make_study(folder, spec=StudySpec.parse(SPEC), num_val=200)
    look = make_look(study, ["mlp"], num_test=300)
    content = {p.name: p.read_bytes() for p in look.iterdir() if p.name != "manifest.json"}
    shutil.rmtree(look)
    files.write_folder(look, content)
    return study


@pytest.fixture(name="study")
def _study(original: Study, tmp_path: Path) -> Study:
    """A copy, to be changed."""
    return Study(Path(shutil.copytree(original.folder, tmp_path / "study")))


def folders(study: Study, stage: str) -> list[Path]:
    return [run.folder for row in study.stage(stage).rows for run in row.runs]


def test_runs_are_averaged_and_set_beside_the_best_of_them(study: Study, cli: Cli) -> None:
    places = [*folders(study, "mlp"), *folders(study, "cnn")]
    answer = cli("evaluate", *places, "--together", "--json")
    assert answer.status == 0, answer.err
    assert len(answer.json["members"]) == 4
    part = answer.json["parts"]["validation"]
    runs = [run for stage in ("mlp", "cnn") for run in study.stage(stage).rows[0].runs]
    for epoch in ("best", "last"):
        logits = [run.predictions[f"logits_{epoch}_NK"].astype(float) for run in runs]
        labels = runs[0].predictions["labels"]
        shares = np.mean([softmax(each, axis=1) for each in logits], axis=0)
        right = shares.argmax(axis=1) == labels
        ours = part[epoch]["together"]
        assert ours["accuracy"]["value"] == pytest.approx(right.mean())
        assert ours["loss"]["value"] == pytest.approx(log_loss(labels, shares))
        low, high = ours["loss"]["interval"]
        assert low < ours["loss"]["value"] < high
        best = max(run.metrics[epoch]["val"]["accuracy"] for run in runs)
        assert part[epoch]["best_single"]["accuracy"]["value"] == pytest.approx(best)
        gain = part[epoch]["adds"]["to_the_best_single"]["accuracy"]
        assert gain["difference"] == pytest.approx(right.mean() - best)
        assert gain["interval"][0] < gain["difference"] < gain["interval"][1]
    # One of the four was never shown the test set.
    assert "test" not in answer.json["parts"]
    assert "3 of 4 runs were shown the test set: nothing is said of it." in answer.json["notes"]


def test_a_stored_look_gives_test_figures_and_nothing_is_opened(study: Study, cli: Cli) -> None:
    answer = cli("evaluate", study.folder, "--together", "--stages", "mlp")
    assert answer.status == 0, answer.err
    assert "3 runs together, by the mean of their probabilities" in answer.out
    for said in ("validation, 200 images", "test, 300 images", "best single: mlp, seed ", "Brier"):
        assert said in answer.out
    assert answer.out.count("Added to the best single one, last epoch: ") == 2
    assert "nothing was opened" in answer.out
    assert not list(Path(os.environ["MODISTE_LEDGER"]).glob("*"))


def test_it_says_what_the_report_says(study: Study, cli: Cli) -> None:
    report.write(study)
    text = (study.folder / "report.md").read_text()
    found = cli("evaluate", study.folder, "--together", "--stages", "mlp,cnn", "--json").json
    ours = found["parts"]["validation"]["last"]["together"]
    (line,) = [
        line for line in text.splitlines() if line.startswith("| all 2 final models, 4 runs")
    ]
    for key in ("accuracy", "loss", "brier", "calibration_error"):
        low, high = ours[key]["interval"]
        assert f"{ours[key]['value']:.4f} ({low:.4f}–{high:.4f})" in line


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Whatever is no list and no object in a JSON value, by its place."""
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from leaves(one, f"{name}/{key}")
    else:
        yield name, value


def test_collected_runs_of_final_stages_will_do_and_others_say_what_was_not_kept(
    study: Study, tmp_path: Path, cli: Cli
) -> None:
    collect(study, tmp_path / "small")
    kept = cli("evaluate", tmp_path / "small", "--together", "--stages", "mlp", "--json")
    whole = cli("evaluate", study.folder, "--together", "--stages", "mlp", "--json")
    assert kept.status == 0, kept.err
    said, wanted = kept.json, whole.json
    assert set(said["parts"]) == {"validation", "test"}
    # Logits of the epoch that does not count are kept in 16 bits, each to one part in 2,048 and
    # with the same class in each row.
    best, wanted_best = (
        dict(leaves([part.pop("best") for part in each["parts"].values()]))
        for each in (said, wanted)
    )
    assert said == wanted
    assert best.keys() == wanted_best.keys()
    for name, value in best.items():
        other = wanted_best[name]
        is_moved = isinstance(other, float) and "/accuracy/" not in name
        assert value == (pytest.approx(other, rel=1e-3, abs=1e-4) if is_moved else other), name
    answer = cli("evaluate", *folders(Study(tmp_path / "small"), "grid"), "--together")
    assert answer.status == 2
    assert "its logits were not kept, only its answers" in answer.err
    assert str(tmp_path / "small" / "runs") in answer.err


def test_where_only_stored_looks_are_left_the_command_of_the_report_still_answers(
    study: Study, tmp_path: Path, cli: Cli
) -> None:
    collect(study, tmp_path / "light", light=["mlp"])
    light = Study(tmp_path / "light")
    report.write(light)
    words = "modiste evaluate . --together --stages mlp"
    assert words in (light.folder / "report.md").read_text("utf-8")
    answer = cli("evaluate", light.folder, *words.split()[3:], "--json")
    assert answer.status == 0, answer.err
    whole = cli("evaluate", study.folder, *words.split()[3:], "--json")
    (part,) = answer.json["parts"]
    assert part == "test"
    # The other epoch's logits are kept in 16 bits.
    assert answer.json["parts"]["test"]["last"] == whole.json["parts"]["test"]["last"]
    assert (
        "0 of 3 runs kept their validation logits: nothing is said of validation images."
        in answer.json["notes"]
    )


def test_changed_answers_are_noticed(study: Study, cli: Cli) -> None:
    path = next((study.folder / "final").glob("*/predictions-*.npz"))
    path.write_bytes(path.read_bytes()[:-1])
    answer = cli("evaluate", study.folder, "--together", "--stages", "mlp")
    assert answer.status == 2
    assert f"{path.name}: " in answer.err
    assert "not what was written" in answer.err


def test_what_cannot_be_averaged_is_refused_with_the_remedy(study: Study, cli: Cli) -> None:
    one, two, _ = folders(study, "mlp")
    (svm,) = folders(study, "plain")
    (other,) = folders(study, "split")
    for words, said in (
        ([one, "--together"], "only one was named"),
        ([one, one, "--together"], "is named twice"),
        ([study.folder, one, "--together"], "is named twice"),
        ([one, svm, "--together"], "the scores of 'svm' are no probabilities"),
        ([one, study.folder / "nowhere", "--together"], "nowhere"),
        ([one, two], "2 models were named. Name one, or add --together"),
        ([one, two, "--together", "--final"], "--together opens nothing"),
        ([one, two, "--together", "--reason", "why not"], "--together opens nothing"),
    ):
        answer = cli("evaluate", *words)
        assert answer.status == 2, words
        assert said in answer.err, words
        assert "Traceback" not in answer.err
    # The invented runs of the other split answered the same ids; then labels must differ.
    run = Study(study.folder).stage("split").rows[0].runs[0]
    arrays = dict(run.predictions)
    arrays["image_ids"] = arrays["image_ids"] + 1
    content = {
        name: files.read_checked(run.folder, name)
        for name in files.read_json(run.folder / "manifest.json")["files"]
    }
    shutil.rmtree(run.folder)
    files.write_folder(run.folder, {**content, "predictions-val.npz": files.to_npz(arrays)})
    answer = cli("evaluate", one, other, "--together")
    assert answer.status == 2
    assert f"{other}: answered other images than {one}" in answer.err
