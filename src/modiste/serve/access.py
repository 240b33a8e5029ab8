"""Who may ask: decided from the headers alone, before a byte of the body is read.

A browser on this machine can be made to send requests by any page it shows. So the host that a
request names has to be ours (a foreign name that was made to point here, "DNS rebinding", is not),
and where the browser says which site asks, that has to be ours as well. Off this machine's own
addresses everybody needs the token, too.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from modiste.serve.problem import Problem

Headers = Sequence[tuple[bytes, bytes]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# What watches over a server has no token, and these two say nothing but "here" and "ready".
WITHOUT_TOKEN = frozenset({"/healthz", "/readyz"})


@dataclass(frozen=True)
class Access:
    """The rule.

    Attributes:
        names: Hosts by which this server may be called, in lower case.
        token: What everybody has to know; none on this machine's own addresses.
        cookie: Under which a browser keeps the token.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    token: str | None = field(default=None, repr=False)
    cookie: str = "modiste"

    def check(self, path: str, query: bytes, headers: Headers) -> None:
        """Refuse who may not ask.

        Raises:
            Problem: ``wrong_host``, ``foreign_origin`` or ``token_needed``.
        """
        host = self._check_host(headers)
        self._check_origin(host, headers)
        if self.token is not None and path not in WITHOUT_TOKEN:
            self._check_token(query, headers)

    def token_in(self, query: bytes) -> str | None:
        """The right token, if the address holds it: as a person opens it for the first time."""
        given = parse_qs(query.decode("latin-1")).get("token", [""])[-1]
        return given if self.token is not None and self._is_token(given) else None

    def _check_host(self, headers: Headers) -> str:
        given = _values(headers, b"host")
        host = given[0].lower() if len(given) == 1 else ""
        name = host_name(host)
        # Nobody can make a number mean another machine, as one can with a name; beyond loopback
        # the numbers of this machine are many and may change.
        if name in self.names or (self.token is not None and _is_address(name)):
            return host
        raise Problem(
            "wrong_host",
            f"the request names the host {name or host!r}; this server is "
            f"{', '.join(sorted(self.names))}. Ask it by one of these names, or start it with "
            "--allow-host NAME.",
        )

    def _check_origin(self, host: str, headers: Headers) -> None:
        for origin in _values(headers, b"origin"):
            parts = _split(origin)
            if parts is None or parts[0] not in ("http", "https") or parts[1] != host:
                raise Problem(
                    "foreign_origin",
                    f"a page of {origin!r} asks the host {host!r}; only this server's own pages "
                    "may. A proxy in front of it has to hand on the Host that it was asked for.",
                )
        site, mode = _values(headers, b"sec-fetch-site"), _values(headers, b"sec-fetch-mode")
        # Somebody may follow a link to here; a foreign page may not take anything in.
        if site[:1] == ["cross-site"] and mode[:1] != ["navigate"]:
            raise Problem("foreign_origin", "a page of another site asks; only our own may.")

    def _check_token(self, query: bytes, headers: Headers) -> None:
        bearers = [
            value[7:].strip()
            for value in _values(headers, b"authorization")
            if value[:7].lower() == "bearer "
        ]
        given = [*bearers, *_cookies(headers, self.cookie)]
        if not any(self._is_token(value) for value in given) and self.token_in(query) is None:
            raise Problem(
                "token_needed",
                "this server answers those who know its token, which it printed when it started: "
                "send 'Authorization: Bearer TOKEN', or open the address that it printed.",
                {"www-authenticate": "Bearer"},
            )

    def _is_token(self, given: str) -> bool:
        # In a time that does not tell how much of it was right.
        return hmac.compare_digest(given.encode(), (self.token or "").encode())


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a numeric address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def host_name(host: str) -> str:
    """Without port and brackets; empty if it is no host.

    Example:
        >>> host_name("localhost:8000"), host_name("[::1]:80"), host_name("a@b"), host_name("")
        ('localhost', '::1', '', '')
    """
    parts = _split(f"http://{host}")
    return (urlsplit(f"http://{host}").hostname or "") if parts and "@" not in host else ""


def _split(origin: str) -> tuple[str, str] | None:
    """Scheme and host with port, if it is nothing but that."""
    try:
        parts = urlsplit(origin)
        _ = parts.port  # is one only if it is a number
    except ValueError:
        return None
    is_bare = not (parts.path or parts.query or parts.fragment)
    return (parts.scheme, parts.netloc.lower()) if is_bare and parts.netloc else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookies(headers: Headers, name: str) -> list[str]:
    """Values of ours, whatever else stands beside: all ports of a host share their cookies."""
    said = ";".join(_values(headers, b"cookie"))
    pairs = (pair.partition("=") for pair in said.split(";"))
    return [value.strip() for key, _, value in pairs if key.strip() == name]
