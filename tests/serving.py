"""Ways to ask a served model: the application in this process, or a server in one of its own."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from starlette.types import ASGIApp

from tests.command_line import new_place

HOST = {"host": "localhost"}


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """Of a refusal, which has exactly one form."""
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"code", "message"}
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


async def asked(
    app: ASGIApp,
    method: str,
    address: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes | Sequence[bytes | None] = b"",
) -> Reply:
    """Ask the application in this event loop; a part of the body that is None never comes."""
    path, _, query = address.partition("?")
    parts = [body] if isinstance(body, bytes) else list(body)
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if "host" not in dict(pairs):
        pairs += list(HOST.items())
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        part = parts.pop(0) if parts else b""
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(part.get("body", b"") for part in sent[1:]))


def ask(app: ASGIApp, method: str, address: str, *rest: Any, **more: Any) -> Reply:
    """The same, in an event loop of its own."""
    return asyncio.run(asked(app, method, address, *rest, **more))


def form(
    parts: Sequence[tuple[str, str | None, bytes]], boundary: str = "b0und"
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a form: name, file name and content of each part."""
    lines = []
    for name, file, content in parts:
        ending = f'; filename="{file}"' if file is not None else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{ending}\r\n\r\n'
        lines.append(head.encode() + content + b"\r\n")
    body = b"".join([*lines, f"--{boundary}--\r\n".encode()])
    return {"content-type": f"multipart/form-data; boundary={boundary}"}, body


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """As a file: H x W, or H x W x C."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


PNG = {"content-type": "image/png"}


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].split("/")[0])

    def connect(self, timeout: float = 20) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = PNG,
        body: bytes | Iterator[bytes] | None = None,
    ) -> Reply:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers))
            found = connection.getresponse()
            lowered = {name.lower(): value for name, value in found.getheaders()}
            return Reply(found.status, lowered, found.read())
        finally:
            connection.close()

    def stop(self, sign: int = signal.SIGTERM) -> tuple[int, str]:
        """Its status and what else it said on stderr."""
        self.process.send_signal(sign)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@contextmanager
def running(folder: Path, root: Path, *options: str) -> Iterator[Running]:
    """`modiste serve FOLDER` on a free port."""
    process = new_place(root).start("serve", folder, "--port", "0", *options)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        while line and not line.startswith("serving "):
            line = process.stderr.readline()
        assert line, f"it did not start: status {process.wait(10)}"
        yield Running(process, line.split(" at ")[1].strip())
    finally:
        process.kill()
        process.communicate()
