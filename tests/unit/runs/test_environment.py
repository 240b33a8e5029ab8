"""What is recorded of where a run was computed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modiste.runs import environment


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_that_of_the_source_and_not_of_a_project_it_is_installed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    own, installed = tmp_path / "environment.py", tmp_path / "venv" / "environment.py"
    installed.parent.mkdir()
    for path in (own, installed):
        path.write_text("")
        monkeypatch.setattr(environment, "__file__", str(path))
        assert environment._git_commit() is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", own.name)
    git(tmp_path, "commit", "-q", "-m", "one")
    assert environment._git_commit() is None
    monkeypatch.setattr(environment, "__file__", str(own))
    assert environment._git_commit() == git(tmp_path, "rev-parse", "--short=12", "HEAD")
    own.write_text("# changed")
    assert str(environment._git_commit()).endswith("+")
