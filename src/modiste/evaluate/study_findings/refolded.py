"""M012: folds without a training of their own."""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    if not study.refolded:
        return ""
    names = " and ".join(study.refolded)
    return f"{names}: one trained model, measured on slices of the images it was given"


STUDY_FINDINGS.add(
    "M012",
    StudyCheck(
        "M012",
        "folds without training",
        "A figure is the mean over slices of the data, as k-fold cross-validation has them, but "
        "one trained model answered all of them. Talos's evaluate and evaluate_models do so.",
        "Cross-validation trains anew for each fold, on the rest. Without that, the spread of the "
        "slices says how much one model's score varies from slice to slice, not how much training "
        "varies; and images that it was trained on may be among them.",
        "Read such a mean as one score on all these images, and its spread as that of their "
        "sampling. For cross-validation, train anew for each fold.",
        _look,
    ),
)
