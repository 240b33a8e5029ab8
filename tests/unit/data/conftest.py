"""A small published data set, a host that serves it, and nothing of the machine's own."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from modiste.data import fetch, idx
from modiste.data.published import File, PartFacts, Published
from modiste.data.source import Part
from modiste.data.sources.fashion_mnist import FASHION_MNIST
from modiste.data.types import digest
from modiste.errors import DataError
from tests.synthetic import write_idx


class Host:
    """A web host on this machine that can misbehave.

    Attributes:
        root: What it serves.
        asked: ``(path, Range header or "")`` of every request, in order.
        break_after: Connections break after so many bytes of a body, so many times.
        has_ranges: Whether it knows the Range header.
        reply: Answers instead of the files, where it is set: status, headers, body.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[str, str]] = []
        self.break_after: int | None = None
        self.num_breaks = 1
        self.has_ranges = True
        self.reply: Callable[[str], tuple[int, dict[str, str], bytes]] | None = None
        self.is_silent = threading.Event()
        self.goes_on = threading.Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append((self.path, self.headers.get("Range", "")))
                if host.is_silent.is_set():
                    host.goes_on.wait(10)
                    return
                status, headers, body = host.answer(self.path, self.headers.get("Range", ""))
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if host.break_after is not None and host.num_breaks > 0:
                    host.num_breaks -= 1
                    body = body[: host.break_after]
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def answer(self, path: str, wanted: str) -> tuple[int, dict[str, str], bytes]:
        if self.reply is not None:
            return self.reply(path)
        file = self.root / path.lstrip("/")
        if not file.is_file():
            return 404, {"Content-Length": "0"}, b""
        body = file.read_bytes()
        if not wanted or not self.has_ranges:
            return 200, {"Content-Length": str(len(body))}, body
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"}, b""
        rest = body[start:]
        headers = {
            "Content-Length": str(len(rest)),
            "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}",
        }
        return 206, headers, rest

    def close(self) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host whose files are the small set."""
    host = Host(write_idx(tmp_path / "host"))
    yield host
    host.close()


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder named, an empty cache, no apt, no proxy."""
    monkeypatch.delenv("MODISTE_DATA", raising=False)
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def no_apt(_package: str, _folder: Path) -> Path:
        raise DataError("apt-get is not on this machine")

    monkeypatch.setattr(fetch, "unpack_debian_package", no_apt)


def facts(folder: Path, part: Part) -> PartFacts:
    """What a publisher would say of the files in `folder`."""
    published = FASHION_MNIST.parts[part]
    files = []
    for file in (published.images, published.labels):
        content = gzip.decompress((folder / file.name).read_bytes())
        files.append(File(file.name, len(content), hashlib.sha256(content).hexdigest()))
    images = idx.read(folder / files[0].name, "images")[:, np.newaxis]
    labels = idx.read(folder / files[1].name, "labels").astype(np.int64)
    counts = tuple(int(n) for n in np.bincount(labels, minlength=10))
    return PartFacts(files[0], files[1], counts, digest(images, labels))


@pytest.fixture
def small(host: Host, tmp_path: Path) -> Published:
    """The small set as if it were published: on `host`, and in a Debian folder that is empty."""
    return dataclasses.replace(
        FASHION_MNIST,
        parts={part: facts(host.root, part) for part in FASHION_MNIST.parts},
        mirrors=(host.url,),
        debian_folder=tmp_path / "debian",
    )
