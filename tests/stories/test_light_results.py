"""Results whose final models were left out are a study that can be read and goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modiste.api.study import run_study
from tests import small
from tests.command_line import Cli
from tests.synthetic import write_idx

pytestmark = pytest.mark.slow


def test_light_results_are_read_and_go_on(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "ledger"))
    data = write_idx(tmp_path / "idx")
    file = small.write_study(tmp_path / "tiny.yaml", small.STUDY)
    run_study(file, profile="full", data_folder=data, out=tmp_path / "study")
    light = cli("collect", tmp_path / "study", "--to", tmp_path / "results", "--light", "final")
    assert light.status == 0, light.err
    assert not (tmp_path / "results" / "models").exists()
    board = [
        cli("leaderboard", tmp_path / folder, "--stage", "final", "--format", "csv")
        for folder in ("study", "results")
    ]
    assert board[0].status == 0, board[0].err
    assert board[0].out == board[1].out

    look = cli("evaluate", tmp_path / "results", "--final", "--reason", "to see", "--data", data)
    assert look.status == 2
    assert "not kept in the collected results" in look.err

    # Going on from there trains what has no model, and nothing else.
    elsewhere = Path(shutil.copytree(tmp_path / "results", tmp_path / "elsewhere"))
    before = {path: path.read_bytes() for path in elsewhere.glob("runs/*/*")}
    study, is_whole = run_study(file, profile="full", data_folder=data, out=elsewhere)
    assert is_whole
    final = study.stage("final").rows[0].runs[0]
    after = {path: path.read_bytes() for path in elsewhere.glob("runs/*/*")}
    assert {path for path in after if after[path] != before.get(path)} == {
        final.folder / "manifest.json",
        final.folder / "model.safetensors",
    }
    shown = cli("show", elsewhere / "models" / "final")
    assert shown.status == 0, shown.err
    again = cli("leaderboard", elsewhere, "--stage", "final", "--format", "csv")
    assert again.out == board[0].out


def test_a_stage_that_is_none_is_said(tmp_path: Path, cli: Cli) -> None:
    data = write_idx(tmp_path / "idx")
    file = small.write_study(tmp_path / "tiny.yaml", small.STUDY)
    run_study(file, profile="full", data_folder=data, out=tmp_path / "study")
    for word, said in [("finl", "no stage is named 'finl'"), (",", "expected names")]:
        answer = cli("collect", tmp_path / "study", "--to", tmp_path / "results", "--light", word)
        assert (answer.status, said in answer.err) == (2, True), answer.err
    assert not (tmp_path / "results").exists()
