"""The page of findings says what the checks say, of every one."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from modiste.evaluate.finding import FINDINGS
from modiste.evaluate.study_finding import STUDY_FINDINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "findings.md").read_text("utf-8")


@pytest.fixture(scope="module", name="script")
def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("findings_page", DOCS / "findings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_checks_say(script: ModuleType) -> None:
    assert script.page() == TEXT, "run: python docs/findings.py"


def test_every_finding_has_its_paragraph_and_no_other_has() -> None:
    codes = re.findall(r"^### (M\d{3}) ", TEXT, re.MULTILINE)
    assert codes == [*FINDINGS.names(), *STUDY_FINDINGS.names()]
    text = " ".join(TEXT.split())
    assert text.count("*Why it matters:*") == text.count("*What to do:*") == len(codes)
