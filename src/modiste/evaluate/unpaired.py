"""Which of several accuracies may be the best one, where no answers were kept to pair them by."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.errors import SpecError
from modiste.evaluate.doubt import half_width, of_accuracy
from modiste.interval import LEVEL


def may_be_best(accuracies: Sequence[float], total: int, level: float = LEVEL) -> list[bool]:
    """Whether each model cannot be told from the best, from its accuracy alone.

    The set of those that cannot holds the truly best one with a probability of at least `level`,
    however many there are: one is left out only if the first beats it by a test at
    (1 - level) / (k - 1), by Student's quantile and `doubt.of_accuracy` of both. Accuracies are
    taken as of independent samples of images. Models that answered the same images are compared
    too cautiously by that: see `evaluate.best.standings`. Covers the images only, not the seeds.

    Args:
        accuracies: Proportions.
        total: Images behind each.
        level: As a proportion.

    Raises:
        SpecError: If an accuracy, the number of images or the level makes no sense.

    Source:
        Subset selection: S. S. Gupta, Technometrics 7 (1965) 225-245,
        doi:10.1080/00401706.1965.10490251; the bound is Bonferroni's.

    Example:
        >>> may_be_best([0.91, 0.905, 0.88], 10_000)
        [True, True, False]
    """
    if not 0 < level < 1:
        raise SpecError(f"level: expected a proportion such as 0.95, got {level}.")
    if not accuracies:
        return []
    best = max(accuracies)
    doubts = [of_accuracy(accuracy, total) for accuracy in (best, *accuracies)]
    tail = min(0.5, (1 - level) / max(1, len(accuracies) - 1))
    return [
        best - accuracy <= half_width([doubts[0], own], tail)
        for accuracy, own in zip(accuracies, doubts[1:], strict=True)
    ]
