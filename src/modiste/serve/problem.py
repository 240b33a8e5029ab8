"""Every refusal, as one JSON object: ``{"error": {"code": ..., "message": ...}}``.

The codes are stable: programs may tell cases apart by them. The messages are for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Code: its HTTP status, and when it is given.
CODES: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "bad_request": (400, "What was sent is no HTTP, or a part of the address makes no sense."),
        "bad_form": (400, "A form that is damaged, or has other parts than images."),
        "no_image": (400, "The body, or the form, is empty."),
        "token_needed": (401, "This server answers only those who know its token."),
        "foreign_origin": (403, "A page of another site asked through somebody's browser."),
        "not_found": (404, "There is no such address, or no sample of that number."),
        "method_not_allowed": (405, "The address is there, and is asked in another way."),
        "too_slow": (408, "The request did not arrive in time."),
        "too_large": (413, "More bytes than one request may have."),
        "too_many_images": (422, "More images than one request may have."),
        "unsupported_media_type": (415, "The body is neither an image nor a form."),
        "wrong_host": (421, "The request was meant for another host than this one."),
        "bad_image": (422, "A file is no image of a known format, is damaged, or is too large."),
        "too_long_headers": (431, "Headers that go on after 64 KiB."),
        "internal": (500, "A bug of ours."),
        "busy": (503, "More requests than can wait. Come again after Retry-After seconds."),
        "stopping": (503, "The server finishes what it has accepted, and accepts nothing new."),
        "took_too_long": (504, "The answer was not ready in time."),
    }
)


class Problem(Exception):
    """A request that is refused.

    Attributes:
        code: One of `CODES`.
        message: What was given, what was expected, what would do.
        headers: That HTTP wants beside the status.
    """

    def __init__(
        self, code: str, message: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers

    @property
    def status(self) -> int:
        """Of HTTP."""
        return CODES[self.code][0]

    def content(self) -> bytes:
        """The body of the answer.

        Example:
            >>> Problem("no_image", "the body is empty").content()
            b'{"error": {"code": "no_image", "message": "the body is empty"}}'
        """
        return json.dumps({"error": {"code": self.code, "message": self.message}}).encode()
