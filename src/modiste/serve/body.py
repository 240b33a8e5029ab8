"""The images in a request: its body is one, or it is a form of some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from modiste.data.decode import MEDIA_TYPES
from modiste.serve.limits import MEBIBYTE, Limits
from modiste.serve.problem import Problem

FORM, FIELD = "multipart/form-data", "images"
# A body of one of these is an image; which one, its first bytes say.
OTHER = "application/octet-stream"
RAW = (*MEDIA_TYPES, OTHER)


class Upload(NamedTuple):
    """An image as it was sent.

    Attributes:
        name: As the client calls it, if it does; never the name of a file here.
    """

    name: str | None
    content: bytes


class Held:
    """How many bytes of bodies are in memory, over all requests. Belongs to the event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.num_bytes = 0

    @contextmanager
    def one(self) -> Iterator[Callable[[int], None]]:
        """For the time of one request: what takes in so many more bytes of it.

        Raises:
            Problem: ``busy``, by what was given, if they are too many.
        """
        taken = 0

        def take(num_bytes: int) -> None:
            nonlocal taken
            if self.num_bytes + num_bytes > self._limits.held_bytes:
                raise Problem(
                    "busy",
                    "too many large requests are being read already; come again.",
                    {"retry-after": str(self._limits.retry_seconds)},
                )
            self.num_bytes += num_bytes
            taken += num_bytes

        try:
            yield take
        finally:
            self.num_bytes -= taken


async def images_in(request: Request, limits: Limits, take: Callable[[int], None]) -> list[Upload]:
    """What was sent, with nothing decoded.

    Args:
        request: Whose body was not read yet.
        limits: Of its size, its time and its number of images.
        take: Of `Held`.

    Raises:
        Problem: ``unsupported_media_type``, ``too_large``, ``too_slow``, ``busy``, ``bad_form``,
            ``too_many_images`` or ``no_image``.
    """
    given = request.headers.get("content-type", OTHER)
    kind = given.partition(";")[0].strip().lower()
    if kind != FORM and not kind.startswith("image/") and kind != OTHER:
        raise Problem(
            "unsupported_media_type",
            f"content-type {given!r}: expected {FORM}, image/* or {OTHER}.",
        )
    content = await _body(request, limits, take)
    uploads = await _form(request, content, limits) if kind == FORM else [Upload(None, content)]
    for number, upload in enumerate(uploads, start=1):
        if not upload.content:
            raise Problem("no_image", f"image {number} of {len(uploads)}: there is nothing in it.")
    return uploads


async def _body(request: Request, limits: Limits, take: Callable[[int], None]) -> bytes:
    """All of it, if it comes in time and is no longer than it may be."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limits.body_bytes:
        raise _too_large(f"{int(said):,} bytes", limits)
    content = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                take(len(chunk))
                content += chunk
                if len(content) > limits.body_bytes:
                    raise _too_large("a body without end", limits)
    except TimeoutError:
        raise Problem(
            "too_slow",
            f"{len(content):,} bytes came in {limits.body_seconds:g} seconds, and not the end.",
            {"connection": "close"},
        ) from None
    except ClientDisconnect:
        # Nobody is there to read it; it only has to end here.
        raise Problem("bad_request", "the connection ended before the body did.") from None
    return bytes(content)


def _too_large(given: str, limits: Limits) -> Problem:
    most = f"{limits.body_bytes / MEBIBYTE:g} MiB"
    return Problem("too_large", f"{given}; the limit of one request is {most}. Send less at once.")


async def _form(request: Request, content: bytes, limits: Limits) -> list[Upload]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content
        yield b""

    # One more than allowed, so that the message can be ours.
    most = limits.images + 1
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"").decode("latin-1")
    # The parser would leave out the part that it ends in, and say nothing.
    if boundary and content and f"--{boundary}--".encode("latin-1") not in content:
        raise Problem("bad_form", "the form cannot be read: it ends before its last boundary.")
    # A part without a file name is read as text; as latin-1 it can be turned back into its bytes.
    as_bytes = Headers({"content-type": f'{FORM}; boundary="{boundary}"; charset=latin-1'})
    parser = MultiPartParser(
        as_bytes, stream(), max_files=most, max_fields=most, max_part_size=limits.body_bytes
    )
    # It is in memory already, and no larger than a body may be.
    parser.spool_max_size = limits.body_bytes + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many f"):
            raise _too_many(limits) from None
        raise Problem("bad_form", f"the form cannot be read: {error.message}") from None
    except (KeyError, ValueError, AssertionError) as error:
        raise Problem("bad_form", f"the form cannot be read ({error}).") from None
    try:
        uploads = [await _upload(name, value) for name, value in form.multi_items()]
    finally:
        await form.close()
    if len(uploads) > limits.images:
        raise _too_many(limits)
    if not uploads:
        raise Problem("no_image", f"the form is empty; expected images, each called {FIELD!r}.")
    return uploads


async def _upload(name: str, value: UploadFile | str) -> Upload:
    if name != FIELD:
        raise Problem(
            "bad_form",
            f"the form has a part {_as_text(name)[:80]!r}; expected images, each called {FIELD!r}.",
        )
    if isinstance(value, str):
        return Upload(None, value.encode("latin-1"))
    return Upload(_as_text(value.filename or "") or None, await value.read())


def _as_text(latin: str) -> str:
    return latin.encode("latin-1").decode("utf-8", "replace")


def _too_many(limits: Limits) -> Problem:
    return Problem(
        "too_many_images", f"more than {limits.images} images; send the others in another request."
    )
