"""The command `modiste` as a person uses it: words in, status and words out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modiste.cli.main import run

# A shell without job control, or one that started the tests in the background, has its children
# ignore Ctrl-C for good; a person's shell does not.
COMMAND = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from modiste.cli.main import run
run()
"""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """All of stdout, which must be one JSON object."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


Cli = Callable[..., Answer]


@dataclass(frozen=True)
class Place:
    """A folder of its own, with its own ledger and caches, and a `modiste` that sees no other."""

    root: Path

    def variables(self) -> dict[str, str]:
        hidden = ("MODISTE_DATA", "MODISTE_DEBUG")
        return {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "MODISTE_LEDGER": str(self.root / "ledger"),
            "MODISTE_CACHE": str(self.root / "cache"),
        }

    def start(
        self, *words: str | Path, stderr: int = subprocess.PIPE, **more: Any
    ) -> subprocess.Popen[str]:
        """The command `modiste`, in a process group of its own, as a shell would start it."""
        command = [sys.executable, "-c", COMMAND]
        return subprocess.Popen(
            [*command, *map(str, words)],
            cwd=self.root,
            env=self.variables(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            **more,
        )

    def run(self, *words: str | Path) -> Answer:
        """The same, waited for."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=300)
        return Answer(process.returncode, out, err)

    def ask(self, *words: str | Path) -> Answer:
        """The same in this process, where torch is loaded already: for all but what is killed."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(self.root):
            patch.delenv("MODISTE_DATA", raising=False)
            for name, value in self.variables().items():
                if name.startswith("MODISTE_"):
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["modiste", *map(str, words)])
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = status_of(run)
        said = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
        return Answer(status, *said)


def status_of(command: Callable[[], None]) -> int:
    """What a command leaves with."""
    with pytest.raises(SystemExit) as end:
        command()
    code = end.value.code
    return code if isinstance(code, int) else int(code is not None)


def new_place(root: Path) -> Place:
    """An empty one."""
    root.mkdir(parents=True, exist_ok=True)
    return Place(root)
