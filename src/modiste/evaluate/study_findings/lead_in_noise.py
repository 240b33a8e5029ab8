"""M008: a first place that the next draw of images could turn round."""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    lead = study.lead
    if lead is None or lead[0] >= lead[1]:
        return ""
    first, second = study.entries[:2]
    return (
        f"{first.label} leads {second.label} by {100 * lead[0]:.2f} points of {study.figure}; one "
        f"standard error of that difference is {100 * lead[1]:.2f}"
    )


STUDY_FINDINGS.add(
    "M008",
    StudyCheck(
        "M008",
        "lead within noise",
        "The first row is ahead of the second by less than one standard error of the difference: "
        "paired over the images where the answers were kept, else that of two accuracies on so "
        "many images. It is silent where the number of images is not known.",
        "Such a lead says next to nothing about which of the two is better: other images of the "
        "same kind may well turn it round.",
        "Call the two equal, and take the cheaper one; more images or more seeds could tell them "
        "apart.",
        _look,
    ),
)
