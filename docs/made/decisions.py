"""A list of all decisions, by number."""

from __future__ import annotations

from pathlib import Path

from docs.made.markdown import block, table

FOLDER = Path(__file__).resolve().parents[1] / "decisions"


def text() -> str:
    """Number and title of each, and where the site keeps them."""
    pages = sorted(FOLDER.glob("[0-9]*.md"))
    rows = [[page.name[:4], f"[{_title(page)}]({page.name})"] for page in pages]
    tree = "\n".join([":hidden:", "", *(page.stem for page in pages)])
    return f"{table(['number', 'decision'], rows)}\n\n{block('{toctree}', tree)}"


def _title(page: Path) -> str:
    return page.read_text("utf-8").splitlines()[0].removeprefix("# ")
