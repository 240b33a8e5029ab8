"""The command line in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modiste.cli.main import run
from tests.command_line import Answer, Cli


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """The command `modiste` in this process."""

    def call(*words: str | Path) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["modiste", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            run()
        out, err = capfd.readouterr()
        code = end.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), out, err)

    return call
