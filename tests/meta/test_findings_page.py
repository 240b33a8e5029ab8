"""The page of findings says what the checks say, of every one."""

from __future__ import annotations

import re
from pathlib import Path

from docs import findings
from modiste.evaluate.finding import FINDINGS
from modiste.evaluate.study_finding import STUDY_FINDINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "findings.md").read_text("utf-8")


def test_the_page_is_what_the_checks_say() -> None:
    assert findings.page() == TEXT, "run: python -m docs.findings"


def test_every_finding_has_its_paragraph_and_no_other_has() -> None:
    codes = re.findall(r"^### (M\d{3}) ", TEXT, re.MULTILINE)
    assert codes == [*FINDINGS.names(), *STUDY_FINDINGS.names()]
    text = " ".join(TEXT.split())
    assert text.count("*Why it matters:*") == text.count("*What to do:*") == len(codes)
