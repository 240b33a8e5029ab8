"""How worker processes begin: forked from one that has loaded torch, or as new interpreters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modiste.search.children import _later, start

needs_fork_server = pytest.mark.skipif(sys.platform != "linux", reason="only there it is used")


class Told(NamedTuple):
    """What a child knows of itself before it has imported anything."""

    parent: int
    name: str
    has_torch: bool
    environment: dict[str, str]


def tell(connection: Connection) -> None:
    """Answer once, and once more for each word."""
    name = Path("/proc/self/comm")
    told = Told(
        os.getppid(),
        name.read_text().strip() if name.exists() else "",
        "modiste.train.work" in sys.modules,
        dict(os.environ),
    )
    with suppress(EOFError):
        while True:
            connection.send(told)
            connection.recv()


def say_whose(connection: Connection) -> None:
    """Whether this process has loaded a module of a test's own."""
    connection.send(getattr(sys.modules.get("typer"), "IS_MINE", False))


class Talk:
    """A child and the pipe to it."""

    def __init__(self) -> None:
        self.child = start(tell)
        self.connection = self.child.connection
        self.told: Told = self.connection.recv()

    def ask(self) -> Told:
        self.connection.send("again")
        answer: Told = self.connection.recv()
        return answer


@pytest.fixture
def talk() -> Iterator[Any]:
    talks: list[Talk] = []

    def begin() -> Talk:
        talks.append(Talk())
        return talks[-1]

    yield begin
    for each in talks:
        each.connection.close()
        assert each.child.join(10.0)


def server() -> int:
    """The process that the others are forked from."""
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    assert isinstance(pid, int)
    return pid


@needs_fork_server
def test_workers_are_copies_of_one_process_that_has_loaded_what_they_need(talk: Any) -> None:
    first, second = talk().told, talk().told
    assert first.parent == second.parent == server() != os.getpid()
    assert first.has_torch
    assert first.name == "modiste-worker"


@needs_fork_server
def test_a_worker_has_the_variables_of_whoever_starts_it(
    talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk()
    monkeypatch.setenv("SAID_TO_A_TEST", "this")
    monkeypatch.delenv("PATH")  # which the server has
    told = talk().told
    assert told.environment == dict(os.environ)
    assert told.environment["SAID_TO_A_TEST"] == "this"
    assert told.parent == server()


@needs_fork_server
@pytest.mark.parametrize("name", ["OMP_OF_A_TEST", "ATEN_CPU_CAPABILITY"])
def test_what_libraries_read_as_they_are_loaded_has_them_loaded_again(talk: Any, name: str) -> None:
    talk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, "said to a test")
        told = talk().told
    assert told.parent == os.getpid()
    assert not told.has_torch
    assert told.environment[name] == "said to a test"
    assert talk().told.parent == server()


@needs_fork_server
def test_workers_load_the_modules_that_whoever_starts_them_would(tmp_path: Path) -> None:
    # As where another version is installed, or a file lies where a command is typed.
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "typer.py").write_text("raise AssertionError('not this one')\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "typer.py").write_text("IS_MINE = True\n")
    code = (
        "import sys\n"
        f"sys.path.insert(1, {str(tmp_path / 'mine')!r})\n"
        f"sys.path.append({str(Path(__file__).parent)!r})\n"
        "from modiste.search.children import start\n"
        "from test_children import say_whose\n"
        "child = start(say_whose)\n"
        "print(child.connection.recv())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path / "here",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("True\n", "")


@needs_fork_server
def test_a_worker_that_outlives_the_server_can_be_awaited_and_killed(talk: Any) -> None:
    stuck, ends = talk(), talk()
    os.kill(stuck.child.process.pid, signal.SIGSTOP)
    old = server()
    os.kill(old, signal.SIGKILL)
    os.waitid(os.P_PID, old, os.WEXITED | os.WNOWAIT)
    talk()  # which has those before it asked how they are
    assert not stuck.child.join(0.0)
    assert stuck.child.exit_code is None
    stuck.child.kill()
    assert stuck.child.join(10.0)
    ends.connection.close()
    assert ends.child.join(10.0)
    assert ends.child.exit_code is None  # nobody was there to hear it


def test_how_a_worker_ended_is_known(talk: Any) -> None:
    killed, ended = talk(), talk()
    killed.child.kill()
    assert killed.child.exit_code == -signal.SIGKILL
    ended.connection.close()
    assert ended.child.join(10.0)
    assert ended.child.exit_code == 0


@needs_fork_server
def test_a_server_that_was_killed_is_replaced_and_its_workers_live_on(talk: Any) -> None:
    before = talk()
    old = server()
    os.kill(old, signal.SIGKILL)
    os.waitid(os.P_PID, old, os.WEXITED | os.WNOWAIT)
    after = talk()
    assert after.told.parent == server() != old
    assert before.ask() == before.told


@needs_fork_server
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("ensure_running", OSError(36, "AF_UNIX path too long")),
        ("connect_to_new_process", EOFError()),
        ("connect_to_new_process", ConnectionResetError()),
    ],
)
def test_where_there_is_no_server_a_worker_is_a_new_interpreter(
    talk: Any, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(forkserver, what, fails)
    told = talk().told
    assert told.parent == os.getpid()
    assert told.name == "modiste-worker"


def test_a_worker_does_not_hear_an_interrupt(talk: Any) -> None:
    talking = talk()
    os.kill(talking.child.process.pid, signal.SIGINT)
    assert talking.ask() == talking.told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_child_is_started_waits_until_it_is(
    number: signal.Signals,
) -> None:
    told: list[str] = []
    before = signal.signal(number, lambda *_: told.append("handled"))
    try:
        with _later(signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
            told.append("started")
        assert told == ["started", "handled"]
        signal.raise_signal(number)
        assert told == ["started", "handled", "handled"]
    finally:
        signal.signal(number, before)
