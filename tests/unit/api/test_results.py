"""What a notebook shows of runs, studies, answers and evaluations."""

from __future__ import annotations

import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modiste
from modiste import Evaluation, Predictions, Run, Study
from modiste.api.evaluation import LEDGER_KEYS
from modiste.api.progress import StudyBar
from modiste.errors import DataError, InstallError, SpecError, StoreError
from modiste.evaluate.metrics import losses
from modiste.interval import wilson
from modiste.runs.files import drop_file
from modiste.spec.study import StudySpec
from modiste.tables import to_frame
from tests import driving, small
from tests.report_fixture import make_study

HOSTILE = "<img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """Collects cells, and fails where tags do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def read(html: str) -> list[list[str]]:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert "img" not in reader.open
    return reader.rows


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two points of a grid and a final stage, finished."""
    made = driving.make(tmp_path_factory.mktemp("study") / "out", small.STUDY)
    assert driving.drive(made, num_workers=1, slice_seconds=60)
    return Study(made.folder)


@pytest.fixture(scope="module")
def run(study: Study) -> Run:
    return study.stages()[1].rows[0].runs[0]


def answers(names: tuple[str, ...] = ("cat", "dog")) -> Predictions:
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    return Predictions(logits, np.array([0, 1, 1]), np.array([4, 5, 9]), names)


# --- tables ---------------------------------------------------------------------------------------


def test_a_run_shows_both_epochs_and_gives_its_history(run: Run) -> None:
    rows = read(run._repr_html_())
    assert [row[0].split()[0] for row in rows] == ["epoch", "best", "last"]
    last = run.metrics["last"]["val"]
    low, high = wilson(last["correct"], last["total"])
    assert rows[2][1:3] == [f"{last['accuracy']:.4f}", f"{low:.4f} to {high:.4f}"]
    frame = run.to_frame()
    assert frame["epoch"].tolist() == [1, 2, 3, 4]
    assert frame["val_loss"].tolist() == [row["val_loss"] for row in run.history]


def test_a_run_that_is_fitted_in_one_go_shows_no_epochs(tmp_path: Path) -> None:
    knn = {"name": "knn", "model": {"family": "knn"}, "points": [{}]}
    made = driving.make(tmp_path / "out", small.study(stages=[knn]))
    assert driving.drive(made, num_workers=1, slice_seconds=60)
    rows = read(made.stages()[0].rows[0].runs[0]._repr_html_())
    assert [row[0] for row in rows[1:]] == ["best", "last"]


def test_a_study_shows_its_stages_and_gives_its_runs(study: Study) -> None:
    rows = read(study._repr_html_())
    assert [row[0] for row in rows] == ["stage", "grid", "final"]
    assert [row[2] for row in rows[1:]] == ["2 of 2", "1 of 1"]
    frame = study.to_frame()
    assert frame["stage"].tolist() == ["grid", "grid", "final"]
    assert frame["model.params.hidden"].tolist() == [(8,), (16,), frame["model.params.hidden"][2]]
    for fingerprint, accuracy in zip(frame["fingerprint"], frame["val_accuracy_last"], strict=True):
        found = study.find_run(fingerprint)
        assert found is not None
        assert accuracy == found.metrics["last"]["val"]["accuracy"]
    assert "Study(" in repr(study)


def test_a_study_shows_the_intervals_of_its_leaderboard(tmp_path: Path) -> None:
    stages = [
        {"name": "seeds", "grid": {"model.params.hidden": [[8], [16]]}, "repeats": 3},
        {"name": "again", "train": {"epochs": 4}, "points": [{"model.params.hidden": [6]}]},
    ]
    made = driving.make(tmp_path / "out", small.study(stages=stages))
    assert driving.drive(made, num_workers=1, slice_seconds=60)
    shown = {row[0]: row for row in read(made._repr_html_())}
    for line in made.table():
        if line["rank"] == 1:
            figures = f"{line['val_accuracy']:.4f}", f"{line['low']:.4f} to {line['high']:.4f}"
            assert tuple(shown[line["stage"]][3:]) == figures
    run = made.stage("seeds").ranked("last")[0].runs[0]
    drop_file(run.folder, "predictions-val.npz", "dropped: to save space")
    assert read(made._repr_html_())[1][4] == "–"


def test_the_seed_of_a_run_is_its_own_where_its_point_says_one(tmp_path: Path) -> None:
    spec = StudySpec.parse(
        {
            "name": "seeds",
            "data": {"num_val": 200},
            "model": {"family": "mlp"},
            "stages": [
                {"name": "points", "points": [{"seed": 5}], "repeats": 3},
                {"name": "grid", "grid": {"seed": [0, 1]}},
                {"name": "again", "confirm": {"top": 1, "seeds": 2}},
            ],
        }
    )
    made = make_study(tmp_path / "s", spec=spec, num_val=200)
    frame = made.to_frame()
    for fingerprint, seed in zip(frame["fingerprint"], frame["seed"], strict=True):
        found = made.find_run(fingerprint)
        assert found is not None
        assert seed == found.spec.seed
    assert frame["set.seed"][:5].tolist() == [5, 5, 5, 0, 1]
    assert len(set(frame["seed"][-2:])) == 2


def test_a_study_that_has_not_begun_is_shown_as_well(tmp_path: Path) -> None:
    made = driving.make(tmp_path / "out", small.STUDY)
    rows = read(made._repr_html_())
    assert [row[1:3] for row in rows[1:]] == [["–", "0 of 2"], ["waits for grid", "0 of 0"]]
    frame = made.to_frame()
    assert len(frame) == 0
    assert list(frame.columns)[:3] == ["stage", "row", "seed"]


def test_an_evaluation_is_a_mapping_a_table_and_a_frame(run: Run) -> None:
    found = modiste.evaluate(run.folder)
    assert isinstance(found, Evaluation)
    said_of_looks = {*LEDGER_KEYS, "stored"}
    assert set(found) == {"schema", "part", "num_images", "runs", "notes", *said_of_looks}
    assert len(found) == len(found.to_dict()) == 10
    frame = found.to_frame()
    assert frame["epoch"].tolist() == ["best", "last"]
    assert frame["accuracy"][1] == run.metrics["last"]["val"]["accuracy"]
    assert (frame["low"] <= frame["accuracy"]).all()
    rows = read(found._repr_html_())
    assert len(rows) == 3
    assert rows[2][3] == f"{frame['accuracy'][1]:.4f}"
    text = repr(found).splitlines()
    assert text[0] == "validation, 100 images"
    assert text[-2:] == found["notes"]


def test_answers_of_a_run_are_those_it_kept(run: Run) -> None:
    last = Predictions.of(run, "last")
    assert (len(last), last.part) == (100, "validation")
    assert last.is_right_N.sum() == run.metrics["last"]["val"]["correct"]
    evaluated = last.evaluate()["runs"][0]["given"]
    # The mean of the same hundred float64 numbers, added in another order at most.
    assert evaluated["loss"] == pytest.approx(run.metrics["last"]["val"]["loss"], rel=1e-12)
    summary = last.summary()
    assert summary.accuracy.value == evaluated["accuracy"]
    frame = last.to_frame()
    assert frame["is_right"].sum() == last.is_right_N.sum()
    assert frame["loss"].tolist() == losses(last.logits_NK, last.labels_N).tolist()
    assert frame["image_id"].tolist() == run.predictions["image_ids"].tolist()
    with pytest.raises(SpecError, match="expected best or last"):
        Predictions.of(run, "first")
    with pytest.raises(SpecError, match="expected a Run, such as"):
        Predictions.of(str(run.folder))  # type: ignore[arg-type]


def test_answers_show_each_class() -> None:
    rows = read(answers()._repr_html_())
    assert rows[1:] == [
        ["cat", "1", "1.0000", "0.5000", "–"],
        ["dog", "2", "0.5000", "1.0000", "cat"],
    ]
    assert "given, 3 images, accuracy 0.6667" in repr(answers())
    assert answers().probabilities_NK.sum(axis=1) == pytest.approx([1, 1, 1])


def test_votes_have_no_probabilities_and_no_loss() -> None:
    votes = Predictions(np.eye(2), np.arange(2), np.arange(2), ("a", "b"), are_probabilities=False)
    assert "loss" not in votes.to_frame().columns
    assert votes.evaluate()["runs"][0]["given"]["loss"] is None
    assert "–" in repr(votes.evaluate())
    for ask in (lambda: votes.probabilities_NK, votes.summary):
        with pytest.raises(DataError, match="votes or distances"):
            ask()


def test_answers_that_do_not_belong_together_are_refused() -> None:
    for count in (0, 2):
        with pytest.raises(DataError, match="one of each is needed for every image"):
            Predictions(np.zeros((count, 2)), np.zeros(0, int), np.zeros(0, int), ("a", "b"))


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        ([[1.0, 0.0]] * 2, [0, -1], r"labels_N: -1 is no class; .* 0 to 1"),
        ([[1.0, 0.0]] * 2, [0, 7], r"labels_N: 7 is no class"),
        ([[1.0, 0.0]] * 2, [0, 0.5], r"labels_N: 0\.5 is no class"),
        ([[1.0, 0.0]] * 2, [0, np.nan], r"labels_N: nan is no class"),
        ([[1.0, 0.0]] * 2, ["a", "b"], r"labels_N: values such as 'a'.*class_names\.index"),
        ([[1.0, 0.0]] * 2, [[0], [1]], r"labels_N: an array of shape \(2, 1\)"),
        ([[1.0, 0.0], [np.nan, 0.0]], [0, 1], "logits_NK: row 1 has NaN or infinity"),
        ([[1.0, 0.0], [np.inf, 0.0]], [0, 1], "logits_NK: row 1 has NaN or infinity"),
        ([[-np.inf, -np.inf], [1.0, 0.0]], [0, 1], "logits_NK: row 0 has NaN or infinity"),
        ([[1.0, 0.0, 0.0]] * 2, [0, 1], "3 scores for each image, and class_names has 2"),
        ([1.0, 0.0], [0, 1], r"logits_NK: an array of shape \(2,\)"),
        ([[1.0, 0.0], [1.0]], [0, 1], "logits_NK: rows of different lengths"),
        ([["x", "y"]] * 2, [0, 1], "expected numbers"),
    ],
)
def test_scores_and_labels_that_mean_nothing_are_refused(
    logits: Any, labels: Any, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        Predictions(logits, labels, [0, 1], ("a", "b"))  # type: ignore[arg-type]


def test_answers_take_lists_and_probabilities_of_0() -> None:
    given: Any = ([[0, -np.inf], [-np.inf, 0.0]], [0.0, 1.0], [4, 5], ["a", "b"])
    made = Predictions(*given)
    assert made.to_frame()["label"].tolist() == ["a", "b"]
    assert made.evaluate()["runs"][0]["given"]["loss"] == 0
    assert made.class_names == ("a", "b")


def test_probabilities_are_no_scores() -> None:
    shares = np.array([[0.75, 0.25], [0.5, 0.5]], np.float16)
    given: Any = ([0, 1], [0, 1], ["cat", "dog"])
    with pytest.raises(DataError, match=r"np\.log\(probabilities\)"):
        Predictions(shares, *given)
    answers = Predictions(np.log(shares), *given)
    np.testing.assert_allclose(answers.probabilities_NK, shares, atol=1e-3)
    assert Predictions(shares, *given, are_probabilities=False).is_right_N.tolist() == [True, False]


def test_a_run_without_answers_says_why(tmp_path: Path, run: Run) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    drop_file(tmp_path / "run", "predictions-val.npz", "dropped: to save space")
    kept = Run(tmp_path / "run")
    with pytest.raises(StoreError, match="was not kept"):
        Predictions.of(kept)
    assert read(kept._repr_html_())


# --- the bar of a study ---------------------------------------------------------------------------


def test_a_study_counts_its_runs(
    study: Study, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh, done = driving.make(tmp_path / "out", small.STUDY), study.stages()
    with StudyBar("tiny") as bar:
        bar.planned(fresh.stages())
        bar.planned(done)
        bar.finished(done[1], done[1].rows[0], run)
    accuracy = run.metrics["last"]["val"]["accuracy"]
    first, last = capsys.readouterr().err.splitlines()
    assert first == "tiny: 0 of 2 runs"
    assert last.startswith(f"tiny: 3 of 3 runs; last: final, {done[1].rows[0].label}: ")
    assert last.endswith(f"validation accuracy {accuracy:.4f}")
    with StudyBar("tiny") as bar:
        bar.note("a worker died")
    assert capsys.readouterr().err.splitlines() == ["tiny: 0 of 0 runs; a worker died"]


# --- names that somebody chose --------------------------------------------------------------------


def test_hostile_names_are_shown_and_not_run() -> None:
    shown = answers((HOSTILE, "b"))
    for html in (shown._repr_html_(), _evaluation(HOSTILE)._repr_html_()):
        assert "<img" not in html
        assert "&lt;img" in html
        read(html)
    assert shown.to_frame()["label"][0] == HOSTILE


def _evaluation(name: str) -> Evaluation:
    logits, ids = 2 * np.eye(2), np.arange(2)
    return Predictions(logits, ids, ids, ("a", "b"), name=name).evaluate()


# --- pandas ---------------------------------------------------------------------------------------


def test_what_frames_are_grouped_by_can_be_hashed() -> None:
    pytest.importorskip("pandas")
    rows = [{"hidden": [8, [4]], "model": {"family": "mlp"}}, {"hidden": None}]
    frame = to_frame(rows)
    assert frame["hidden"][0] == (8, (4,))
    assert frame["model"][0] == '{"family": "mlp"}'
    assert len(frame.groupby("hidden")) == len(frame.groupby("model")) == 1


def test_a_frame_without_pandas_says_what_to_install(
    run: Run, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for each in (run, study, answers(), answers().evaluate()):
        with pytest.raises(InstallError, match=r"pip install 'modiste\[notebook\]'"):
            each.to_frame()
