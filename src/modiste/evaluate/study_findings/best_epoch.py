"""M010: the figure that ranks also chose its own epoch."""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    if study.epoch != "best" or not study.entries:
        return ""
    return f"each row is ranked by {study.figure} of the epoch where that very figure was best"


STUDY_FINDINGS.add(
    "M010",
    StudyCheck(
        "M010",
        "chosen by the best epoch",
        "The figure that ranks the rows is, of each row, the best one of all epochs by that same "
        "figure. Our own studies choose the epoch by the lowest loss, or take the last one.",
        "The best of many noisy values lies above what the model is worth, and the more so the "
        "more epochs a row had: rows of different length are not compared fairly.",
        "Rank by the last epoch, or choose the epoch by another figure; measure the winner once "
        "on images that chose nothing.",
        _look,
    ),
)
