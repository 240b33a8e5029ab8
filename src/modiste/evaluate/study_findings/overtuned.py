"""M013: the search went on choosing where its figure no longer told good from lucky.

The idea and its name: L. Schneider, B. Bischl, M. Feurer, Overtuning in Hyperparameter
Optimization, PMLR 293 (AutoML 2025), 17/1-43, arXiv:2506.19540. They define overtuning as how far
the row that a search ends with lies behind the best one that it had held before, on images that
chose nothing. What can be asked of confirming runs is that of the rows that were confirmed.
"""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    chosen = study.chosen
    if chosen is None or chosen.may_be_best:
        return ""
    return (
        f"{chosen.label} stood first in the search with {chosen.searched:.4f}; on fresh seeds it "
        f"has {chosen.confirmed:.4f}, {100 * chosen.behind:.2f} points behind {chosen.best}, which "
        "is more than chance explains"
    )


STUDY_FINDINGS.add(
    "M013",
    StudyCheck(
        "M013",
        "overtuned",
        "The row that a search put first was trained again on fresh seeds, and there another "
        "confirmed row beats it by more than seeds and images explain, all confirmed rows allowed "
        "for. The report says of every search that was confirmed how far its choice lies behind, "
        "with or without this remark.",
        "The search went on choosing where its figure no longer told good rows from lucky ones: "
        "its choice is worse than one that it had already found. The more rows, and the fewer "
        "images and seeds for each, the likelier that is.",
        "Take the row that stands first on fresh seeds. In the next search, try fewer rows with "
        "more seeds each, validate on more images, or stop earlier.",
        _look,
    ),
)
