"""What a reader is told of looks at the test set, whatever was done to the ledger of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modiste.api.counting import tally_of
from modiste.api.evaluation import evaluate
from modiste.api.study import collect_results, look_at_test, run_study
from modiste.counts import UNKNOWN
from modiste.data.source import Source
from modiste.final import look as final_look
from modiste.runs.chain import LOOK, RESULT
from modiste.runs.ledger import Ledger
from modiste.runs.run import Run
from modiste.search.study import Study
from tests import small
from tests.command_line import Cli
from tests.synthetic import write_idx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("data") / "idx")


@pytest.fixture(scope="module", name="finished")
def _finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study, finished; nobody looked at its test set."""
    folder = tmp_path_factory.mktemp("study")
    file = small.write_study(folder / "tiny.yaml", small.STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODISTE_LEDGER", str(folder / "ledger"))
        run_study(file, profile="full", data_folder=data, out=folder / "out")
    return folder / "out"


@pytest.fixture(name="study")
def _study(finished: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "study"))


@pytest.fixture(scope="module", name="once")
def _once(finished: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the study after one look, its collected results, and the ledger."""
    place = tmp_path_factory.mktemp("looked")
    shutil.copytree(finished, place / "study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODISTE_LEDGER", str(place / "ledger"))
        evaluate(place / "study", final=True, reason="the paper, table 1", data_folder=data)
        collect_results(Study(place / "study"), place / "results")
    return place


@pytest.fixture(name="place")
def _place(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to be changed: its ledger is the user's own."""
    place = Path(shutil.copytree(once, tmp_path / "place"))
    monkeypatch.setenv("MODISTE_LEDGER", str(place / "ledger"))
    return place


@pytest.fixture(name="look")
def _look(data: Path, cli: Cli) -> Callable[..., dict[str, Any]]:
    """A look at the test set; what `evaluate --json` says of it."""

    def look(place: Path, *words: str, reason: str = "to see") -> dict[str, Any]:
        answer = cli(
            *("evaluate", place, "--final", "--reason", reason, "--data", data, "--json", *words)
        )
        assert answer.status == 0, answer.err
        return answer.json

    return look


def ledger_of(study: Path) -> Ledger:
    """The user's own."""
    return Ledger(Study(study).data_digest)


def told(study: Path, cli: Cli) -> tuple[str, str, dict[str, Any]]:
    """Report and card as they lie there, with every run of blanks made one; `evaluate --json`."""
    texts = [
        re.sub(r"\s+", " ", (study / name).read_text("utf-8"))
        for name in ("report.md", "models/final/README.md")
    ]
    return texts[0], texts[1], cli("evaluate", study, "--json").json


def assert_unknown(study: Path, cli: Cli) -> None:
    report, card, answer = told(study, cli)
    assert "looks at it so far: unknown" in report
    assert "Test looks unknown: the ledger does not add up (" in report
    assert "Looks at this test set so far" not in report + card
    assert "| test looks | Test looks unknown: the ledger does not add up (" in card
    assert (answer["looks"], answer["comparisons"]) == (UNKNOWN, UNKNOWN)
    config = json.loads((study / "models" / "final" / "config.json").read_bytes())
    manifest = json.loads((study / "models" / "final" / "manifest.json").read_bytes())
    assert config["test"]["looks"] == manifest["ledger"]["looks"] == UNKNOWN
    # What that look measured is known all the same.
    assert "| test accuracy | 0." in card or "| test accuracy | 1." in card
    assert len(answer["stored"]) >= 1


def assert_known(study: Path, cli: Cli, looks: int) -> None:
    report, card, answer = told(study, cli)
    assert f"looks at it so far: {looks}" in report
    assert "nknown: the ledger" not in report + card
    assert f"| test looks | Looks at this test set so far, by its ledger: {looks}." in card
    assert answer["looks"] == looks


def test_the_same_look_again_shows_what_was_stored_and_says_so(
    place: Path, data: Path, cli: Cli
) -> None:
    words = ("evaluate", place / "study", "--final", "--data", data, "--reason")
    before = ledger_of(place / "study").count()
    other = cli(*words, "another paper")
    assert other.status == 0, other.err
    assert "what was stored then is shown again, and nothing was opened or counted." in other.out
    assert "Reason: the paper, table 1" in other.out
    assert "The reason that was given now stands nowhere." in other.out
    same = cli(*words, "the paper, table 1")
    assert "is shown again" in same.out
    assert "stands nowhere" not in same.out
    assert ledger_of(place / "study").count() == before


def test_two_at_the_same_time_look_once(
    study: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "ledger"))
    both_are_there = threading.Barrier(2, timeout=60)
    prepared = final_look._models

    def together(run: Run, source: Source) -> Any:
        """The last step before the seal; both are past the question whether it was done."""
        found = prepared(run, source)
        both_are_there.wait()
        return found

    monkeypatch.setattr(final_look, "_models", together)
    with ThreadPoolExecutor() as pool:
        looks = [pool.submit(look_at_test, Study(study), "now", None, data) for _ in range(2)]
        folders = {each.result() for each in looks}
    assert len(folders) == 1
    assert [entry["kind"] for entry in ledger_of(study).entries()] == [LOOK, RESULT]


# --- what somebody could do to it -----------------------------------------------------------------


def _name(change: Callable[[Path], None]) -> str:
    return change.__name__


def edit_last(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().replace(b'"total": 200', b'"total": 201'))


def edit_reason(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().replace(b"the paper", b"the diary"))


def shorten(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])


def empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


def delete(ledger: Path) -> None:
    ledger.unlink()


def delete_all(ledger: Path) -> None:
    shutil.rmtree(ledger.parent)


# All that can be done is in tests/unit/runs/test_ledger.py; these are those of each kind.
@pytest.mark.parametrize("change", [edit_last, shorten, empty, delete, delete_all], ids=_name)
def test_a_changed_ledger_reads_unknown_and_does_so_after_further_looks(
    change: Callable[[Path], None], place: Path, look: Callable[..., Any], cli: Cli
) -> None:
    study = place / "study"
    assert_known(study, cli, 1)
    change(ledger_of(study).path)
    # The same list opens nothing, and what was stored does not stand in for what is not known.
    again = look(study, reason="again")
    assert (again["looks"], again["reason"]) == (UNKNOWN, "the paper, table 1")
    assert_unknown(study, cli)
    further = look(study, "--stages", "grid")
    assert further["looks"] == UNKNOWN
    assert_unknown(study, cli)
    assert json.loads(Path(further["file"]).read_bytes())["looks"] == UNKNOWN
    # Not for this study alone, which holds heads of what was there: for everybody's.
    shutil.rmtree(study / "final")
    shutil.rmtree(study / "models")
    answer = cli("evaluate", study, "--json").json
    assert (answer["looks"], answer["stored"]) == (UNKNOWN, [])


@pytest.mark.parametrize("change", [edit_reason, shorten, delete_all], ids=_name)
def test_the_ledger_of_collected_results_is_held_to_the_same(
    change: Callable[[Path], None], place: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODISTE_LEDGER", str(place / "another machine"))
    assert_known(place / "results", cli, 1)
    change(next((place / "results" / "ledger").glob("*.jsonl")))
    assert cli("report", place / "results").status == 0
    assert_unknown(place / "results", cli)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_look_that_was_killed_while_it_was_stored_spoils_nothing(
    is_whole: bool, place: Path, look: Callable[..., dict[str, Any]], cli: Cli
) -> None:
    study = place / "study"
    (folder,) = (study / "final").iterdir()
    before = json.loads((folder / "look.json").read_bytes())
    left = folder.rename(folder.with_name(f".{folder.name}.k1ll3d"))
    if not is_whole:
        (left / "manifest.json").unlink()
    assert cli("report", study).status == 0
    assert cli("evaluate", study, "--json").json["stored"] == []
    answer = look(study)
    # What was written whole is put in its place; else the images are looked at, and that counts.
    assert answer["looks"] == (1 if is_whole else 2)
    after = json.loads((folder / "look.json").read_bytes())
    assert (after == before) is is_whole
    assert [run["last"] for run in after["runs"]] == [run["last"] for run in before["runs"]]


def test_a_study_that_never_looked_goes_on_missing_the_ledger_its_cards_speak_of(
    study: Path, cli: Cli
) -> None:
    ledger = ledger_of(study)
    head = ledger.append("look", {"reason": "another study's", "runs": []})
    assert cli("report", study).status == 0
    assert_known(study, cli, 1)
    shutil.rmtree(ledger.path.parent)
    for _ in range(2):  # each time the cards are written again
        assert cli("report", study).status == 0
        report, card, answer = told(study, cli)
        assert "looks at it so far: unknown" in report
        assert "| test looks | Test looks unknown: the ledger does not add up (results" in card
        assert answer["looks"] == UNKNOWN
        config = json.loads((study / "models" / "final" / "config.json").read_bytes())
        assert config["test"]["ledger_lacks"] == [head]


# --- where head and count stand -------------------------------------------------------------------


def test_head_and_count_stand_in_whatever_a_look_left(
    place: Path, finished: Path, cli: Cli
) -> None:
    study = place / "study"
    said = ledger_of(study).tally()
    assert (said.looks, said.num_entries) == (1, 2)
    (stored,) = (study / "final").iterdir()
    model = study / "models" / "final"
    for name in ("look.json", "manifest.json"):
        value = json.loads((stored / name).read_bytes())
        assert (value if name == "look.json" else value["ledger"])["ledger_head"] == said.head
    assert json.loads((model / "config.json").read_bytes())["test"] == {
        **said.to_dict(),
        "measured": json.loads((model / "config.json").read_bytes())["test"]["measured"],
    }
    assert json.loads((model / "manifest.json").read_bytes())["ledger"] == said.to_dict()
    report, card, evaluated = told(study, cli)
    assert said.head in report
    assert f"| ledger of looks | entries: 2; head `{said.head}` |" in card
    assert (evaluated["ledger_head"], evaluated["ledger_entries"]) == (said.head, 2)
    assert tally_of(study) == tally_of(model) == said
    # Runs are written once.
    for path in (path for path in (study / "runs").rglob("*") if path.is_file()):
        assert path.read_bytes() == (finished / path.relative_to(study)).read_bytes()


def test_a_model_that_was_taken_away_says_what_was_known_when_it_was_written(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = place / "study"
    said = ledger_of(study).tally()
    taken = Path(shutil.copytree(study / "models" / "final", tmp_path / "a" / "b" / "taken"))
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "another machine"))
    assert tally_of(taken) == said


@pytest.mark.parametrize("what", ["models/final", "runs"])
def test_report_and_card_are_brought_up_to_date_whichever_way_the_look_was_asked_for(
    what: str, study: Path, look: Callable[..., Any]
) -> None:
    (run,) = Study(study).stage("final").rows[0].runs
    card = study / "models" / "final" / "README.md"
    assert "the test set was not opened for this model" in card.read_text("utf-8")
    answer = look(run.folder if what == "runs" else study / what, reason="one alone")
    accuracy = answer["runs"][0]["last"]["accuracy"]
    assert f"| test accuracy | {accuracy:.4f} (200 images" in card.read_text("utf-8")
    report = (study / "report.md").read_text("utf-8")
    assert "one alone" in report
    assert "opened once to measure models of this study" in report
    # It has its place in the tables, as if the study had been asked.
    assert "modiste evaluate . --stages final" in report
    assert re.search(rf"\| final +\|.*\| {accuracy:.4f} +\|", report)


# --- results that go elsewhere --------------------------------------------------------------------


def test_a_stranger_reads_stored_looks_by_the_reports_own_commands_and_opens_nothing(
    place: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(place / "study")
    monkeypatch.setenv("MODISTE_LEDGER", str(place / "a stranger's"))
    monkeypatch.chdir(place / "results")
    (look,) = (json.loads(path.read_bytes()) for path in Path().glob("final/*/look.json"))
    report = Path("report.md").read_text("utf-8")
    commands = set(re.findall(r"^modiste evaluate .*$", report, re.MULTILINE))
    assert commands == {"modiste evaluate . --stages final"}
    answer = cli("evaluate", ".", "--stages", "final")
    assert answer.status == 0, answer.err
    assert "look.json, opened 20" in answer.out
    assert "test, 200 images" in answer.out
    assert "Looks at this test set so far, by its ledger: 1." in answer.out
    (stored,) = cli("evaluate", ".", "--stages", "final", "--json").json["stored"]
    assert (stored["reason"], stored["looks"]) == ("the paper, table 1", 1)
    for epoch in ("best", "last"):
        told_of, kept = stored["runs"][0][epoch], look["runs"][0][epoch]
        assert {key: told_of[key] for key in kept} == kept
    assert f"{look['runs'][0]['last']['accuracy']:.4f}" in answer.out
    assert not Path(os.environ["MODISTE_LEDGER"]).exists()


def test_a_look_by_a_run_goes_on_from_the_ledger_that_its_study_came_with(
    place: Path, look: Callable[..., Any], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = place / "study"
    (place / "ledger").rename(study / "ledger")
    monkeypatch.setenv("MODISTE_LEDGER", str(place / "another machine"))
    run = Study(study).winner(Study(study).stage("grid"))
    assert run is not None
    found = look(run.runs[0].folder, reason="on the second machine")
    assert found["looks"] == 2
    brought = Ledger(Study(study).data_digest, folder=study / "ledger")
    assert brought.chain() == ledger_of(study).chain()
    assert_known(study, cli, 2)


def test_a_comparison_with_test_images_is_told_of_by_the_study_it_was_made_for(
    place: Path, data: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = place / "results"
    monkeypatch.setenv("MODISTE_LEDGER", str(place / "another machine"))
    audited = cli(
        *("audit", "idx", "--data", data, "--study", results, "--json"),
        *("--out", place / "audit", "--with-test", "--reason", "are there duplicates?"),
    )
    assert audited.status == 0, audited.err
    openings = audited.json["test"]["openings"]
    assert [opening["kind"] for opening in openings] == ["look", "comparison"]
    brought = Ledger(Study(results).data_digest, folder=results / "ledger")
    assert brought.chain() == ledger_of(results).chain()
    kinds = [(entry["kind"], entry.get("of")) for entry in brought.chain().entries]
    assert kinds[2:] == [("comparison", None), ("result", "comparison")]
    # The audit wrote the study's report again, before anybody asked for it.
    report, card, answer = told(results, cli)
    assert "opened once to measure models of this study" in report
    assert "compared with other images: once, no accuracy" in report
    assert "by its ledger: 1. Comparisons with other images, which give no accuracy: 1." in card
    assert (answer["looks"], answer["comparisons"]) == (1, 1)


def test_a_model_is_brought_up_to_date_where_the_weights_of_its_run_are_gone(
    place: Path, cli: Cli
) -> None:
    results = place / "results"
    model = results / "models" / "final"
    weights = (model / "model.safetensors").read_bytes()
    Ledger(Study(results).data_digest, folder=results / "ledger").append("look", {"reason": "one"})
    assert cli("report", results).status == 0
    assert_known(results, cli, 2)
    assert (model / "model.safetensors").read_bytes() == weights
    drawn = place / "study" / "figures" / "first-images.png"
    assert cli("predict", model, drawn).status == 0
