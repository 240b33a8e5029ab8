"""Final models that a study exports by itself: once, whole, and never in the way of the study."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modiste
from modiste.api import finals
from modiste.api.study import run_study
from modiste.artifact import describe, extra
from modiste.artifact.exports import exports
from modiste.artifact.folder import open_folder
from modiste.errors import DataError
from modiste.export import certificate, exported
from modiste.runs.files import read_json, write_json
from modiste.search.study import Study
from tests import small
from tests.command_line import new_place
from tests.driving import Watched
from tests.own_images import write_classes

STUDY: dict[str, Any] = {
    "name": "pets",
    "data": {"name": "folder", "path": "pets", "test_share": 0.2, "num_val": 9},
    "train": {"epochs": 1, "batch_size": 16},
    "stages": [{"name": "last", "final": True, "export": True, "model": {"family": "mlp"}}],
}
MODEL, EXPORT = (Path("out", kind, "last") for kind in ("models", "exported"))


@pytest.fixture(autouse=True)
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of one's own beside a study of it, and exports that measure no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(certificate, "_LEAST_SECONDS", 0.0)
    small.write_study(Path("pets.yaml"), STUDY)
    return write_classes(tmp_path / "pets", 15)


def run(out: str = "out", **given: Any) -> list[str]:
    """What a study says, which ends whatever becomes of its exports."""
    notes = Watched()
    study, is_finished = run_study("pets.yaml", out=out, num_workers="here", watcher=notes, **given)
    assert is_finished
    assert (study.folder / "report.html").is_file()
    assert (study.folder / "models" / "last" / "README.md").is_file()
    assert not (study.folder / "work" / "exported").exists()
    return [note for note in notes.notes if "modiste-test.json" not in note]


def digest() -> str:
    return open_folder(EXPORT).digest


def test_a_final_model_is_exported_with_its_proof_and_once() -> None:
    (said,) = run()
    words = "PyTorch and onnxruntime agree on all 9 validation images"
    assert said == f"{EXPORT}: exported, digest {digest()[:16]}; {words}."
    assert exports(Path("out")) == {MODEL: EXPORT}
    found = read_json(EXPORT / "certificate.json")
    assert (found["parity"]["images"], found["parity"]["flips"]) == (9, 0)
    assert found["fingerprint"] == read_json(MODEL / "config.json")["fingerprint"]
    modiste.verify_export(EXPORT)
    text = Path("out/report.md").read_text("utf-8")
    assert "in the folder of this report: `models/last`; as ONNX" in text
    assert "without torch: `exported/last`." in text
    assert "modiste predict exported/last IMAGE" in text
    before = digest()
    assert run() == []
    assert digest() == before


def test_nothing_is_exported_that_does_not_ask_for_it(tmp_path: Path) -> None:
    stage = {**STUDY["stages"][0], "export": False}
    small.write_study(Path("pets.yaml"), {**STUDY, "stages": [stage]})
    answer = new_place(tmp_path).ask("study", "pets.yaml", "--out", "out", "--workers", "here")
    assert answer.status == 0, answer.err
    assert answer.err.splitlines()[-3:] == [
        "  modiste evaluate out --final --reason <WHY>",
        f"  modiste export {MODEL} --to DIR",
        "  modiste serve DIR",
    ]
    text = Path("out/report.md").read_text("utf-8")
    assert "in the folder of this report: `models/last`." in text
    assert "modiste export models/last --to exported/last" in text
    assert run() == []
    assert not EXPORT.parent.exists()
    assert exports(Path("out")) == {MODEL: None}


def test_the_key_is_no_part_of_what_a_run_is_and_older_folders_go_on() -> None:
    stage = {**STUDY["stages"][0], "export": False}
    small.write_study(Path("pets.yaml"), {**STUDY, "stages": [stage]})
    run()
    written = read_json(Path("out/study.json"))
    del written["spec"]["stages"][0]["export"]  # as it was before there was the key
    write_json(Path("out/study.json"), written)
    before = sorted(Path("out/runs").iterdir())
    assert not Study("out").spec.stages[0].is_exported
    small.write_study(Path("pets.yaml"), STUDY)
    assert len(run()) == 1
    assert sorted(Path("out/runs").iterdir()) == before


def test_an_export_of_another_model_and_a_damaged_one_are_replaced() -> None:
    run()
    run("other", seed=1)
    own = read_json(MODEL / "config.json")["fingerprint"]
    shutil.rmtree(EXPORT)
    shutil.copytree("other/exported/last", EXPORT)
    assert exports(Path("out")) == {MODEL: None}
    assert len(run()) == 1
    assert read_json(EXPORT / "config.json")["fingerprint"] == own
    (EXPORT / "model.onnx").write_bytes(b"cut")
    assert len(run()) == 1
    modiste.verify_export(EXPORT)


def test_images_that_cannot_be_seen_from_here_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    study = Path("out").resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"out: its images lie at .*begun.* --data"):
        modiste.evaluate(study, final=True, reason="seen from elsewhere")
    assert not (study / "final").exists()


def test_something_else_of_that_name_is_left_alone() -> None:
    run()
    shutil.rmtree(EXPORT)
    EXPORT.mkdir()
    (EXPORT / "notes.txt").write_text("mine", encoding="utf-8")
    said = run()
    assert said == [
        f"{MODEL} is not exported. {EXPORT}: there is something else of that name. Move it away."
    ]
    assert (EXPORT / "notes.txt").read_text("utf-8") == "mine"
    assert "`exported/last`" not in Path("out/report.md").read_text("utf-8")


@pytest.mark.parametrize("function", ["_put", "export_model"])
def test_whoever_is_killed_half_way_leaves_a_whole_export_or_none(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = getattr(finals, function)

    def killed(*given: Any, **more: Any) -> None:
        whole(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finals, function, killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nobody tidies up after a kill
        with pytest.raises(KeyboardInterrupt):
            run_study("pets.yaml", out="out", num_workers="here", watcher=Watched())
    assert EXPORT.exists() == (function == "_put")
    assert len(run()) == (function == "export_model")
    modiste.verify_export(EXPORT)


def test_without_the_packages_it_says_how_to_come_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(extra.PACKAGES, "export", ("onnx_that_nobody_has",))
        (said,) = run()
    assert "needs onnx_that_nobody_has" in said
    assert "pip install 'modiste[export]'" in said
    assert said.endswith(f"run the study again, or:\n  modiste export {MODEL} --to {EXPORT}")
    assert not EXPORT.exists()
    # A look at the test set is no time to begin with it.
    modiste.evaluate("out", final=True, reason="is it good?")
    assert not EXPORT.exists()
    assert len(run()) == 1
    assert exports(Path("out")) == {MODEL: EXPORT}


def test_a_model_that_answers_otherwise_is_not_exported_and_the_study_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def changed(*given: Any) -> Any:
        model = describe.onnx_of(*given)
        *_, bias = (part for part in model.graph.initializer if part.name.endswith(".bias"))
        values = np.frombuffer(bias.raw_data, np.float32) + 9 * np.eye(3, dtype=np.float32)[0]
        bias.raw_data = values.astype(np.float32).tobytes()
        return model

    with monkeypatch.context() as patch:
        patch.setattr(exported, "onnx_of", changed)
        (said,) = run()
    assert said.startswith(f"{MODEL} is not exported.")
    assert "of 9 validation images otherwise" in said
    assert not EXPORT.exists()
    assert len(run()) == 1


def test_after_a_look_the_card_of_the_export_says_what_it_found() -> None:
    run()
    before = digest()
    assert read_json(EXPORT / "config.json")["test"]["measured"] is None
    found = modiste.evaluate("out", final=True, reason="is it good enough?").to_dict()
    assert found["notes"][-1].startswith(f"{EXPORT}: exported, digest {digest()[:16]};")
    measured = read_json(EXPORT / "config.json")["test"]["measured"]
    assert measured["accuracy"] == found["runs"][0]["last"]["accuracy"]
    assert "is it good enough?" in (EXPORT / "README.md").read_text("utf-8")
    # The report, written anew, finds the export as it is now.
    assert "without torch: `exported/last`." in Path("out/report.md").read_text("utf-8")
    after = digest()
    assert after != before
    again = modiste.evaluate("out", final=True, reason="is it good enough?").to_dict()
    assert not any("exported" in note for note in again["notes"])
    assert run() == []
    assert digest() == after


def test_the_command_ends_with_where_the_export_lies(tmp_path: Path) -> None:
    words = ("study", "pets.yaml", "--out", "out", "--workers", "here")
    answer = new_place(tmp_path).ask(*words)
    assert answer.status == 0, answer.err
    assert answer.err.splitlines()[-3:] == [
        "Next, when nothing is left to choose:",
        "  modiste evaluate out --final --reason <WHY>",
        f"  modiste serve {EXPORT}",
    ]
    answer = new_place(tmp_path).ask(*words, "--json")
    assert answer.json["exported"] == [str(EXPORT)]
