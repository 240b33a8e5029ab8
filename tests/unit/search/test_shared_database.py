"""A database that several write: a file of SQLite's, and PostgreSQL where its server is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import optuna
import pytest

from modiste.errors import StoreError
from modiste.search import mirror as mirrors
from modiste.search.mirror import Keeper, close, open_storage, url_of
from tests.driving import Script, drive, make
from tests.unit.search.test_mirror import SEARCH, told, trials

NUM_AT_ONCE = 4


@dataclass(frozen=True)
class Server:
    """A server of PostgreSQL for tests alone, in a folder that goes with them."""

    programs: Path
    folder: Path
    port: int

    def run(self, program: str, *words: str) -> None:
        # It refuses to be the superuser's; Debian's package makes a user for it.
        user = "postgres" if os.geteuid() == 0 else None
        place = ("-D", str(self.folder / "data"))
        words = (str(self.programs / program), *place, *words)
        output = subprocess.DEVNULL  # a pipe would stay open as long as the server
        subprocess.run(words, check=True, stdout=output, stderr=output, user=user, cwd="/")

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -F"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")

    def new(self, name: str) -> str:
        """The URL of an empty database."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "me")
        subprocess.run([str(self.programs / "createdb"), *where, name], check=True)
        return f"postgresql+psycopg://me:secret@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    on_the_path = shutil.which("pg_ctl")
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = Path(on_the_path).resolve().parent if on_the_path else debians[-1]
    # A socket's path may have 107 characters, and the folders of tests are not for other users.
    folder = Path("/tmp") / f"modiste-postgresql-{os.getpid()}"
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = Server(programs, folder, port)
    found.run("initdb", "-A", "trust", "-U", "me")
    found.start()
    yield found
    found.stop()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes an empty database of that name, and gives its URL."""
    if request.param == "sqlite":
        return lambda name: f"sqlite:///{tmp_path / name}.db"
    server: Server = request.getfixturevalue("server")
    return lambda name: server.new(f"{name}_{tmp_path.name}".lower())


def test_several_may_be_the_first_in_a_database(empty: Callable[[str], str]) -> None:
    """All make its tables at once, and whoever is refused has to try again."""
    for number in range(3):
        url, begin = empty(f"first{number}"), Barrier(NUM_AT_ONCE)

        def go(_: int, url: str = url, begin: Barrier = begin) -> int:
            begin.wait()
            storage = open_storage(url)
            try:
                return len(storage.get_all_studies())
            finally:
                close(storage)

        with ThreadPoolExecutor(NUM_AT_ONCE) as pool:
            assert list(pool.map(go, range(NUM_AT_ONCE))) == [0] * NUM_AT_ONCE


def test_what_is_refused_for_another_reason_is_said_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import ProgrammingError

    tries = []

    def refused(url: str, **_: object) -> None:
        tries.append(url)
        raise ProgrammingError("CREATE TABLE", {}, Exception("permission denied for schema"))

    monkeypatch.setattr(optuna.storages, "RDBStorage", refused)
    monkeypatch.setattr(mirrors, "AGAIN_SECONDS", (0.0, 0.0))
    with pytest.raises(StoreError, match="permission denied"):
        open_storage(f"sqlite:///{tmp_path / 'a.db'}")
    assert len(tries) == 3


def test_a_search_stands_in_it_as_in_the_file_of_its_own(
    empty: Callable[[str], str], tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", SEARCH)
    url = empty("search")
    keeper, own = Keeper(study.folder, url), Keeper(study.folder, url_of(study.folder))
    for num_tasks in (5, 20, 10**6):
        drive(study, should_stop=lambda n=num_tasks: len(script.tasks) > n)  # type: ignore[misc]
        assert keeper.look() == own.look() == ""
    keeper.close()
    found = trials(url)
    assert len(found) == 3
    assert list(told(found).values()) == list(told(trials(url_of(study.folder))).values())


@pytest.mark.postgresql
def test_a_server_that_comes_back_is_written_on(
    server: Server, tmp_path: Path, script: Script
) -> None:
    study, url = make(tmp_path / "study", SEARCH), server.new("lost")
    keeper = Keeper(study.folder, url)
    drive(study, should_stop=lambda: len(script.tasks) > 20)
    assert keeper.look() == ""
    server.stop()
    assert drive(study)
    said = keeper.look()
    assert "127.0.0.1" in said
    assert "secret" not in said
    server.start()
    assert (keeper.look() and keeper.look()) == ""
    keeper.close()
    wanted = Keeper(study.folder, url_of(study.folder))
    assert wanted.look() == ""
    assert list(told(trials(url)).values()) == list(told(trials(url_of(study.folder))).values())
