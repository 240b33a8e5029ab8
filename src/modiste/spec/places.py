"""Where in a study file a mistake stands that shows in a point."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modiste.errors import SpecError

if TYPE_CHECKING:
    from modiste.spec.study import StageSpec, StudySpec

# What a study shares with its stages, and a stage with its points.
BLOCKS = ("data", "model", "train")


@contextmanager
def at_its_place(
    where: str, study: StudySpec, stage: StageSpec, nearer: Collection[str]
) -> Iterator[None]:
    """Errors name the study's own part instead of a point, if only that part has the key.

    Args:
        where: The point, as errors in it begin.
        study: Whose blocks all stages share.
        stage: The point's.
        nearer: Keys that the point, a profile or the command line sets.

    Raises:
        SpecError: What was raised inside, its lines put right.
    """
    try:
        yield
    except SpecError as error:
        lines = [_placed(line, where, study, stage, nearer) for line in str(error).splitlines()]
        raise SpecError("\n".join(lines)) from None


@contextmanager
def supposing(case: str) -> Iterator[None]:
    """Errors say in which case they would come about."""
    try:
        yield
    except SpecError as error:
        raise SpecError(f"{error} So it would be {case}.") from None


def _placed(
    line: str, where: str, study: StudySpec, stage: StageSpec, nearer: Collection[str]
) -> str:
    rest = line.removeprefix(f"{where}.")
    key = rest.partition(":")[0]
    is_nearer = any(_holds(one, key) or _holds(key, one) for one in nearer)
    is_shared = _has(study, key) and not _has(stage, key) and not is_nearer
    return rest if is_shared else line


def _holds(outer: str, key: str) -> bool:
    """Whether a key is another one, or lies in it.

    Example:
        >>> _holds("train", "train.epochs"), _holds("train.epoch", "train.epochs")
        (True, False)
    """
    return f"{key}.".startswith(f"{outer}.")


def _has(part: StudySpec | StageSpec, key: str) -> bool:
    """Whether a study or a stage sets a key of its runs, such as ``train.epochs``."""
    block, *names = key.split(".")
    value: Any = getattr(part, block) if block in BLOCKS else None
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return bool(names)
