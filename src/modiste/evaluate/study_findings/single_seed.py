"""M007: a choice between rows that were trained once."""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    once = [entry for entry in study.entries if entry.seeds == 1]
    if study.is_confirmed or not once or study.entries[0].seeds != 1:
        return ""
    num = len(study.entries)
    if num == 1:
        return f"{once[0].label} was trained once"
    if len(once) == num:
        return f"each of the {num} rows was trained once"
    return f"{len(once)} of the {num} rows were trained once, the first among them"


STUDY_FINDINGS.add(
    "M007",
    StudyCheck(
        "M007",
        "single seed",
        "The first row of a table was trained with one seed, and no later stage has trained the "
        "best rows again on fresh ones; one that has not finished yet does not count. It is "
        "silent where the number of seeds is not known, and about cross-validation.",
        "Another seed of the very same settings moves an accuracy as well. The first of many rows "
        "is also the luckiest of them, so its figure leans to the bright side.",
        "Train the best few again on seeds that had no part in choosing them, as a stage with "
        "confirm does in a study file.",
        _look,
    ),
)
