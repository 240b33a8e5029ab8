"""Downloads go on where they stopped, end in time, and say why they failed."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from modiste.data import fetch
from modiste.data.fetch import download
from modiste.errors import DataError

# The real one: `conftest.bare_machine` puts another in its place for every test.
unpack_debian_package = fetch.unpack_debian_package
NAME = "train-images-idx3-ubyte.gz"


def ignore(_done: int, _total: int | None) -> None:
    pass


def get(host, part: Path, max_bytes: int = 1 << 24, timeout_seconds: float = 5.0) -> None:
    download(f"{host.url}/{NAME}", part, max_bytes, ignore, timeout_seconds)


def test_a_file_arrives_as_it_is(host, tmp_path):
    get(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == (host.root / NAME).read_bytes()


def test_a_broken_connection_is_taken_up_where_it_broke(host, tmp_path):
    host.break_after, host.num_breaks = 1000, 2
    get(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == (host.root / NAME).read_bytes()
    assert [wanted for _, wanted in host.asked] == ["", "bytes=1000-", "bytes=2000-"]


def test_what_an_earlier_run_fetched_is_not_fetched_again(host, tmp_path):
    content = (host.root / NAME).read_bytes()
    (tmp_path / "part").write_bytes(content[:5000])
    get(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content
    assert host.asked == [(f"/{NAME}", "bytes=5000-")]


def test_a_host_without_ranges_is_asked_once_and_its_whole_answer_taken(host, tmp_path):
    host.has_ranges = False
    (tmp_path / "part").write_bytes(b"x" * 5000)
    get(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == (host.root / NAME).read_bytes()


def test_a_part_that_is_whole_already_is_kept(host, tmp_path):
    content = (host.root / NAME).read_bytes()
    (tmp_path / "part").write_bytes(content)
    get(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content


def test_a_part_longer_than_the_file_is_begun_anew(host, tmp_path):
    content = (host.root / NAME).read_bytes()
    (tmp_path / "part").write_bytes(content + b"more")
    get(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content


def test_a_connection_that_breaks_without_end_is_given_up_and_keeps_what_came(host, tmp_path):
    host.break_after, host.num_breaks = 100, 1_000
    with pytest.raises(DataError, match=r"connection broke after .* kept, and the next try"):
        get(host, tmp_path / "part")
    kept = (tmp_path / "part").read_bytes()
    assert kept == (host.root / NAME).read_bytes()[: len(kept)]
    assert len(kept) == 100 * len(host.asked)


def test_an_answer_of_404_says_so(host, tmp_path):
    with pytest.raises(DataError, match="answered 404 Not Found"):
        download(f"{host.url}/nothing.gz", tmp_path / "part", 1 << 20, ignore)


@pytest.mark.parametrize("has_length", [True, False])
def test_a_host_that_sends_too_much_is_refused(host, tmp_path, has_length):
    headers = {"Content-Length": "5000"} if has_length else {}
    host.reply = lambda path: (200, headers, bytes(5000))
    with pytest.raises(DataError, match="4,999"):
        get(host, tmp_path / "part", max_bytes=4999)


def test_a_host_that_does_not_answer_is_left_after_the_time_allowed(host, tmp_path):
    host.is_silent.set()
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.2 s"):
        get(host, tmp_path / "part", timeout_seconds=0.2)
    # 0.2 s, and as much as a busy machine may need to notice.
    assert time.monotonic() - start < 5


def test_a_name_that_nobody_looks_up_in_time_counts_as_no_answer(tmp_path, monkeypatch):
    # The look-up of names knows no time limit of its own.
    never = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: never.wait(10) or [])
    with pytest.raises(DataError, match=r"no answer within 0\.2 s"):
        download("http://example.invalid/f", tmp_path / "part", 100, ignore, 0.2)
    never.set()


def test_a_closed_port_is_named(tmp_path, host):
    host.close()
    with pytest.raises(DataError, match="cannot be reached: Connection refused"):
        get(host, tmp_path / "part")


def test_a_redirect_is_followed(host, tmp_path):
    plain = host.answer

    def answer(path: str, wanted: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/old/"):
            return 302, {"Location": f"/{NAME}", "Content-Length": "0"}, b""
        return plain(path, wanted)

    host.answer = answer
    download(f"{host.url}/old/{NAME}", tmp_path / "part", 1 << 24, ignore)
    assert (tmp_path / "part").read_bytes() == (host.root / NAME).read_bytes()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.invalid/f"])
def test_a_redirect_to_anything_but_https_is_refused(host, tmp_path, target):
    host.reply = lambda path: (302, {"Location": target, "Content-Length": "0"}, b"")
    with pytest.raises(DataError, match="which is not HTTPS"):
        get(host, tmp_path / "part")


def test_redirects_in_a_circle_end(host, tmp_path):
    host.reply = lambda path: (302, {"Location": path, "Content-Length": "0"}, b"")
    with pytest.raises(DataError, match="redirects more than 5 times"):
        get(host, tmp_path / "part")


def test_progress_counts_bytes_up_to_the_whole(host, tmp_path):
    seen: list[tuple[int, int | None]] = []
    content = (host.root / NAME).read_bytes()
    (tmp_path / "part").write_bytes(content[:100])
    url = f"{host.url}/{NAME}"
    download(url, tmp_path / "part", 1 << 24, lambda *now: seen.append(now))
    assert seen[0] == (100, len(content))
    assert seen[-1] == (len(content), len(content))
    assert seen == sorted(seen)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with fetch.progress("images.gz") as show:
        show(3_000_000, 4_000_000)
    written = sys.stderr.getvalue()
    assert "images.gz" in written
    assert "3.0/4.0 MB" in written


def test_a_log_file_gets_one_plain_line(capsys):
    with fetch.progress("images.gz") as show:
        for done in range(1000):
            show(done, 1000)
    captured = capsys.readouterr()
    assert captured.err == "fetching images.gz\n"
    assert captured.out == ""


# --- apt, by programs of ours under its names -----------------------------------------------

FAKE_APT = """#!/bin/sh
echo "$*" >> "{log}"
case "$*" in
  *lists*download*) touch "$(pwd)/package_1_all.deb" ;;
  *lists*update*) ;;
  *download*) {first} ;;
esac
"""
FAKE_DPKG = '#!/bin/sh\nmkdir -p "$3" && touch "$3/unpacked"\n'


def place_tools(folder: Path, first: str, monkeypatch) -> Path:
    folder.mkdir()
    log = folder / "log"
    for name, text in (
        ("apt-get", FAKE_APT.format(log=log, first=first)),
        ("dpkg-deb", FAKE_DPKG),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


needs_sh = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")


@needs_sh
def test_a_debian_package_is_unpacked_and_not_installed(tmp_path, monkeypatch):
    log = place_tools(tmp_path / "bin", "touch package_1_all.deb", monkeypatch)
    folder = tmp_path / "scratch"
    folder.mkdir()
    root = unpack_debian_package("package", folder)
    assert (root / "unpacked").is_file()
    calls = log.read_text().splitlines()
    assert len(calls) == 1
    assert "install" not in calls[0]


@needs_sh
def test_without_package_lists_private_ones_are_fetched(tmp_path, monkeypatch):
    first = "echo 'E: Unable to locate package package' >&2; exit 100"
    log = place_tools(tmp_path / "bin", first, monkeypatch)
    folder = tmp_path / "scratch"
    folder.mkdir()
    assert (unpack_debian_package("package", folder) / "unpacked").is_file()
    words = [line.split()[-1] for line in log.read_text().splitlines()]
    assert words == ["package", "update", "package"]
    assert f"Dir::State::lists={folder}/lists" in log.read_text()


@needs_sh
def test_the_reason_that_apt_gives_is_passed_on(tmp_path, monkeypatch):
    place_tools(tmp_path / "bin", "exit 1", monkeypatch)
    (tmp_path / "bin/apt-get").write_text(
        "#!/bin/sh\necho 'W: a warning' >&2\necho 'E: no such package' >&2\nexit 100\n"
    )
    folder = tmp_path / "scratch"
    folder.mkdir()
    with pytest.raises(DataError, match=r"^apt-get failed: no such package$"):
        unpack_debian_package("package", folder)


def test_a_machine_without_apt_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt-get is not on this machine"):
        unpack_debian_package("package", tmp_path)
