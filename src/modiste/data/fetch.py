"""Fetching files: over HTTPS, going on where it stopped; or out of a Debian package.

Nothing here knows what the files hold. Whoever asks says how to check them, and only what
passed that check is placed under its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from modiste.errors import DataError

T = TypeVar("T")
Show = Callable[[int, int | None], None]  # bytes there so far, bytes in all where known

CONNECT_SECONDS = 5.0  # to look up, connect and answer; also the longest silence in between
_ATTEMPTS = 10  # per file and host; only attempts that brought bytes are followed by another
_REDIRECTS = 5
_CHUNK_BYTES = 1 << 16
_APT_SECONDS = 600.0  # 31 MB, and perhaps the package lists, over a slow line


class _Broken(Exception):
    """The transfer stopped before its end."""


class _Refused(Exception):
    """The host does not answer, or does not give the file."""


def say(message: str) -> None:
    """One plain line to the person who waits."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


# --- over HTTP ------------------------------------------------------------------------------


def download(
    url: str, part: Path, max_bytes: int, show: Show, timeout_seconds: float = CONNECT_SECONDS
) -> None:
    """Fetch `url` into `part`, going on after the bytes that are already there.

    Args:
        url: HTTPS, or HTTP for a host that the caller trusts; HTTPS never falls back to HTTP.
        part: Stays when the transfer fails, so that the next call goes on.
        max_bytes: A host that sends more is refused.
        show: Called as bytes come.
        timeout_seconds: The longest silence, while connecting and after.

    Raises:
        DataError: Saying why it failed.
    """
    trouble = ""
    for _ in range(_ATTEMPTS):
        have = part.stat().st_size if part.exists() else 0
        try:
            return _transfer(url, part, have, max_bytes, show, timeout_seconds)
        except _Refused as error:
            raise DataError(str(error)) from None
        except _Broken as error:
            trouble = str(error)
        now = part.stat().st_size if part.exists() else 0
        if now == have:
            break
    raise DataError(f"{trouble}; what came so far is kept, and the next try goes on from there")


def _transfer(
    url: str, part: Path, have: int, max_bytes: int, show: Show, timeout_seconds: float
) -> None:
    headers = {"User-Agent": "modiste", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with contextlib.closing(_answer(url, headers, timeout_seconds)) as answer:
        if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise _Broken("the host has less than was fetched before")
        if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            raise _Refused(f"answered {answer.status} {answer.reason}")
        start = have if _continues(answer, have) else 0
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        if total is not None and total > max_bytes:
            raise _Refused(f"offers {total:,} bytes where at most {max_bytes:,} are expected")
        done = _save(answer, part, start, max_bytes, lambda now: show(now, total))
    if total is not None and done < total:
        raise _Broken(f"the connection broke after {done:,} of {total:,} bytes")


def _continues(answer: http.client.HTTPResponse, have: int) -> bool:
    """Whether these are the bytes from `have` on; hosts without ranges send all of them."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return False
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise _Refused("answered with another range than was asked for")
    return True


def _save(
    answer: http.client.HTTPResponse,
    part: Path,
    start: int,
    max_bytes: int,
    show: Callable[[int], None],
) -> int:
    done = start
    with part.open("ab" if start else "wb") as file:
        show(done)
        while True:
            try:
                chunk = answer.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise _Broken(f"the connection broke after {done:,} bytes: {error!r}") from None
            if not chunk:
                return done
            done += len(chunk)
            if done > max_bytes:
                raise _Refused(f"sends more than the {max_bytes:,} bytes that are expected")
            file.write(chunk)
            show(done)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


def _answer(url: str, headers: dict[str, str], timeout_seconds: float) -> http.client.HTTPResponse:
    """The last answer after redirects, whatever its status; each host has its own time."""
    opener = urllib.request.build_opener(_NoRedirect, _KeepStatus)
    for _ in range(_REDIRECTS):
        request = urllib.request.Request(url, headers=headers)
        answer = _open(opener, request, timeout_seconds)
        target = answer.headers.get("Location")
        if answer.status not in (301, 302, 303, 307, 308) or target is None:
            return answer
        answer.close()
        before, url = url, urljoin(url, target)
        is_safe = urlsplit(url).scheme in ("https", urlsplit(before).scheme)
        if not is_safe:
            raise _Refused(f"redirects to {url}, which is not HTTPS")
    raise _Refused(f"redirects more than {_REDIRECTS} times")


class _KeepStatus(urllib.request.HTTPErrorProcessor):
    """Hands every answer back instead of raising for some of them."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        return response

    https_response = http_response


def _open(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout_seconds: float
) -> http.client.HTTPResponse:
    def call() -> http.client.HTTPResponse:
        answer = opener.open(request, timeout=timeout_seconds)
        assert isinstance(answer, http.client.HTTPResponse)
        return answer

    try:
        return _within(timeout_seconds, call)
    except TimeoutError:
        raise _Refused(f"no answer within {timeout_seconds:g} s") from None
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or str(error.reason)
        raise _Refused(f"cannot be reached: {reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Refused(f"gives no proper answer: {error!r}") from None


def _within(
    seconds: float, call: Callable[[], http.client.HTTPResponse]
) -> http.client.HTTPResponse:
    """What `call` returns or raises, if it does so in time.

    A socket's timeout covers neither the look-up of a name nor a host with eight addresses of
    which none answers, which gets that time eight times over. So the whole has one limit.
    """
    results: SimpleQueue[http.client.HTTPResponse | BaseException] = SimpleQueue()
    is_late = threading.Event()

    def work() -> None:
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001 (raised again, in the thread that waits)
            results.put(error)
            return
        if is_late.is_set():
            answer.close()
        results.put(answer)

    threading.Thread(target=work, daemon=True, name="modiste-connect").start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        is_late.set()
        raise TimeoutError from None
    if isinstance(result, BaseException):
        raise result
    return result


# --- out of a Debian package ----------------------------------------------------------------


def unpack_debian_package(package: str, folder: Path) -> Path:
    """Fetch a Debian package with apt and unpack it, installing nothing.

    The user's own package lists are asked first. Where they do not know the package, lists are
    fetched into `folder`, which needs no rights and changes nothing on the machine.

    Args:
        package: Its name.
        folder: An empty folder; everything is written there.

    Returns:
        The folder that stands for the root of the file system.

    Raises:
        DataError: If there is no apt here, or it cannot fetch the package.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is not on this machine")
    limits = [f"-oAcquire::{scheme}::Timeout={CONNECT_SECONDS:.0f}" for scheme in ("http", "https")]
    apt = ["apt-get", "-qq", "-oAcquire::Retries=1", *limits]
    try:
        _run([*apt, "download", package], folder)
    except DataError:
        lists = [f"-oDir::State::lists={folder}/lists", f"-oDir::Cache={folder}/cache"]
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        _run([*apt, *lists, "update"], folder)
        _run([*apt, *lists, "download", package], folder)
    archives = sorted(folder.glob(f"{package}_*.deb"))
    if not archives:
        raise DataError(f"apt-get download {package} brought no file")
    root = folder / "root"
    _run(["dpkg-deb", "-x", str(archives[0]), str(root)], folder)
    return root


def _run(command: list[str], folder: Path) -> None:
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_APT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{command[0]} took longer than {_APT_SECONDS:.0f} s") from None
    except OSError as error:
        raise DataError(f"{command[0]} does not start: {error.strerror}") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("E:")]
        why = (lines or result.stderr.strip().splitlines() or ["it does not say why"])[0]
        raise DataError(f"{command[0]} failed: {why.removeprefix('E:').strip()}")


# --- for whoever fetches ----------------------------------------------------------------------


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Waits until no other process fetches into `folder`; the lock dies with its process.

    Yields:
        Whether we are alone. False where the file system has no such locks: then use names that
        no other process uses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        is_alone = True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is fetching into {folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # some network file systems
            is_alone = False
        yield is_alone


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder inside `folder`, gone at the end: what is in it can be moved, not copied."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".scratch-") as name:
        yield Path(name)


@contextmanager
def progress(title: str) -> Iterator[Show]:
    """A bar on a terminal; elsewhere one line at the start."""
    if not sys.stderr.isatty():
        say(f"fetching {title}")
        yield lambda done, total: None
        return
    # Only here: most runs fetch nothing, and every command would wait for this import.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    with Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
