"""What scikit-learn's own checks say, in errors that are ours as well as theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn import exceptions
from sklearn.utils.validation import check_is_fitted

from modiste.errors import InputError, ModisteError


class NotFittedError(ModisteError, exceptions.NotFittedError):  # type: ignore[misc]
    """`ImageClassifier` asked before `fit`; also scikit-learn's error of that name."""


@contextmanager
def as_input_error() -> Iterator[None]:
    """A `ValueError` inside becomes an `InputError`, which is one, too, with the same words."""
    try:
        yield
    except ModisteError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from None


def need_fitted(estimator: Any) -> None:
    """Raise unless it was fitted.

    Raises:
        NotFittedError: With scikit-learn's own words.
    """
    try:
        check_is_fitted(estimator)
    except exceptions.NotFittedError as error:
        raise NotFittedError(str(error)) from None
