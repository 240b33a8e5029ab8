"""The files beside docs/ that are pages of the site as well."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")


def page(name: str) -> str:
    """A file of the repository's root, with its links seen from docs/."""
    return _LINK.sub(lambda link: f"]({_from_docs(link[1])})", (ROOT / name).read_text("utf-8"))


def _from_docs(target: str) -> str:
    return target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"
