"""How worker processes begin: forked from one that has loaded torch, or as new interpreters."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modiste.search import children
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


class Talk:
    """A child and the pipe to it."""

    def __init__(self) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.process = start(tell, theirs)
        theirs.close()
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
        each.process.join()


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
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert talk().told.environment["ATEN_CPU_CAPABILITY"] == "default"
    monkeypatch.delenv("ATEN_CPU_CAPABILITY")
    told = talk().told
    assert told.environment == dict(os.environ)
    assert told.parent == server()


@needs_fork_server
def test_what_libraries_read_as_they_are_loaded_has_them_loaded_again(
    talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    told = talk().told
    assert told.parent == os.getpid()
    assert not told.has_torch
    assert told.environment["OMP_NUM_THREADS"] == "1"
    monkeypatch.undo()
    assert talk().told.parent == server()


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
    assert children.make_ready() is (what != "ensure_running")
    child = talk()
    assert child.told.parent == os.getpid()
    assert child.told.name == "modiste-worker"


def test_a_worker_does_not_hear_an_interrupt(talk: Any) -> None:
    child = talk()
    os.kill(child.process.pid, signal.SIGINT)
    assert child.ask() == child.told


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
