"""M014: images that choose have duplicates among those that were trained on."""

from __future__ import annotations

from modiste.evaluate.study_finding import STUDY_FINDINGS, StudyCheck, StudyFacts


def _look(study: StudyFacts) -> str:
    leaks = study.leaks
    if leaks is None or not leaks.count:
        return ""
    share = 100 * leaks.count / leaks.total
    has = "image has" if leaks.count == 1 else "images have"
    text = (
        f"{leaks.count:,} of {leaks.total:,} validation {has} {leaks.kind} duplicate among the "
        f"training images ({share:.2f} %)"
    )
    if leaks.worth is not None:
        text += f"; without them no accuracy moves by more than {100 * leaks.worth:.2f} points"
    return text


STUDY_FINDINGS.add(
    "M014",
    StudyCheck(
        "M014",
        "leakage across splits",
        "Validation images have duplicates among the training images: equal ones, which every "
        "study looks for by itself, or also mirrored and near ones, once `modiste audit` has "
        "looked for them with --study, which keeps what it found. It is silent where nobody has "
        "looked.",
        "A model can have such an image by heart, so validation figures are too high, and the "
        "more so the more a model remembers. How much it is worth, an audit says.",
        "Run modiste audit with --study: it names the images, and says what accuracies are without "
        "them. If that is more than the differences that matter, take one of each pair out.",
        _look,
    ),
)
