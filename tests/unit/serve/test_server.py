"""Where a server listens, and when it makes a token."""

from __future__ import annotations

import socket

import pytest

from modiste.errors import SpecError
from modiste.serve.server import listen


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
