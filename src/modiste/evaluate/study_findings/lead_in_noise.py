"""M008: a first place that the next draw of images could turn round."""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    lead = study.lead
    if lead is None or (lead[0] > 0 and lead[0] >= lead[1]):
        return ""
    first, second = study.entries[:2]
    if lead == (0, 0):
        return f"{first.label} and {second.label} have the same {study.figure}"
    error = (
        f"one standard error of that difference is {100 * lead[1]:.2f} points ({study.lead_covers})"
    )
    if lead[0] == 0:
        return f"{first.label} and {second.label} have the same {study.figure}; {error}"
    by = f"{100 * lead[0]:.2f}" if lead[0] >= 5e-5 else "less than 0.01"
    return f"{first.label} leads {second.label} by {by} points of {study.figure}; {error}"


STUDY_FINDINGS.add(
    "M008",
    StudyCheck(
        "M008",
        "lead within noise",
        "The first row is ahead of the second by less than one standard error of the difference, "
        "or not at all. "
        "It covers the images, paired where the answers were kept, else as of two samples of so "
        "many; and the seeds, where comparable points were repeated; the remark says which. It is "
        "silent where the number of images is not known.",
        "Such a lead says next to nothing about which of the two is better: other images of the "
        "same kind may well turn it round.",
        "Take it as undecided, which is not equal, and prefer the cheaper one; more images or more "
        "seeds could tell them apart.",
        _look,
    ),
)
