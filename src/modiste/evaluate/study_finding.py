"""Remarks about the rows of a table together: one stage of a study, or an imported study.

The second kind of finding: `modiste.evaluate.finding` looks at one run, these at how a choice
between rows was made. Each check is one file in `modiste.evaluate.study_findings`; the codes of
both kinds are one series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modiste.evaluate.doubt import of_accuracy
from modiste.evaluate.finding import Finding
from modiste.spec.base import Spec
from modiste.spec.registry import Registry


class Space(Spec):
    """What a setting was allowed to be: a range, or a list of values.

    Attributes:
        low: Least value of a range; none for a list.
        high: Largest value of a range.
        log: Whether the range was drawn from on a logarithmic scale.
        values: Of a list.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A row that competes.

    Attributes:
        label: Of the row.
        settings: Its keys and values.
        figure: What ranks it, the mean over its seeds.
        seeds: Trainings behind it; none if that is not known.
        total: Images behind it; none if that is not known, or the figure is no accuracy.
        lead_error: Standard error of the first row's lead over this one, where it is known better
            than from the number of images, such as paired over them.
    """

    label: str
    settings: Mapping[str, Any]
    figure: float
    seeds: int | None
    total: int | None
    lead_error: float | None = None


@dataclass(frozen=True)
class Chosen:
    """What fresh seeds made of the row that a search put first.

    Attributes:
        label: Of that row.
        searched, confirmed: Its figure in the search, and its mean over the fresh seeds.
        best: Label of the confirmed row with the highest mean over its fresh seeds.
        behind: How far behind that one it lies; 0 if it is that one.
        may_be_best: Whether it cannot be told from that one.
    """

    label: str
    searched: float
    confirmed: float
    best: str
    behind: float
    may_be_best: bool


@dataclass(frozen=True)
class Leaks:
    """Validation images with a duplicate among the training images.

    Attributes:
        count, total: Such images, and all.
        kind: What was looked for, with its article: ``an exact``, or ``an exact or near``.
        worth: The most that any accuracy moves without them; none if nobody worked that out.
    """

    count: int
    total: int
    kind: str
    worth: float | None = None


@dataclass(frozen=True)
class Opened:
    """The test set, opened while there was still something to choose.

    Attributes:
        at: When it was first opened.
        stages: For the models of which stages, in words.
        num_after: Rows of this table that were trained after that.
        num_undated: Rows of which nobody knows, because a record does not say when it ended.
    """

    at: str
    stages: str
    num_after: int
    num_undated: int = 0


@dataclass(frozen=True)
class StudyFacts:
    """What the checks look at.

    Attributes:
        entries: Best first.
        figure: What ranks them, in words or by its name: ``val_accuracy``.
        space: What settings were allowed to be; where a key is missing, the values tried count.
        is_confirmed: Whether the best rows have been trained again elsewhere, on fresh seeds.
        epoch: Whose figure it is: of the epoch that it is itself best at, of the last one; none
            if that is not known, or the epoch was chosen by something else.
        scored_on: The images that the figure was measured on, as far as that is known.
        also: Names of the other figures that stand beside it.
        refolded: Names of figures that were averaged over slices of the data with one training.
        lead_covers: What the standard error of the first row's lead covers.
        chosen: Where these rows confirm a search: what became of its choice.
        leaks: Where duplicates across the split were looked for.
        opened: Where the test set was opened before some of these rows were trained.
    """

    entries: Sequence[Entry]
    figure: str = "validation accuracy"
    space: Mapping[str, Space] = field(default_factory=dict)
    is_confirmed: bool = False
    epoch: Literal["best", "last"] | None = None
    scored_on: Literal["validation", "test", "training"] | None = "validation"
    also: Sequence[str] = ()
    refolded: Sequence[str] = ()
    lead_covers: str = "images"
    chosen: Chosen | None = None
    leaks: Leaks | None = None
    opened: Opened | None = None

    @property
    def lead(self) -> tuple[float, float] | None:
        """How far the first row is ahead of the second, and its standard error, if both exist."""
        if len(self.entries) < 2:
            return None
        first, second = self.entries[:2]
        error = second.lead_error
        if error is None:
            if first.total is None or second.total is None:
                return None
            doubts = (of_accuracy(e.figure, e.total or 0) for e in (first, second))
            error = math.sqrt(sum(doubt.variance for doubt in doubts))
        return abs(first.figure - second.figure), error


@dataclass(frozen=True)
class StudyCheck:
    """One thing to look for in the rows of a table.

    Attributes:
        code, title, advice: Of the findings it makes.
        about: When it fires; for the docs.
        why: Why that matters; for the docs.
        look: What was seen, as a sentence with its numbers; empty if there is nothing to remark.
    """

    code: str
    title: str
    about: str
    why: str
    advice: str
    look: Callable[[StudyFacts], str]


STUDY_FINDINGS: Registry[StudyCheck] = Registry("study finding", "modiste.evaluate.study_findings")


def study_findings(facts: StudyFacts) -> list[Finding]:
    """Everything that the checks remark about the rows of a table, in the order of their codes.

    Example:
        >>> rows = [
        ...     Entry("a", {"rate": 0.1}, 0.9021, seeds=1, total=10_000),
        ...     Entry("b", {"rate": 0.2}, 0.9017, seeds=1, total=10_000),
        ... ]
        >>> [finding.code for finding in study_findings(StudyFacts(rows))]
        ['M007', 'M008']
    """
    answer = []
    for code in STUDY_FINDINGS.names():
        check = STUDY_FINDINGS.get(code)
        if text := check.look(facts):
            answer.append(Finding(check.code, check.title, text, check.advice))
    return answer
