"""M011: test images had a say in the choice."""

from __future__ import annotations

import re

from modiste.evaluate.study_finding import STUDY_FINDINGS, Opened, StudyCheck, StudyFacts

_TEST = re.compile(r"(^|[^a-z])test([^a-z]|$)", re.IGNORECASE)


def _look(study: StudyFacts) -> str:
    num = len(study.entries)
    if not num:
        return ""
    if study.scored_on == "test" or _TEST.search(study.figure):
        return f"{num} rows were ranked by {study.figure}, measured on test images"
    beside = [name for name in study.also if _TEST.search(name)]
    if beside:
        return f"{num} rows carry {' and '.join(beside)}, so the test set was asked before a choice"
    if study.opened is not None and num > 1:
        return _late(study.opened, num)
    return ""


def _late(opened: Opened, num: int) -> str:
    look = f"the test set had been opened for {opened.stages} ({opened.at})"
    others = f"of {opened.num_undated} the record does not say when it ended"
    if not opened.num_after:
        return f"some rows may have been trained after {look}: {others}"
    words = (
        f"{opened.num_after} of {num} rows were trained after {look}, so its figures were known "
        "when these rows were chosen between"
    )
    return f"{words}; {others}" if opened.num_undated else words


STUDY_FINDINGS.add(
    "M011",
    StudyCheck(
        "M011",
        "test set used to choose",
        "The figure that ranks the rows was measured on test images, because its name says so or "
        "whoever imported it does; or a figure of test images stands beside every row; or, in a "
        "study of ours, the test set was opened for other models before rows that were chosen "
        "between had been trained, or may have been: runs of older versions do not say when they "
        "ended.",
        "Images that chose a model cannot tell how good it is on new ones: the figure of the "
        "winner is too high, and nothing is left to say by how much. Of a test set that was opened "
        "early one can only hope that nobody let its figures guide what was tried next.",
        "Choose by a part of the training images, and open the test set once, for what was chosen. "
        "For these rows, only images that nobody has looked at yet would do.",
        _look,
    ),
)
