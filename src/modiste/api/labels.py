"""From what scikit-learn calls y to classes: which labels there are, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import check_classification_targets

from modiste.api.checks import as_input_error
from modiste.data.own.arrays import missing
from modiste.errors import InputError, ParameterError


def need_no_columns(y: Any) -> None:
    """That labels are not one-hot, which scikit-learn would call a wrong shape and no more.

    Raises:
        InputError: If they are; says what would do.
    """
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if isinstance(y, list | tuple):
        with as_input_error():
            shape = np.shape(y)
    if len(shape) == 2 and shape[1] > 1:
        raise InputError(
            f"y: {shape[1]} numbers for each image; expected one label, so that y should be a 1d "
            "array. Of one-hot labels, take np.asarray(y).argmax(axis=1)."
        )


def need_all(y: Any) -> None:
    """That no label is missing: in a list of words, NumPy makes the word `nan` of one.

    Raises:
        InputError: Names the first that is.
    """
    row = missing(y)
    if row is not None:
        raise InputError(f"y[{row}]: the label is missing; leave such images out.")


def in_order(y_N: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The different labels in order, and for each of y its position among them.

    Raises:
        InputError: If they are no labels, or fewer than two.
    """
    _check_kind(y_N)
    with as_input_error():
        check_classification_targets(y_N)
    classes, labels_N = np.unique(y_N, return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            f"y holds one class only, {classes.tolist()[0]!r}; a classifier needs two or more."
        )
    return classes, labels_N.astype(np.int64)


def _check_kind(y_N: npt.NDArray[Any]) -> None:
    """What scikit-learn's checks would call unknown, by its name."""
    if y_N.dtype.kind not in "OS" or all(isinstance(label, str) for label in y_N):
        return
    first = y_N.tolist()[0]
    if all(isinstance(label, bytes) for label in y_N):
        raise InputError(
            f"y: labels are bytes, such as {first!r}; expected numbers or words. "
            "[label.decode() for label in y] makes words of them."
        )
    if all(isinstance(label, int | float | np.number | np.bool_) for label in y_N):
        raise InputError(
            f"y: Unknown label type: numbers such as {first!r} that are held as objects. "
            "np.array(y.tolist()) makes numbers of them."
        )
    if len({type(label) for label in y_N}) > 1:
        raise InputError("y: labels of several kinds cannot be sorted; give numbers or words.")
    raise InputError(f"y: Unknown label type: such as {first!r}; expected numbers or words.")


def names_of(classes: npt.NDArray[Any], given: Any) -> tuple[str, ...]:
    """A name for each class: as given, or the label as a word.

    Raises:
        ParameterError: If there are not as many names as classes, or one stands twice.

    Example:
        >>> names_of(np.array([0, 1]), ["cat", "dog"]), names_of(np.array([3, 5]), None)
        (('cat', 'dog'), ('3', '5'))
    """
    if given is None:
        return tuple(str(label) for label in classes.tolist())
    names = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    is_words = all(isinstance(name, str) and name for name in names)
    if len(names) != len(classes) or not is_words or len(set(names)) < len(names):
        raise ParameterError(
            f"class_names: {given!r}; expected {len(classes)} different names, one for each label "
            f"in sorted order: {', '.join(str(label) for label in classes[:8].tolist())}"
            f"{', ...' if len(classes) > 8 else ''}."
        )
    return names
