"""What the docs say of the committed results is what those results say."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from modiste.api.study import write_report
from modiste.report.context import Context, gather
from modiste.search.study import Study

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", name="page")
def _page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results_page", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", name="context")
def _context() -> Context:
    return gather(Study(ROOT / "results" / "fashion-mnist"))


def test_the_readme_holds_every_published_row_beside_ours(
    page: ModuleType, context: Context
) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert page.with_table(readme, context) == readme, "run: python docs/results.py"
    lines = readme.partition(page.BEGIN)[2].partition(page.END)[0].splitlines()
    num_published = sum(len(stage.rows) for stage in context.published.stages.values())
    assert len([line for line in lines if line.startswith("| ")]) == 1 + num_published


def test_the_committed_report_is_what_its_results_say(tmp_path: Path) -> None:
    committed = ROOT / "results" / "fashion-mnist"
    copy = tmp_path / "fashion-mnist"
    shutil.copytree(committed, copy)
    write_report(Study(copy))
    for name in ("report.md", "report.html"):
        assert (copy / name).read_bytes() == (committed / name).read_bytes(), name


def test_the_page_of_claims_is_that_of_the_committed_runs(
    page: ModuleType, context: Context
) -> None:
    text = (ROOT / "docs" / "claims.md").read_text("utf-8")
    assert page.claims_page(context) == text, "run: python docs/results.py"
