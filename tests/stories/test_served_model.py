"""A server in a process of its own, among clients that mean no good, until it is told to end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import Cli
from tests.serving import PNG, Running, png, running
from tests.shipping import change, copy_of, ship

pytestmark = pytest.mark.slow

WHITE = png(np.full((28, 28), 255, np.uint8))
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ship(tmp_path_factory.mktemp("story")).folder


@pytest.fixture(scope="module", name="server")
def _server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(folder, tmp_path_factory.mktemp("server")) as server:
        yield server


def is_served(server: Running) -> bool:
    return server.ask("POST", "/predict", body=WHITE).status == 200


def connected(server: Running, *parts: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=40)
    for part in parts:
        client.sendall(part)
    return client


def everything(client: socket.socket) -> bytes:
    """What the server says until it closes the connection."""
    said = b""
    # A byte that is sent after the answer has the connection reset; what was said is read before.
    with suppress(ConnectionResetError):
        while part := client.recv(65_536):
            said += part
    return said


def test_it_answers_and_torch_is_not_loaded(server: Running, folder: Path) -> None:
    golden = (folder / "golden" / "000.png").read_bytes()
    reply = server.ask("POST", "/predict", body=golden)
    assert reply.status == 200
    assert len(reply.json["predictions"]) == 1
    assert server.ask("GET", "/readyz").json == {"status": "ready"}
    maps = Path(f"/proc/{server.process.pid}/maps")
    if maps.exists():  # Linux
        assert "libtorch" not in maps.read_text()


def test_a_long_upload_gets_its_refusal_and_others_are_served(server: Running) -> None:
    reply = server.ask("POST", "/predict", body=bytes(9 << 20))
    assert (reply.status, reply.code) == (413, "too_large")
    assert is_served(server)


@pytest.mark.parametrize("closing", ["Connection: close", "Connection: Keep-Alive, CLOSE"])
def test_who_closes_afterwards_gets_the_refusal_too(server: Running, closing: str) -> None:
    head = HEAD + f"{closing}\r\nContent-Length: {9 << 20}\r\n\r\n".encode()
    with connected(server, head) as client:
        for _ in range(9):
            client.sendall(bytes(1 << 20))
        said = everything(client)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in said
    assert is_served(server)


@pytest.mark.parametrize("kind", ["text/html", "application/json", "video/mp4"])
def test_a_body_of_another_kind_is_refused(server: Running, kind: str) -> None:
    reply = server.ask("POST", "/predict", {"content-type": kind}, WHITE)
    assert (reply.status, reply.code) == (415, "unsupported_media_type")


def test_slow_and_endless_senders_are_refused_and_others_are_served_meanwhile(
    server: Running,
) -> None:
    """Of a head and of a body, a byte at a time; of nothing at all; of chunks without end."""
    heads = [connected(server, HEAD) for _ in range(10)]
    bodies = [connected(server, HEAD + b"Content-Length: 999\r\n\r\n\x89") for _ in range(10)]
    silent = [connected(server) for _ in range(10)]
    endless = connected(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    ended, sent = threading.Event(), [0, 0]

    def drip() -> None:
        while not ended.wait(0.5):
            for client in [*heads, *bodies]:
                with suppress(OSError):
                    client.sendall(b"x")

    def pour() -> None:
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        with suppress(OSError):
            while not ended.is_set():
                endless.sendall(chunk)
                sent[0] += 1
                ended.wait(0.01)  # for the one core that it shares with the others
        sent[1] = int(not ended.is_set())

    threads = [threading.Thread(target=drip), threading.Thread(target=pour)]
    for thread in threads:
        thread.start()
    try:
        begun = time.monotonic()
        assert all(is_served(server) for _ in range(20))
        # Long before the slow ones are given up.
        assert time.monotonic() - begun < 10
        assert all(b'"too_slow"' in everything(client) for client in [*heads, *bodies])
        assert {everything(client) for client in silent} == {b""}
        # Refused at 8 MiB, then read and thrown away so that the refusal arrives; not for ever.
        said = b""
        with suppress(OSError):
            while part := endless.recv(65_536):
                said += part
        assert b'"too_large"' in said
        threads[1].join(timeout=20)
        assert sent[0] > 128
        assert sent[1], "it was still let in"
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for client in [*heads, *bodies, *silent, endless]:
            client.close()
    assert is_served(server)


def test_what_is_no_http_is_refused_in_the_same_form(server: Running) -> None:
    for words in (b"\x16\x03\x01 hello\r\n\r\n", b"GET /model HTTP/1.1\r\nHost localhost\r\n\r\n"):
        with connected(server, words) as client:
            said = everything(client)
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b'{"error": {"code": "bad_request"' in said
    with connected(server, HEAD + b"A: " + b"x" * 70_000) as client:
        assert b'"too_long_headers"' in everything(client)


def test_headers_may_be_long_and_come_in_pieces(server: Running) -> None:
    with connected(
        server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    ) as client:
        for _ in range(6):
            time.sleep(0.05)
            client.sendall(b"A: " + b"x" * 10_000 + b"\r\n")
        client.sendall(b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200 ")


def test_sigterm_finishes_what_was_accepted_and_leaves_with_0(folder: Path, tmp_path: Path) -> None:
    with running(folder, tmp_path) as server:
        assert is_served(server)
        length = f"Content-Length: {len(WHITE)}\r\n\r\n".encode()
        idle = connected(server)
        # Accepted: the server has its head and half of its body.
        half = connected(server, HEAD + length + WHITE[:40])
        kept = server.connect()
        kept.request("POST", "/predict", WHITE, PNG)
        assert kept.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        assert everything(idle) == b""  # it lets go of who asks nothing ...
        with pytest.raises(OSError, match=r"refused"):
            connected(server)  # ... takes nobody new ...
        half.sendall(WHITE[40:])
        assert everything(half).startswith(b"HTTP/1.1 200 ")  # ... and finishes what it has.
        for client in (idle, half, kept):
            client.close()
        _, err = server.process.communicate(timeout=60)
        assert (server.process.returncode, err) == (0, "")


def test_ctrl_c_ends_it_with_0(folder: Path, tmp_path: Path) -> None:
    with running(folder, tmp_path) as server:
        assert server.stop(signal.SIGINT) == (0, "")


def test_off_loopback_the_token_is_printed_once_and_needed(folder: Path, tmp_path: Path) -> None:
    with running(folder, tmp_path, "--host", "0.0.0.0") as server:
        token = server.address.split("?token=")[1]
        assert server.ask("POST", "/predict", body=WHITE).code == "token_needed"
        right = {**PNG, "authorization": f"Bearer {token}"}
        assert server.ask("POST", "/predict", right, WHITE).status == 200
        assert (
            server.ask("POST", "/predict", {**right, "host": "evil.example"}, WHITE).status == 421
        )
        assert server.stop() == (0, "")


def test_what_cannot_be_served_is_said_before_anything_listens(
    folder: Path, tmp_path: Path, cli: Cli
) -> None:
    changed = copy_of(folder, tmp_path / "changed")
    change(changed, "model.onnx", lambda content: content[:-1] + b"\0", is_hidden=False)
    for words, said in [
        ([changed], "not what was exported"),
        ([tmp_path / "none"], "no exported model"),
        ([folder, "--int8"], "exported without --int8"),
        ([folder, "--host", "192.0.2.1"], "cannot listen there"),
        ([folder, "--port", "70000"], "a port up to 65535"),
    ]:
        answer = cli("serve", *words)
        assert answer.status == 2
        assert said in answer.err
        assert "Traceback" not in answer.err


SCHEMATHESIS = [
    *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
]


@pytest.mark.parametrize(
    "seconds", [30, pytest.param(300, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_schemathesis_finds_no_server_error_and_no_breach_of_the_schema(
    server: Running, seconds: int, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS)
    command = [*SCHEMATHESIS, "run", f"http://127.0.0.1:{server.port}/openapi.json"]
    command += ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "100000"]
    command += ["--max-time", str(seconds), "--seed", "1", "--no-color"]
    found = subprocess.run(
        command,
        env={"PATH": "", "SCHEMATHESIS_HOOKS": str(hooks), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, (found.stdout + found.stderr)[-8_000:]
    assert is_served(server)


# Without images schemathesis would only ever ask with bytes that are none.
HOOKS = """
import io
import schemathesis
from hypothesis import strategies as st
from PIL import Image

def image(size, colour, mode, form):
    content = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(content, form)
    return content.getvalue()

sides = st.tuples(st.integers(1, 90), st.integers(1, 90))
colours = st.tuples(*[st.integers(0, 255)] * 3)
for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP"):
    images = st.builds(image, sides, colours, st.sampled_from(["L", "RGB"]), st.just(form))
    schemathesis.openapi.media_type(f"image/{form.lower()}", images)
schemathesis.openapi.media_type("application/octet-stream", images)
"""
