"""The server: where it listens, how long it is patient, and how it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from modiste.errors import SpecError
from modiste.serve.access import LOOPBACK_NAMES, Access, host_name, is_loopback
from modiste.serve.answers import Served
from modiste.serve.app import State, create_app
from modiste.serve.guard import SECURITY_HEADERS
from modiste.serve.limits import Limits
from modiste.serve.problem import Problem

_BACKLOG = 256


@dataclass(frozen=True)
class Place:
    """Where a server listens.

    Attributes:
        listener: Bound, and listening.
        access: Who may ask there.
        address: For a person to open; holds the token, if one is needed.
    """

    listener: socket.socket
    access: Access
    address: str


def listen(host: str, port: int, names: Sequence[str] = ()) -> Place:
    """Take an address, and make a token if others than this machine can reach it.

    Args:
        host: A name or a number of this machine.
        port: 0 for any free one.
        names: More hosts by which the server may be called.

    Raises:
        SpecError: If the address is none, is taken, or may not be used.
    """
    known = {name: host_name(name.lower()) for name in names}
    for name, called in known.items():
        if not called:
            raise SpecError(f"--allow-host {name}: expected a host's name, such as model.example.")
    listener = _bound(host, port)
    number, taken = listener.getsockname()[:2]
    is_open = not is_loopback(number)
    token = secrets.token_urlsafe(32) if is_open else None
    access = Access(
        frozenset((*LOOPBACK_NAMES, host.lower(), number.lower(), *known.values())),
        token,
        # A browser knows no ports of cookies; two servers must not take each other's.
        f"modiste-{taken}",
    )
    shown = host
    if ipaddress.ip_address(number.partition("%")[0]).is_unspecified:
        shown = known[names[0]] if names else socket.gethostname()
        access = Access(access.names | {socket.gethostname().lower()}, token, access.cookie)
    shown = f"[{shown}]" if ":" in shown else shown
    ending = f"?token={token}" if token else ""
    return Place(listener, access, f"http://{shown}:{taken}/{ending}")


def _bound(host: str, port: int) -> socket.socket:
    where = f"--host {host} --port {port}"
    if not host or not 0 <= port <= 65535:
        raise SpecError(f"{where}: expected an address of this machine and a port up to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SpecError(f"{where}: no address of this machine ({error}).") from None
    try:
        # So that a new server may follow an old one at once; two at a time it does not allow.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SpecError(
            f"{where}: cannot listen there ({error.strerror}). Another port, or --port 0 for any "
            "free one?"
        ) from None
    return listener


def run(
    served: Served,
    place: Place,
    limits: Limits | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; what was accepted by then is finished.

    Args:
        served: The model.
        place: Where to listen; closed at the end.
        limits: What is refused.
        started: Called when the first request can be answered.
    """
    limits, state = limits or Limits(), State()
    config = uvicorn.Config(
        create_app(served, place.access, limits, state),
        http=_patient(limits),
        h11_max_incomplete_event_size=limits.head_bytes,
        ws="none",
        loop="asyncio",
        lifespan="on",
        # Requests are not logged: images and their names are the client's own.
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(limits.head_seconds),
        # Every request has ended by then, one way or the other.
        timeout_graceful_shutdown=int(limits.request_seconds) + 1,
    )
    with place.listener:
        _Server(config, state, started).run([place.listener])


class _Server(uvicorn.Server):
    """Ends with status 0: to be stopped is how a server ends."""

    def __init__(self, config: uvicorn.Config, state: State, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._state, self._tell_started = state, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._state.is_stopping = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn's own raises the signal again at the end, and so ends with its status.
        before = {
            sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


class Patient(H11Protocol):
    """One connection, with an end to everything: uvicorn alone would wait for ever.

    The head of a request has its time, and so has a request as a whole, the client's taking of
    the answer included; the body's own limit is in `body`.
    """

    limits: ClassVar[Limits] = Limits()
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._patience(self.limits.head_seconds)
        if len(self.connections) > self.limits.connections:
            words = f"{self.limits.connections} connections are open already; come again."
            retry = {"retry-after": str(self.limits.retry_seconds)}
            self._refuse(Problem("busy", words, retry))

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._patience(self.limits.request_seconds)

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        is_next = self.cycle is not before  # it came before it was its turn
        self._patience(self.limits.request_seconds if is_next else self.limits.head_seconds)

    def send_400_response(self, msg: str) -> None:
        too_long = len(self.conn.trailing_data[0]) > self.limits.head_bytes
        code = "too_long_headers" if too_long else "bad_request"
        self._refuse(Problem(code, f"no request of HTTP: {msg}"))

    def _patience(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Also of one that closes: what was written for it may wait for a reader who never reads.
        self._timer = self.loop.call_later(seconds, self._expire) if seconds else None

    def _expire(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        is_idle = cycle is None or cycle.response_complete
        if is_idle and self.conn.trailing_data[0] and not self.transport.is_closing():
            limit = f"{self.limits.head_seconds:g} seconds"
            self._refuse(Problem("too_slow", f"the headers did not end within {limit}."))
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer without a request, and close."""
        content = problem.content()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
            **problem.headers,
            **SECURITY_HEADERS,
        }
        lines = [f"HTTP/1.1 {problem.status} "]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + content)
        self.transport.close()


def _patient(limits: Limits) -> type[Patient]:
    """Uvicorn makes connections itself, and knows only a class."""
    return type("Patient", (Patient,), {"limits": limits})
