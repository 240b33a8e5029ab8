"""Who may ask: foreign hosts, foreign pages, and those who do not know the token."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from modiste.serve.access import Access, is_loopback
from modiste.serve.answers import Served
from modiste.serve.app import create_app
from tests.serving import ask

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module", name="open_app")
def _open_app(served: Served) -> FastAPI:
    """As it stands where others can reach it."""
    return create_app(served, Access(frozenset({"model.example"}), TOKEN, "modiste-80"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_is_refused_whatever_the_method(
    app: FastAPI, method: str, host: str
) -> None:
    reply = ask(app, method, "/healthz", {"host": host})
    assert (reply.status, reply.code) == (421, "wrong_host")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://localhost.evil.example", "http://localhost/x"],
)
def test_a_foreign_page_is_refused_whatever_the_method(
    app: FastAPI, method: str, origin: str
) -> None:
    reply = ask(app, method, "/model", {"origin": origin})
    assert (reply.status, reply.code) == (403, "foreign_origin")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_this_machine_may_ask_by_each_of_its_names(app: FastAPI, host: str) -> None:
    assert ask(app, "GET", "/model", {"host": host, "origin": f"http://{host}"}).status == 200


def test_another_port_of_this_machine_is_a_foreign_page(app: FastAPI) -> None:
    headers = {"host": "localhost:8000", "origin": "http://localhost:9000"}
    assert ask(app, "GET", "/model", headers).code == "foreign_origin"


def test_two_hosts_are_none(app: FastAPI) -> None:
    twice = [("host", "localhost"), ("host", "localhost")]
    assert ask(app, "GET", "/model", twice).code == "wrong_host"


def test_a_foreign_page_takes_no_picture_in_and_may_link_to_here(app: FastAPI) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    taken = ask(app, "GET", "/samples/0", {**foreign, "sec-fetch-mode": "no-cors"})
    assert taken.code == "foreign_origin"
    assert ask(app, "GET", "/", {**foreign, "sec-fetch-mode": "navigate"}).status == 200


@pytest.mark.parametrize("path", ["/", "/card", "/model", "/samples/0", "/openapi.json", "/none"])
def test_off_loopback_everything_but_health_needs_the_token(open_app: FastAPI, path: str) -> None:
    host = {"host": "model.example"}
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "modiste-80=wrong"}):
        reply = ask(open_app, "GET", path, {**host, **headers})
        assert (reply.status, reply.code) == (401, "token_needed")
        assert reply.headers["www-authenticate"] == "Bearer"
    others = ('theme={"a":1}', "flag", "sess=a b", 'open="x', "modiste-8000=wrong")
    right = (
        {"authorization": f"Bearer {TOKEN}"},
        {"cookie": f"a=b; modiste-80={TOKEN}"},
        # What other servers of this host have left stands before ours.
        *({"cookie": f"{other}; modiste-80={TOKEN}"} for other in others),
    )
    statuses = {ask(open_app, "GET", path, {**host, **headers}).status for headers in right}
    assert statuses == {404 if path == "/none" else 200}
    for health in ("/healthz", "/readyz"):
        assert ask(open_app, "GET", health, host).status == 200


def test_the_printed_address_becomes_a_cookie_that_no_script_reads(open_app: FastAPI) -> None:
    reply = ask(open_app, "GET", f"/?token={TOKEN}", {"host": "model.example"})
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert ask(open_app, "GET", "/?token=wrong", {"host": "model.example"}).status == 401


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("//evil.example/", "/evil.example/"),
        ("///evil.example", "/evil.example"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("/\N{CJK UNIFIED IDEOGRAPH-4E2D}", "/%E4%B8%AD"),
        ("/a\r\nb: c", "/a%0D%0Ab%3A%20c"),
    ],
    ids=["another host", "three slashes", "backslash", "letters", "line ends"],
)
def test_the_printed_address_leads_to_no_other_host(
    open_app: FastAPI, asked: str, leads_to: str
) -> None:
    reply = ask(open_app, "GET", f"{asked}?token={TOKEN}", {"host": "model.example"})
    assert (reply.status, reply.headers["location"]) == (303, leads_to)


@pytest.mark.parametrize("host", ["192.0.2.7:8000", "[2001:db8::1]"])
def test_off_loopback_a_number_is_a_host_and_a_foreign_name_is_not(
    open_app: FastAPI, host: str
) -> None:
    token = {"authorization": f"Bearer {TOKEN}"}
    assert ask(open_app, "GET", "/model", {"host": host, **token}).status == 200
    assert ask(open_app, "GET", "/model", {"host": "evil.example", **token}).code == "wrong_host"


def test_a_number_of_another_machine_is_no_host_on_loopback(app: FastAPI) -> None:
    assert ask(app, "GET", "/model", {"host": "192.0.2.7"}).code == "wrong_host"


def test_the_token_stands_in_no_representation() -> None:
    assert TOKEN not in repr(Access(token=TOKEN))


def test_loopback_is_told_from_what_others_reach() -> None:
    assert [is_loopback(a) for a in ("127.0.0.1", "127.9.9.9", "::1", "fe80::1%eth0")] == [
        *(True, True, True),
        False,
    ]
    assert not is_loopback("0.0.0.0")
