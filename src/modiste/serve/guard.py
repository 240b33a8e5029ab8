"""What stands before everything else: who may ask, and what every answer carries."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modiste.serve.access import Access
from modiste.serve.problem import Problem

# A page of ours loads its own script and style and nothing else, from nowhere else; no page may
# show ours inside it; no other site may take in what we answer.
_POLICY = "; ".join(
    [
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
        *("img-src 'self' data: blob:", "base-uri 'none'", "form-action 'none'"),
        "frame-ancestors 'none'",
    ]
)
SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_ADDED = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class Guard:
    """An ASGI application around another.

    Args:
        app: The other.
        access: Who may ask.
        body_seconds: For which the rest of a body is read that nobody wants.
    """

    def __init__(self, app: ASGIApp, access: Access, body_seconds: float) -> None:
        self._app, self._access, self._body_seconds = app, access, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        body = _Body(receive)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_ADDED]}
                # A connection that closes on what it has not read takes the answer along.
                if _closes(scope) and not body.is_over:
                    await body.drop(self._body_seconds)
            await send(message)

        access = self._access
        try:
            access.check(scope["path"], scope["query_string"], scope["headers"])
        except Problem as problem:
            await answer(problem)(scope, body.receive, guarded)
            return
        token = access.token_in(scope["query_string"])
        if token is not None and scope["method"] == "GET":
            await _remembered(access.cookie, token, scope)(scope, body.receive, guarded)
            return
        await self._app(_as_get(scope), body.receive, guarded)


class _Body:
    """What a client sends, and whether that was all."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_over = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_over = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drop(self, seconds: float) -> None:
        """Read the rest, for so long, and keep nothing of it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.is_over:
                    await self.receive()


def _closes(scope: Scope) -> bool:
    """Whether the connection ends with this answer, of a client that has begun to send a body."""
    said = {name: value.lower() for name, value in scope["headers"]}
    has_body = b"content-length" in said or b"transfer-encoding" in said
    if not has_body or b"expect" in said:  # of these, one waits until it is asked for
        return False
    return scope["http_version"] == "1.0" or b"close" in said.get(b"connection", b"")


def answer(problem: Problem) -> Response:
    """A refusal as a response."""
    return Response(
        problem.content(), problem.status, dict(problem.headers), media_type="application/json"
    )


def _remembered(cookie: str, token: str, scope: Scope) -> Response:
    """Leads to the same page without the token, which the browser keeps from here on.

    So it stays out of the history, and no script can read it.
    """
    # Two slashes at its beginning would lead to another host.
    location = f"/{quote(scope['path'].lstrip('/'))}"
    response = Response(status_code=303, headers={"location": location})
    response.set_cookie(cookie, token, httponly=True, samesite="strict", path="/")
    return response


def _as_get(scope: Scope) -> dict[str, Any] | Scope:
    """HEAD is asked like GET; whoever sends the answer leaves its body out."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
