"""Write docs/findings.md, one paragraph for each coded finding, from the checks themselves.

python -m docs.findings
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from modiste.evaluate.finding import FINDINGS, Check
from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck

PAGE = Path(__file__).resolve().parent / "findings.md"
HEAD = """A finding is a remark about results, not an error: whoever reads a figure should know it.
Its code never changes its meaning. Reports print findings beside the tables they are about, and
`modiste import` prints them for studies of other tools. This page is made by docs/findings.py from
the checks, one file each."""
WIDTH = 118


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


def page() -> str:
    """The page, by code."""
    parts = ["# Findings", _wrapped(HEAD), "## About a run"]
    parts += [_paragraph(FINDINGS.get(code)) for code in FINDINGS.names()]
    parts.append("## About the rows of a table")
    parts += [_paragraph(STUDY_FINDINGS.get(code)) for code in STUDY_FINDINGS.names()]
    return "\n\n".join(parts) + "\n"


def _paragraph(check: Check | StudyCheck) -> str:
    text = f"{check.about} *Why it matters:* {check.why} *What to do:* {check.advice}"
    # A link to findings.md#m001 holds whatever the title becomes.
    return (
        f'<a id="{check.code.lower()}"></a>\n\n### {check.code} {check.title}\n\n{_wrapped(text)}'
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    main()
