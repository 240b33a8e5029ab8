"""Which of several accuracies may be the best one, where no answers were kept to pair them by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from modiste.errors import SpecError
from modiste.evaluate.intervals import standard_error

LEVEL = 0.95


def may_be_best(accuracies: Sequence[float], total: int, level: float = LEVEL) -> list[bool]:
    """Whether each model cannot be told from the best, from its accuracy alone.

    The set of those that cannot holds the truly best one with a probability of at least `level`,
    however many there are: one is left out only if the first beats it by a normal test at
    (1 - level) / (k - 1). Accuracies are taken as of independent samples of images. Models that
    answered the same images are compared too cautiously by that: see `evaluate.best.standings`.
    Covers the images only, not the seeds.

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
    others = max(1, len(accuracies) - 1)
    answer = []
    for accuracy in accuracies:
        error = math.hypot(standard_error(best, total), standard_error(accuracy, total))
        if accuracy == best or error == 0:
            answer.append(accuracy == best)
            continue
        p_value = others * NormalDist().cdf((accuracy - best) / error)
        answer.append(p_value > 1 - level)
    return answer
