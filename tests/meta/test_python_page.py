"""docs/python.md says what is public, and what it shows is true."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest

import modiste
from modiste.export import certificate
from tests import small
from tests.synthetic import write_idx

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> str:
    """What its code blocks hold."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert all(">>> " in block for block in blocks)
    return "\n".join(blocks)


def test_the_page_names_what_is_public_and_nothing_else() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(modiste.__all__)


def test_every_public_name_has_an_example_on_the_page() -> None:
    shown = set(re.findall(r"\b\w+\b", examples()))
    assert set(modiste.__all__) - shown == set()


@pytest.mark.slow
def test_the_examples_on_the_page_come_out_as_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_idx(tmp_path / "my-images", num_train=300, num_test=100)
    small.write_study(tmp_path / "tiny.yaml", small.STUDY)
    shutil.copy(ROOT / "tests" / "samples" / "talos1.csv", tmp_path / "talos.csv")
    # How fast an export is does not matter here, and measuring it takes a second each time.
    monkeypatch.setattr(certificate, "_LEAST_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest(PAGE.read_text("utf-8"), {}, "page", str(PAGE), 0)
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    assert not result.failed, "".join(said)
    assert "tiny: 0 of 2 runs" in capsys.readouterr().err  # what `verbose` shows in a log
    assert result.attempted > 30
