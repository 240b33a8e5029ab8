"""A search that is watched, as docs/workers.md says, finds what it would have found."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modiste.api.dashboard import _ours_alone
from modiste.search.study import Study
from tests import small
from tests.command_line import Cli, Place, new_place
from tests.driving import results
from tests.synthetic import write_idx

VALUES: dict[str, Any] = small.study(
    stages=[
        {
            "name": "search",
            "train": {"epochs": 40},
            "search": {
                "method": "random",
                "trials_per_value": 12,
                "tune": {"model.params.dropout": {"low": 0.0, "high": 0.9}},
                "halving": {"name": "successive", "first_epochs": 10, "factor": 2},
            },
        }
    ]
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ask(port: int, address: str) -> Any:
    """What it answers; past any proxy, which knows nothing of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", address)
        return json.loads(connection.getresponse().read())


@contextlib.contextmanager
def page(place: Place, port: int) -> Iterator[subprocess.Popen[str]]:
    """The dashboard, from its first answer on."""
    with place.start("dashboard", "out", "--port", str(port)) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == f"out at http://127.0.0.1:{port}/\n"
            yield process
        finally:
            process.kill()


@pytest.mark.slow  # child processes
def test_ctrl_c_ends_it_in_the_middle_of_an_answer_too(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    write_idx(place.root / "data")
    one = [{"name": "one", "train": {"epochs": 1}}]
    file = small.write_study(place.root / "study.yaml", small.study(stages=one))
    assert place.ask("study", str(file), "--data", "data", "--out", "out").status == 0
    for delay in (0.3, 0.31, 0.32):
        port, ended = free_port(), threading.Event()
        with page(place, port) as process:

            def hurry(port: int = port, ended: threading.Event = ended) -> None:
                while not ended.is_set():
                    # The one that is under way when it ends may be cut anywhere.
                    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                        ask(port, "/api/studies")

            reader = threading.Thread(target=hurry)
            reader.start()
            try:
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=60) == 0
            finally:
                ended.set()
                process.kill()
                reader.join()
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


@pytest.mark.slow  # child processes
def test_a_reader_at_twenty_polls_a_second_changes_nothing(tmp_path: Path) -> None:
    places = [new_place(tmp_path / name) for name in ("alone", "watched")]
    words = []
    for place in places:
        write_idx(place.root / "data")
        file = small.write_study(place.root / "study.yaml", VALUES)
        words.append(["study", str(file), "--data", "data", "--out", "out", "--workers", "2"])
    alone, watched = places
    assert alone.ask(*words[0]).status == 0

    port, ended, num_answers = free_port(), threading.Event(), 0
    url = f"sqlite:///{watched.root / 'optuna.db'}"
    with watched.start(*words[1], "--storage", url, stderr=subprocess.DEVNULL) as search:
        while not (watched.root / "out" / "study.json").exists():
            assert search.poll() is None
            time.sleep(0.005)
        with page(watched, port) as process:

            def poll() -> None:
                nonlocal num_answers
                while not ended.wait(0.05):
                    ask(port, "/api/studies")
                    num_answers += 1

            reader = threading.Thread(target=poll)
            reader.start()
            try:
                assert search.wait(timeout=300) == 0
                # It comes to show the end of the search, too.
                until = time.monotonic() + 120
                states: set[str] = set()
                while states != {"Complete", "Pruned"}:
                    assert time.monotonic() < until, states
                    (study,) = ask(port, "/api/studies")["study_summaries"]
                    shown = ask(port, f"/api/studies/{study['study_id']}?after=0")["trials"]
                    states = {trial["state"] for trial in shown}
            finally:
                ended.set()
                reader.join()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
    assert num_answers > 0
    assert len(shown) == 12
    assert (watched.root / "optuna.db").exists()
    assert results(Study(watched.root / "out")) == results(Study(alone.root / "out"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dashboard", "nowhere"), "nowhere: no study folder"),
        (("study", "FILE", "--storage", "optuna.db"), "Expected sqlite:///FILE"),
    ],
)
def test_what_cannot_be_shown_is_named(
    words: tuple[str, ...], said: str, tmp_path: Path, cli: Cli, synthetic_folder: Path
) -> None:
    file = str(small.write_study(tmp_path / "study.yaml", VALUES))
    more = ["--data", str(synthetic_folder), "--out", str(tmp_path / "out")]
    named = {"FILE": file, "nowhere": str(tmp_path / "nowhere")}
    given = [named.get(word, word) for word in words]
    answer = cli(*given, *(more if "FILE" in words else []))
    assert answer.status == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("", False),
    ],
)
def test_a_page_that_made_its_name_point_here_gets_no_answer(host: str, is_ours: bool) -> None:
    asked: list[str] = []
    told: list[str] = []

    def app(request: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.append(request["HTTP_HOST"])
        return [b"studies"]

    request = {"HTTP_HOST": host, "SERVER_PORT": "8080"}
    answer = _ours_alone(app)(request, lambda status, headers: told.append(status))
    assert (answer == [b"studies"]) == bool(asked) == is_ours
    assert told == ([] if is_ours else ["403 Forbidden"])
