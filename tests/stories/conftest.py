"""The command line in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modiste.cli.main import run
from tests.command_line import Answer, Cli, status_of


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """The command `modiste` in this process."""

    def call(*words: str | Path) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["modiste", *map(str, words)])
        status = status_of(run)
        return Answer(status, *capfd.readouterr())

    return call
