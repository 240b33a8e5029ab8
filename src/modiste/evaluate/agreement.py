"""Whether training again gave what a record says, and, if not, what the likely cause is.

Pure functions of what both sides left behind. `recorded` is always the record, `here` what came
out of training again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError
from modiste.evaluate.contrast import Pooled, contrast
from modiste.evaluate.doubt import of_accuracy

Verdict = Literal["identical", "within noise", "different"]
Kind = Literal["data", "version", "device", "threads", "processor", "library", "code"]
BoolsN = npt.NDArray[np.bool_]
Arrays = Mapping[str, npt.NDArray[Any]]
History = Sequence[Mapping[str, float]]

# Where the spread between seeds is known, an answer "different" is wrong in one of a hundred
# trainings that differ by chance alone. Where it is not, the interval covers images alone and
# promises less: if seeds move the accuracy by 0.25 points, on 12,000 images, six in a hundred.
LEVEL = 0.99
# A spread of fewer degrees of freedom is hardly known: two seeds with equal counts have none at
# all, and two others one that puts any two trainings within noise, even one that lost 4 points.
LEAST_DEGREES = 3

# What an environment says, by where it stands in `environment.json`, and what kind of thing it is.
_FACTORS: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("torch", "version", ("packages", "torch")),
    ("numerics version", "version", ("numerics_version",)),
    ("device", "device", ("device",)),
    ("graphics processor", "device", ("gpu",)),
    ("threads", "threads", ("threads",)),
    ("processor", "processor", ("cpu",)),
    ("processor model", "processor", ("cpu_model",)),
    ("vector instructions", "processor", ("vector_instructions",)),
    ("settings of kernels", "processor", ("kernel_settings",)),
    ("NumPy", "library", ("packages", "numpy")),
    ("scikit-learn", "library", ("packages", "scikit-learn")),
    ("Python", "library", ("python",)),
    ("system", "library", ("platform",)),
    ("modiste", "code", ("packages", "modiste")),
    ("commit", "code", ("git_commit",)),
)

# In this order: the first kind that differs is the likely cause.
RULES: Mapping[Kind, str] = {
    "data": "it was trained on other images, so every number may differ",
    "version": "another version of torch, or of modiste's own arithmetic, computes in another way",
    "device": "another device adds up in another order",
    "threads": "with another number of threads, sums are split in another way",
    "processor": (
        "on another kind of processor, the libraries choose other instructions, which round "
        "differently; from the last bits on, trainings drift apart"
    ),
    "library": "another Python, NumPy, scikit-learn or system; seldom a cause",
    "code": (
        "the code of modiste is another; a change of it that changes numbers should have raised "
        "numerics_version"
    ),
}


class Change(NamedTuple):
    """Something that is not here as it was when the record was made."""

    name: str
    kind: Kind
    recorded: Any
    here: Any


class Where(NamedTuple):
    """The first place where two histories differ."""

    epoch: int
    column: str
    recorded: float
    here: float


@dataclass(frozen=True)
class HistoryAgreement:
    """Two histories, line by line.

    Attributes:
        num_compared: Epochs that both have, up to the limit that was asked for.
        num_recorded, num_here: Epochs of each side, up to that limit.
        first: Where they first differ; none if they nowhere do.
        largest: The largest difference of each column that differs at all.
    """

    num_compared: int
    num_recorded: int
    num_here: int
    first: Where | None
    largest: Mapping[str, float]

    @property
    def is_identical(self) -> bool:
        """Every figure of every epoch, to the last bit, and as many epochs."""
        return self.first is None and self.num_recorded == self.num_here


@dataclass(frozen=True)
class ArrayAgreement:
    """Arrays of the same names, such as logits or weights.

    Attributes:
        num_values: On the record's side.
        num_different: Values whose bits differ; all of them where names or shapes do.
        max_difference: The largest one; none where names or shapes differ, or where a value is
            finite on one side alone.
    """

    num_values: int
    num_different: int
    max_difference: float | None

    @property
    def is_identical(self) -> bool:
        return self.num_different == 0


@dataclass(frozen=True)
class AccuracyAgreement:
    """The validation accuracy of one epoch, beside the noise that it has.

    Attributes:
        epoch: Such as ``last`` or ``epoch 2``.
        recorded, here: Proportions.
        image_error: Standard error of the difference from the choice of images; none if not known.
        seed_error: From the choice of seeds; none where it is not known, or hardly: the interval
            then covers images alone.
        num_seeds: Trainings that the spread between seeds is taken from.
        is_paired: Whether both answered the same images, and their answers were kept.
        low, high: Interval of the difference, here less recorded.
    """

    epoch: str
    recorded: float
    here: float
    image_error: float | None
    seed_error: float | None
    num_seeds: int
    is_paired: bool
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Here less recorded."""
        return self.here - self.recorded

    @property
    def is_within(self) -> bool:
        """Whether chance alone may give such a difference."""
        return self.low <= 0 <= self.high


def changes(
    recorded: Mapping[str, Any],
    here: Mapping[str, Any],
    data_digests: tuple[str, str] | None = None,
) -> list[Change]:
    """What differs between two environments, the likeliest causes of other numbers first.

    What the record does not hold is not compared; see `not_recorded`.

    Args:
        recorded: As `environment.json` has it.
        here: The same of this place.
        data_digests: Of the record, and of the data here.

    Example:
        >>> changes({"threads": 1, "python": "3.11.7"}, {"threads": 2, "python": "3.11.7"})
        [Change(name='threads', kind='threads', recorded=1, here=2)]
    """
    found = []
    if data_digests is not None and data_digests[0] != data_digests[1]:
        found.append(Change("data digest", "data", *data_digests))
    for name, kind, path in _FACTORS:
        is_known, old = _look_up(recorded, path)
        new = _look_up(here, path)[1]
        if is_known and old != new:
            found.append(Change(name, kind, old, new))
    order = list(RULES)
    return sorted(found, key=lambda change: order.index(change.kind))


def not_recorded(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What is known here, and the record does not say, such as one of an older version.

    Example:
        >>> not_recorded({"threads": 1}, {"threads": 1, "cpu_model": "AuthenticAMD 25.1"})
        ['processor model']
    """
    return [
        name
        for name, _, path in _FACTORS
        if not _look_up(recorded, path)[0] and _look_up(here, path)[0]
    ]


def likely_cause(found: Sequence[Change], unknown: Sequence[str] = ()) -> Kind | None:
    """The kind of the first change by the order of `RULES`; none if nothing differs.

    Args:
        found: From `changes`.
        unknown: From `not_recorded`. Where nothing better is known to differ, a processor that
            the record does not fully name is likelier than a library or the code.

    Example:
        >>> likely_cause([Change("Python", "library", "3.11.7", "3.12.1")], ["processor model"])
        'processor'
    """
    kinds = {change.kind for change in found}
    if any(name in unknown for name, kind, _ in _FACTORS if kind == "processor"):
        kinds.add("processor")
    return next((kind for kind in RULES if kind in kinds), None)


def compare_histories(
    recorded: History, here: History, num_epochs: int | None = None
) -> HistoryAgreement:
    """Compare every column but the seconds, bit for bit.

    Args:
        recorded: One mapping for each epoch; keys as in `modiste.runs.run.COLUMNS`.
        here: The same, of training again.
        num_epochs: Look at so many of the first epochs only; at all, if not given.
    """
    old, new = recorded[:num_epochs], here[:num_epochs]
    first: Where | None = None
    largest: dict[str, float] = {}
    for ours, theirs in zip(old, new, strict=False):
        for column in ours:
            if column == "seconds" or _same_bits(ours[column], theirs[column]):
                continue
            first = first or Where(int(ours["epoch"]), column, ours[column], theirs[column])
            size = abs(ours[column] - theirs[column])
            largest[column] = max(largest.get(column, 0.0), size)
    return HistoryAgreement(min(len(old), len(new)), len(old), len(new), first, largest)


def compare_arrays(recorded: Arrays, here: Arrays) -> ArrayAgreement:
    """Compare arrays bit for bit, by name."""
    num_values = sum(array.size for array in recorded.values())
    if recorded.keys() != here.keys() or any(
        (array.shape, array.dtype) != (here[name].shape, here[name].dtype)
        for name, array in recorded.items()
    ):
        return ArrayAgreement(num_values, num_values, None)
    num_different, largest = 0, 0.0
    for name, array in recorded.items():
        differs = np.ascontiguousarray(array).view(np.uint8) != np.ascontiguousarray(
            here[name]
        ).view(np.uint8)
        differs = differs.reshape(array.size, array.itemsize).any(axis=1)
        if differs.any():
            num_different += int(differs.sum())
            old, new = (each.ravel()[differs].astype(np.float64) for each in (array, here[name]))
            with np.errstate(invalid="ignore"):  # of two infinities
                gaps = np.abs(old - new)
            # Two that are no numbers may have other bits, and lie no distance apart.
            gaps[np.isnan(old) & np.isnan(new)] = 0.0
            largest = float(np.maximum(largest, gaps.max()))  # NaN stays NaN
    return ArrayAgreement(num_values, num_different, largest if math.isfinite(largest) else None)


def compare_answers(
    epoch: str,
    recorded_N: BoolsN,
    here_N: BoolsN,
    seeds: Pooled | None = None,
    num_seeds: int = 1,
) -> AccuracyAgreement:
    """Compare the accuracies of two trainings that answered the same images.

    The noise is that of `contrast`: the paired standard error over the images and, where it is
    known well enough (`LEAST_DEGREES`), the spread between seeds, each side being one training.
    Of a single image nothing is known, and any difference is within noise.

    Args:
        epoch: For the answer.
        recorded_N: Right or wrong, for each image.
        here_N: The same of training again, for the same images.
        seeds: From `contrast.pooled`, over trainings of this point or of comparable ones.
        num_seeds: Behind it.

    Raises:
        DataError: If they are not of the same images, or there are none.
    """
    if recorded_N.shape != here_N.shape or not len(recorded_N):
        raise DataError(f"{recorded_N.shape} answers cannot be paired with {here_N.shape}.")
    accuracies = float(recorded_N.mean()), float(here_N.mean())
    if len(recorded_N) == 1:
        return AccuracyAgreement(
            epoch, *accuracies, image_error=None, seed_error=None, num_seeds=num_seeds,
            is_paired=True, low=-1.0, high=1.0,
        )  # fmt: skip
    by_image_N = here_N.astype(np.float64) - recorded_N
    found = contrast([[accuracies[1]]], [[accuracies[0]]], _known(seeds), by_image_N, LEVEL)
    assert found.low is not None
    assert found.high is not None
    return AccuracyAgreement(
        epoch,
        *accuracies,
        image_error=found.image_error,
        seed_error=found.seed_error,
        num_seeds=num_seeds,
        is_paired=True,
        low=found.low,
        high=found.high,
    )


def compare_accuracies(
    epoch: str,
    recorded: float,
    here: float,
    totals: tuple[int, int],
    seeds: Pooled | None = None,
    num_seeds: int = 1,
) -> AccuracyAgreement:
    """Compare two accuracies whose answers were not kept, or are of different images.

    With a spread between seeds that is known well enough (`LEAST_DEGREES`), that is the noise.
    Without one, it is the error of two independent samples of images: on the same images, more than
    there is.

    Args:
        epoch: For the answer.
        recorded: A proportion.
        here: The same of training again.
        totals: Images behind each.
        seeds: From `contrast.pooled`, over trainings on the same images; none if not known.
        num_seeds: Behind it.
    """
    seeds = _known(seeds)
    if seeds is not None:
        found = contrast([[here]], [[recorded]], seeds, level=LEVEL)
        assert found.low is not None
        assert found.high is not None
        low, high, image_error, seed_error = found.low, found.high, None, found.seed_error
    else:
        doubts = [of_accuracy(p, n) for p, n in zip((recorded, here), totals, strict=True)]
        image_error, seed_error = math.sqrt(sum(doubt.variance for doubt in doubts)), None
        half = NormalDist().inv_cdf((1 + LEVEL) / 2) * image_error
        low, high = here - recorded - half, here - recorded + half
    return AccuracyAgreement(
        epoch, recorded, here, image_error, seed_error, num_seeds, is_paired=False, low=low,
        high=high,
    )  # fmt: skip


def _known(seeds: Pooled | None) -> Pooled | None:
    """A spread that says something of the next training; none if it is hardly known."""
    is_known = seeds is not None and seeds.variance > 0 and seeds.degrees >= LEAST_DEGREES
    return seeds if is_known else None


def decide(
    parts: Sequence[bool], accuracies: Sequence[AccuracyAgreement], *, same_end: bool
) -> Verdict:
    """The answer: to the last bit, or no further apart than chance puts trainings, or neither.

    Args:
        parts: For each thing that was compared, whether it is the same to the last bit.
        accuracies: Of every epoch that was compared.
        same_end: Whether both ended in the same way, such as finished or diverged.

    Example:
        >>> decide([True, True], [], same_end=True), decide([True, False], [], same_end=True)
        ('identical', 'different')
    """
    if same_end and parts and all(parts):
        return "identical"
    if same_end and accuracies and all(found.is_within for found in accuracies):
        return "within noise"
    return "different"


def _look_up(environment: Mapping[str, Any], path: Sequence[str]) -> tuple[bool, Any]:
    node: Any = environment
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return False, None
        node = node[key]
    return True, node


def _same_bits(one: float, two: float) -> bool:
    # 0.0 and -0.0 are equal and have other bits; no figure of a history is a NaN.
    return one == two and math.copysign(1.0, one) == math.copysign(1.0, two)
