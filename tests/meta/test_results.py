"""What the docs say of the committed results is what those results say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from docs import results
from modiste.api.study import write_report
from modiste.report.context import Context, gather
from modiste.search.study import Study

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", name="context")
def _context() -> Context:
    return gather(Study(ROOT / "results" / "fashion-mnist"))


def test_the_readme_holds_every_published_row_beside_ours(context: Context) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert results.with_table(readme, context) == readme, "run: python -m docs.results"
    lines = readme.partition("results: begin")[2].partition("results: end")[0].splitlines()
    num_published = sum(len(stage.rows) for stage in context.published.stages.values())
    assert len([line for line in lines if line.startswith("| ")]) == 1 + num_published


def test_the_committed_report_is_what_its_results_say(tmp_path: Path) -> None:
    committed = ROOT / "results" / "fashion-mnist"
    copy = tmp_path / "fashion-mnist"
    shutil.copytree(committed, copy)
    write_report(Study(copy))
    for name in ("report.md", "report.html"):
        assert (copy / name).read_bytes() == (committed / name).read_bytes(), name


def test_the_page_of_claims_is_that_of_the_committed_runs(context: Context) -> None:
    text = (ROOT / "docs" / "claims.md").read_text("utf-8")
    assert results.claims_page(context) == text, "run: python -m docs.results"
