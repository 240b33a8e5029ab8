"""What the remarks of a report mean: the last section, which every code in it leads to."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.evaluate.finding import FINDINGS, Check
from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck
from modiste.report.blocks import Block, Code, Heading, Paragraph, Remarks, SectionText, Strong

IDENT = "finding-"


def with_explanations(sections: Sequence[SectionText]) -> list[SectionText]:
    """The sections, and one more with a paragraph for each finding that occurs in them.

    So a report explains itself wherever it lies, in the words of docs/findings.md, which are made
    from the same checks.
    """
    codes = {
        remark.code
        for section in sections
        for block in section.blocks
        if isinstance(block, Remarks)
        for remark in block.remarks
    }
    if not codes:
        return list(sections)
    blocks: list[Block] = [
        Paragraph(
            [
                (
                    "A remark is no error: whoever reads a figure should know it. These are the "
                    "ones that occur here; all there are stand in "
                ),
                Code("docs/findings.md"),
                " of modiste.",
            ]
        )
    ]
    for code in sorted(codes):
        blocks += _explained(code)
    number = str(max(int(section.number or 0) for section in sections) + 1)
    return [*sections, SectionText("What the remarks mean", "findings", number, blocks)]


def check_of(code: str) -> Check | StudyCheck:
    """The check that makes findings of this code."""
    return FINDINGS.get(code) if code in FINDINGS.names() else STUDY_FINDINGS.get(code)


def _explained(code: str) -> list[Block]:
    check = check_of(code)
    return [
        Heading(f"{code} {check.title}", f"{IDENT}{code}"),
        Paragraph(
            [
                f"{check.about} ",
                Strong("Why it matters:"),
                f" {check.why} ",
                Strong("What to do:"),
                f" {check.advice}",
            ]
        ),
    ]
