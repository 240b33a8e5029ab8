"""Every error that a user can mend, as one tree.

    ModisteError                 what was given, what was expected, what would do
    |-- SpecError                a key, value or name in a spec, a study file or `--set`
    |   `-- ParameterError       a parameter of `ImageClassifier`; a ValueError as well
    |-- DataError                data that is missing, damaged, or not what it says it is
    |   `-- InputError           an array handed to a model from Python; a ValueError as well
    |-- NotFittedError           `ImageClassifier` asked before `fit`; scikit-learn's as well, which
    |                            is why it stands in `modiste.api.checks` and not here
    |-- SealError                the test set asked for without a reason, or a broken ledger
    |-- StoreError               a run, study or model folder that cannot be read or written
    |   |-- ResumeError          unfinished work that does not belong to this spec or machine
    |   `-- ArtifactError        an exported model that was changed, or must not be run
    |-- InstallError             a package that comes with an extra and is not installed
    `-- Interrupted              Ctrl-C, after everything finished was saved

They do not derive from `ValueError`: pydantic swallows those into its own report. Those that do are
raised outside of any validator, because scikit-learn expects them of `ImageClassifier`
(docs/decisions/0036-errors-of-the-estimator.md). The command line prints the message alone and
leaves with `exit_status`; anything else that escapes is a bug of ours, and leaves with 1. `assert`
stays for "we made a mistake".
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


class ModisteError(Exception):
    """Something the user can mend; the message says how."""

    exit_status = 2


class SpecError(ModisteError):
    """A key, value or name that makes no sense."""


class ParameterError(SpecError, ValueError):
    """A parameter of `ImageClassifier` that makes no sense."""


class DataError(ModisteError):
    """Data that is missing, damaged, or not what it says it is."""


class InputError(DataError, ValueError):
    """An array handed to a model from Python that it cannot learn from, or answer."""


class SealError(ModisteError):
    """The test set asked for without a reason, or with a ledger that does not add up."""


class StoreError(ModisteError):
    """A run, study or model folder that cannot be read or written."""


class ResumeError(StoreError):
    """Unfinished work that belongs to another spec, data set, machine or version."""


class ArtifactError(StoreError):
    """An exported model that is not what was exported, or that must not be run."""


class InstallError(ModisteError):
    """A package that comes with an extra of ours and is not installed."""


class Interrupted(ModisteError):
    """Ctrl-C: finished work is saved, and the message holds the command that goes on."""

    exit_status = 130


def unknown_name(what: str, given: str, known: Iterable[str]) -> str:
    """One line for a name that is not there: the nearest known name, then all of them.

    Example:
        >>> unknown_name("model family", "mpl", ["mlp", "cnn"])
        "no model family is named 'mpl'. Did you mean 'mlp'? Known: cnn, mlp."
    """
    return f"no {what} is named {given!r}.{did_you_mean(given, known)}"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'? Known: x, y.`` with a leading space, or less where nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Known: {', '.join(names) or 'none'}."


def need_path(given: object, what: str) -> Path:
    """What was given as a path, or as what lies at one, such as a `Run` or a `Study`.

    Args:
        given: By a caller from Python, where a slip hands over anything.
        what: The argument's name, for the error.

    Raises:
        SpecError: If it is neither.
    """
    if isinstance(given, str | os.PathLike):
        return Path(given)
    raise SpecError(f"{what}: expected a path, got {type(given).__name__}.")


def lacks(folder: Path, what: str) -> str:
    """Why a folder is not what it was taken for: it ``holds no x``, or is not there at all.

    Of one that is not there, which one beside it has nearly its name.
    """
    try:
        if folder.exists():
            return f"it holds {what}"
        beside = folder.absolute().parent
        names = [path.name for path in beside.glob("[!.]*") if path.is_dir()]
    except OSError:  # nobody may look
        return f"it holds {what}"
    near = difflib.get_close_matches(folder.name, names, n=1)
    hint = f"; did you mean {folder.parent / near[0]}?" if near else ""
    return f"there is no such folder{hint}"


def without_reason(title: str, looks: int | str) -> str:
    """What is said to whoever asks for a test set without a reason.

    Args:
        title: Of the data set.
        looks: How often it was opened; a word if nobody knows.
    """
    times = f"{looks} time(s)" if isinstance(looks, int) else "an unknown number of times"
    return (
        f"the test set of {title!r} opens only for a stated reason. Opened {times} so far.\n"
        "For choosing between models use the validation part instead."
    )


def first_sentence(error: BaseException) -> str:
    r"""What somebody else's error says first, without a full stop; its name if it says nothing.

    Example:
        >>> first_sentence(OSError("The disk is gone. Mount it.\n(background: ...)"))
        'The disk is gone'
        >>> first_sentence(KeyError())
        'KeyError'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0].rstrip(".")
