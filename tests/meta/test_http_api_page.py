"""docs/http_api.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from docs import http_codes
from modiste.data.decode import MAX_PIXELS, MAX_SCANS
from modiste.serve.limits import MEBIBYTE, Limits

DOCS = Path(__file__).parents[2] / "docs"


def test_the_tables_of_addresses_and_codes_are_those_of_the_code() -> None:
    assert http_codes.page() == http_codes.PAGE.read_text("utf-8"), "python -m docs.http_codes"


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    text = (DOCS / "http_api.md").read_text("utf-8").partition("## Limits")[2]
    said = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)[1:]
    assert [(words.split(",")[0], re.findall(r"\d+", most)) for words, most in said] == [
        ("a body", [str(limits.body_bytes // MEBIBYTE)]),
        (
            "images in one request",
            [str(limits.images), str(MAX_PIXELS // 1_000_000), str(MAX_SCANS)],
        ),
        ("headers", [str(limits.head_bytes >> 10), f"{limits.head_seconds:g}"]),
        ("a body's arrival", [f"{limits.body_seconds:g}"]),
        ("an answer", [f"{limits.answer_seconds:g}"]),
        ("an answer's way to the client", [f"{limits.send_seconds:g}"]),
        ("the bodies of all requests together", [str(limits.held_bytes // MEBIBYTE), "503"]),
        ("requests at work and waiting", [str(limits.workers), str(limits.queued), "503"]),
        ("connections", [str(limits.connections), "503"]),
    ]
    assert f"{limits.request_seconds + 1:g} seconds at the latest" in text
