"""Where a server listens, when it makes a token, and whom it does not wait for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from modiste.errors import SpecError
from modiste.serve.limits import Limits
from modiste.serve.server import Patient, listen


def test_on_this_machines_own_address_there_is_no_token() -> None:
    place = listen("127.0.0.1", 0)
    with place.listener:
        assert place.access.token is None
        port = place.listener.getsockname()[1]
        assert place.address == f"http://127.0.0.1:{port}/"
        assert place.access.names == {"localhost", "127.0.0.1", "::1"}


def test_another_number_of_this_machine_alone_is_one_of_its_names() -> None:
    place = listen("127.0.0.2", 0, ["Model.Example"])
    with place.listener:
        assert place.access.token is None
        assert {"127.0.0.2", "model.example"} <= place.access.names


def test_a_name_is_allowed_with_or_without_its_port_and_none_is_refused() -> None:
    place = listen("127.0.0.1", 0, ["model.example:8443", "[::2]"])
    with place.listener:
        assert {"model.example", "::2"} <= place.access.names
    for name in ("", "https://model.example", "a@b"):
        with pytest.raises(SpecError, match="expected a host's name"):
            listen("127.0.0.1", 0, [name])


def test_on_any_other_address_there_is_a_token_of_256_bits_and_another_each_time() -> None:
    tokens = set()
    for _ in range(2):
        place = listen("0.0.0.0", 0, ["model.example"])
        with place.listener:
            token = place.access.token
            assert token is not None
            assert len(token) >= 43
            assert place.address.endswith(f"/?token={token}")
            assert {"model.example", "localhost"} <= place.access.names
            tokens.add(token)
    assert len(tokens) == 2


@pytest.mark.parametrize("host", ["", "no such host", "192.0.2.1"])
def test_an_address_that_is_none_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SpecError, match=f"--host {host} --port 0: "):
        listen(host, 0)


def test_a_port_that_is_taken_is_named_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"--port {port}: cannot listen there .*--port 0"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(SpecError, match="a port up to 65535"):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("after", [b"", b"GET /more"], ids=["one request", "and half another"])
def test_whoever_never_takes_the_last_answer_is_hung_up_on(
    after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bytes(32 * 2**20)  # more than any buffer between the two holds

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        length = str(len(body)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def num_seconds() -> float:
        config, state = uvicorn.Config(answer, http=Patient, lifespan="off"), ServerState()
        config.load()
        loop = asyncio.get_running_loop()
        connections: list[Patient] = []

        def connected() -> Patient:
            connections.append(Patient(config, state, {}))
            return connections[0]

        server = await loop.create_server(connected, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" + after)
            while not (connections and connections[0].transport.is_closing()):
                await asyncio.sleep(0.001)
            # It closes, as it was asked to, but for what nobody takes.
            assert connections[0].transport.get_write_buffer_size() > 0
            began = loop.time()
            while state.connections:
                await asyncio.sleep(0.001)
            seconds = loop.time() - began
        server.close()
        await server.wait_closed()
        return seconds

    monkeypatch.setattr(Patient, "limits", Limits(head_seconds=0.2))
    assert 0.1 < asyncio.run(asyncio.wait_for(num_seconds(), timeout=60)) < 20
