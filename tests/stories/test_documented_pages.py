"""Somebody does what the README and each page of docs/ say, from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from modiste.export import certificate
from modiste.spec.parts import MODELS
from tests.command_line import Cli
from tests.documented import PAGES, ROOT, RUN, blocks, lay_out, needs, own_test, reader

pytestmark = pytest.mark.slow

RUNNABLE = [
    path
    for path in PAGES
    if not own_test(text := path.read_text("utf-8"))
    and any(block.language in RUN for block in blocks(text))
]


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_says_can_be_done(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    text = path.read_text("utf-8")
    root = tmp_path / "checkout"
    root.mkdir()
    # How fast an export is does not matter here, and measuring it takes a second each time.
    monkeypatch.setattr(certificate, "_LEAST_SECONDS", 0.0)
    # A page may add a model family; it is one of this test alone.
    monkeypatch.setattr(MODELS, "_entries", {name: MODELS.get(name) for name in MODELS.names()})
    lay_out(root, needs(text))
    monkeypatch.chdir(root)
    with reader(cli, root) as person:
        for block in blocks(text):
            person.read(block)
    assert person.done > 0


def test_the_readme_and_the_tutorial_are_among_the_pages() -> None:
    names = [str(path.relative_to(ROOT)) for path in RUNNABLE]
    assert {"README.md", "docs/tutorial.md"} <= set(names)
    assert len(names) >= 8
