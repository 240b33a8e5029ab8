"""A study folder turned into its report."""

from __future__ import annotations

from pathlib import Path

from modiste.report import html, markdown
from modiste.report.blocks import SectionText
from modiste.report.context import Context, gather
from modiste.report.explained import with_explanations
from modiste.report.html import Head
from modiste.report.numbers import count, plural
from modiste.report.section import SECTIONS
from modiste.runs import files
from modiste.runs.ledger import NOT_ASKED, Tally
from modiste.search.study import Study


def write(study: Study, tally: Tally = NOT_ASKED) -> Path:
    """Write STUDY/report.html and STUDY/report.md.

    The same folder and tally give the same bytes, with the same version of matplotlib.

    Args:
        study: The folder; may be finished in part or not at all.
        tally: Of the ledger of its test set; looks are unknown, if no ledger was asked.

    Returns:
        The path of the HTML file.

    Raises:
        StoreError: If something in the folder cannot be read, or the report not be written.
    """
    context = gather(study, tally)
    head, sections = _head(context), _sections(context)
    path = study.folder / "report.html"
    files.write_bytes(study.folder / "report.md", files.to_utf8(markdown.render(head, sections)))
    files.write_bytes(path, files.to_utf8(html.render(head, sections)))
    return path


def _head(context: Context) -> Head:
    study = context.study
    commits = sorted({str(run.environment.get("git_commit")) for run in context.runs} - {"None"})
    parts = [
        f"profile {study.profile}",
        f"seed {study.seed}",
        plural(len(context.runs), "run"),
        f"data {study.data_digest[:12]}",
    ]
    if commits:
        more = f" and {count(len(commits) - 1)} more" if len(commits) > 1 else ""
        parts.append(f"commit {_main_commit(context)}{more}")
    kicker = "Report of a study" + (" · cut profile" if context.is_cut else "")
    return Head(study.spec.title or study.name, kicker, " · ".join(parts))


def _main_commit(context: Context) -> str:
    """That of the most runs; the table of the environment has all of them."""
    commits = [str(run.environment.get("git_commit")) for run in context.runs]
    known = [commit for commit in commits if commit != "None"]
    return max(sorted(set(known)), key=known.count)


def _sections(context: Context) -> list[SectionText]:
    answer: list[SectionText] = []
    named = [(name, SECTIONS.get(name)) for name in SECTIONS.names()]
    for name, section in sorted(named, key=lambda item: (item[1].order, item[0])):
        blocks = section.build(context)
        if blocks:
            number = str(len(answer)) if answer else ""
            answer.append(SectionText(section.title, name, number, blocks))
    return with_explanations(html.apart(answer))
