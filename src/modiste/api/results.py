"""What a model answered, and how good that is: to print, to show in a notebook, to work on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError, SpecError, StoreError
from modiste.evaluate.metrics import confusion, losses, precision, probabilities, recall
from modiste.evaluate.summary import Summary, summarise
from modiste.interval import wilson
from modiste.runs.run import EPOCHS, Run
from modiste.tables import number, to_frame, to_html, to_text

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run", "seed", "epoch", "accuracy", "low", "high", "loss", "correct", "total")
# Sums of probabilities in 16 bits are as near to 1.
_NEAR_ONE = 0.005
HEAD = ("run", "seed", "epoch", "accuracy", "95 % interval", "loss")


class Evaluation(Mapping[str, Any]):
    """How good models are on one set of images, each figure with its 95 % interval.

    It reads like the JSON object that `modiste evaluate --json` prints: ``part`` (``validation``,
    ``test`` or ``given``), ``num_images``, ``runs``, ``notes``.

    Args:
        values: Those keys; of each run ``label``, ``seed``, ``fingerprint`` and, by epoch,
            accuracy, interval, loss, correct and total.

    Example:
        >>> logits = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> answers = Predictions(logits, np.array([0, 1, 1]), np.arange(3), ("cat", "dog"))
        >>> print(answers.evaluate())
        given, 3 images
        run      seed  epoch  accuracy     95 % interval    loss
        -------  ----  -----  --------  ----------------  ------
        answers     –      –    0.6667  0.2077 to 0.9385  0.5845
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dict(self._values)

    def rows(self) -> list[dict[str, Any]]:
        """One mapping for each run and epoch; keys: see `to_frame`."""
        return [
            {
                "run": run["label"],
                "seed": run["seed"],
                "epoch": epoch,
                "accuracy": run[epoch]["accuracy"],
                "low": run[epoch]["interval"][0],
                "high": run[epoch]["interval"][1],
                "loss": run[epoch]["loss"],
                "correct": run[epoch]["correct"],
                "total": run[epoch]["total"],
            }
            for run in self["runs"]
            for epoch in (*EPOCHS, "given")
            if epoch in run
        ]

    def to_frame(self) -> pd.DataFrame:
        """One row for each run and epoch: accuracy, its interval (low, high), loss, counts.

        Raises:
            InstallError: If pandas is not installed.
        """
        return to_frame(self.rows(), COLUMNS)

    def __repr__(self) -> str:
        table = to_text(HEAD, [_cells(row) for row in self.rows()])
        return "\n".join([self._title(), table, *self["notes"]])

    def _repr_html_(self) -> str:
        note = " ".join(self["notes"])
        return to_html(self._title(), HEAD, [_cells(row) for row in self.rows()], note)

    def _title(self) -> str:
        return f"{self['part']}, {self['num_images']:,} images"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["run"],
        "–" if row["seed"] is None else str(row["seed"]),
        "–" if row["epoch"] == "given" else row["epoch"],
        number(row["accuracy"]),
        f"{number(row['low'])} to {number(row['high'])}",
        number(row["loss"]),
    )


def figures(correct: int, total: int, loss: float | None) -> dict[str, Any]:
    """What an `Evaluation` holds of one model: accuracy, its Wilson interval, loss and counts."""
    low, high = wilson(correct, total)
    return {
        "accuracy": correct / total,
        "interval": [low, high],
        "loss": loss,
        "correct": correct,
        "total": total,
    }


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """What a model said of images whose classes are known.

    Attributes:
        logits_NK: Scores, or logarithms of probabilities (minus infinity is a probability of 0):
            the highest one is the answer.
        labels_N: The right classes, 0 to K - 1.
        image_ids_N: Which images: positions in the data set, or in the X handed over.
        class_names: K names.
        part: ``validation``, or ``given`` for images that somebody handed over.
        name: Of the model.
        are_probabilities: Whether softmax of the scores means anything; not so of votes and
            distances, which have no loss either.

    Raises:
        DataError: If the arrays do not belong together, a label is no class, the scores of an
            image have no highest one that is a number, or they are probabilities themselves.

    Example:
        >>> logits = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> answers = Predictions(logits, np.array([0, 1, 1]), np.arange(3), ("cat", "dog"))
        >>> answers.confusion_KK.tolist()
        [[1, 0], [1, 1]]
        >>> answers.predicted_N.tolist(), answers.is_right_N.tolist()
        ([0, 1, 0], [True, True, False])
    """

    logits_NK: npt.NDArray[np.floating[Any]]
    labels_N: npt.NDArray[np.integer[Any]]
    image_ids_N: npt.NDArray[np.integer[Any]]
    class_names: tuple[str, ...]
    part: str = "given"
    name: str = "answers"
    are_probabilities: bool = True

    def __post_init__(self) -> None:
        names = tuple(self.class_names)
        logits_NK = _array("logits_NK", self.logits_NK, 2)
        labels_N = _array("labels_N", self.labels_N, 1)
        ids_N = _array("image_ids_N", self.image_ids_N, 1)
        counts = (len(logits_NK), len(labels_N), len(ids_N))
        if len(set(counts)) > 1 or not counts[0]:
            raise DataError(
                "rows of scores, labels and ids: {} of them; one of each is needed for every "
                "image, and one image at least.".format(", ".join(map(str, counts)))
            )
        values = {
            "logits_NK": _scores(logits_NK, len(names)),
            "labels_N": _classes(labels_N, len(names)),
            "image_ids_N": ids_N,
            "class_names": names,
        }
        if self.are_probabilities:
            _need_logarithms(_scores(logits_NK, len(names)))
        for field, value in values.items():
            object.__setattr__(self, field, value)  # frozen: as arrays once, and never after

    @classmethod
    def of(cls, run: Run, epoch: str = "last") -> Self:
        """What a finished run said of its validation images.

        Args:
            run: Whose logits were kept.
            epoch: ``best`` or ``last``.

        Raises:
            SpecError: If there is no such epoch, or what is given is no run.
            StoreError: If the run did not finish, or its logits were not kept.
        """
        if not isinstance(run, Run):
            raise SpecError(
                f"run: {run!r}; expected a Run, such as modiste.Run('runs/fit') or those in a "
                "study's table."
            )
        if epoch not in EPOCHS:
            raise SpecError(f"epoch: {epoch!r}; expected best or last.")
        metrics = run.metrics
        if metrics["status"] != "finished":
            raise StoreError(f"{run.folder}: {metrics['status']} ({metrics['reason']}).")
        if not run.has_predictions:
            raise StoreError(f"{run.folder}: what it said of single images was not kept.")
        saved = run.predictions
        return cls(
            saved[f"logits_{epoch}_NK"],
            saved["labels"],
            saved["image_ids"],
            tuple(run.layers["class_names"]),
            "validation",
            f"{run.folder.name}, {epoch} epoch",
            metrics[epoch]["val"]["loss"] is not None,
        )

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def predicted_N(self) -> npt.NDArray[np.int64]:
        """The class of the highest score, for each image."""
        return np.asarray(self.logits_NK.argmax(axis=1), np.int64)

    @property
    def is_right_N(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.predicted_N == self.labels_N)

    @property
    def probabilities_NK(self) -> npt.NDArray[np.float64]:
        """Softmax of the scores.

        Raises:
            DataError: If they are votes or distances.
        """
        if not self.are_probabilities:
            raise DataError(f"{self.name}: its scores are votes or distances, no probabilities.")
        return probabilities(self.logits_NK)

    @property
    def confusion_KK(self) -> npt.NDArray[np.int64]:
        """Images of each true class (row) by the class they were taken for (column)."""
        return confusion(self.predicted_N, self.labels_N, len(self.class_names))

    def evaluate(self) -> Evaluation:
        """Accuracy with its interval, and the loss."""
        loss = (
            float(losses(self.logits_NK, self.labels_N).mean()) if self.are_probabilities else None
        )
        measured = figures(int(self.is_right_N.sum()), len(self), loss)
        run = {"label": self.name, "seed": None, "fingerprint": None, "given": measured}
        return Evaluation(
            {
                "schema": 1,
                "part": self.part,
                "num_images": len(self),
                "runs": [run],
                "notes": [],
            }
        )

    def summary(self) -> Summary:
        """More figures, each with its interval: top two, macro F1, loss, Brier score, ECE."""
        _ = self.probabilities_NK
        return summarise(self.logits_NK, self.labels_N)

    def to_frame(self) -> pd.DataFrame:
        """One row for each image: id, class, answer, whether right, how sure, and its loss.

        Classes are named as `class_names` names them: words, also where labels were numbers.

        Raises:
            InstallError: If pandas is not installed.
        """
        names = np.array(self.class_names, dtype=object)
        columns: dict[str, npt.NDArray[Any]] = {
            "image_id": self.image_ids_N,
            "label": names[self.labels_N],
            "predicted": names[self.predicted_N],
            "is_right": self.is_right_N,
        }
        if self.are_probabilities:
            columns["probability"] = self.probabilities_NK.max(axis=1)
            columns["loss"] = losses(self.logits_NK, self.labels_N)
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*(column.tolist() for column in columns.values()), strict=True)
        ]
        return to_frame(rows, tuple(columns))

    def __repr__(self) -> str:
        return f"Predictions({self._title()})"

    def _repr_html_(self) -> str:
        counts_KK = self.confusion_KK
        wrong_KK = counts_KK - np.diag(np.diag(counts_KK))
        found_K, right_K = recall(counts_KK), precision(counts_KK)
        rows = [
            (
                name,
                f"{int(counts_KK[k].sum()):,}",
                number(float(found_K[k])),
                number(float(right_K[k])),
                self.class_names[int(wrong_KK[k].argmax())] if wrong_KK[k].any() else "–",
            )
            for k, name in enumerate(self.class_names)
        ]
        head = ("class", "images", "found (recall)", "precision", "most often taken for")
        return to_html(self._title(), head, rows)

    def _title(self) -> str:
        low, high = wilson(int(self.is_right_N.sum()), len(self))
        return (
            f"{self.name}: {self.part}, {len(self):,} images, accuracy "
            f"{self.is_right_N.mean():.4f} ({low:.4f} to {high:.4f})"
        )


def _array(name: str, values: Any, dimensions: int) -> npt.NDArray[Any]:
    shape = "a row of K scores for each image" if dimensions == 2 else "one for each image"
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise DataError(f"{name}: rows of different lengths; expected {shape}.") from None
    if array.ndim != dimensions:
        raise DataError(f"{name}: an array of shape {array.shape}; expected {shape}.")
    return array


def _need_logarithms(scores_NK: npt.NDArray[np.floating[Any]]) -> None:
    """That scores are none that sum to 1 already: softmax would make other ones of them."""
    is_share = scores_NK.shape[1] > 1 and ((scores_NK >= 0) & (scores_NK <= 1)).all()
    if is_share and np.abs(scores_NK.sum(axis=1, dtype=np.float64) - 1).max() < _NEAR_ONE:
        raise DataError(
            "logits_NK: from 0 to 1, and the scores of each image sum to 1, so that these are "
            "probabilities. Their logarithms are scores: np.log(probabilities). Of votes, say "
            "are_probabilities=False."
        )


def _scores(logits_NK: npt.NDArray[Any], num_classes: int) -> npt.NDArray[np.floating[Any]]:
    if not num_classes or logits_NK.shape[1] != num_classes:
        raise DataError(
            f"logits_NK: {logits_NK.shape[1]} scores for each image, and class_names has "
            f"{num_classes} names; expected a score for each class, in that order."
        )
    if logits_NK.dtype.kind not in "fiub":
        raise DataError(f"logits_NK: values of {logits_NK.dtype}; expected numbers.")
    scores_NK = logits_NK if logits_NK.dtype.kind == "f" else logits_NK.astype(np.float64)
    highest_N = scores_NK.max(axis=1)  # NaN where any is
    if not np.isfinite(highest_N).all():
        row = int(np.flatnonzero(~np.isfinite(highest_N))[0])
        raise DataError(
            f"logits_NK: row {row} has NaN or infinity as its highest score, which says nothing of "
            "the image. Leave such images out, or look for what went wrong in the model; minus "
            "infinity beside a number is a probability of 0, and fine."
        )
    return np.asarray(scores_NK)


def _classes(labels_N: npt.NDArray[Any], num_classes: int) -> npt.NDArray[np.integer[Any]]:
    remedy = f"expected positions in class_names, 0 to {num_classes - 1}"
    if labels_N.dtype.kind not in "fiub":
        raise DataError(
            f"labels_N: values such as {labels_N.tolist()[0]!r}; {remedy}. Of a name that is "
            "class_names.index(name)."
        )
    is_class_N = (labels_N >= 0) & (labels_N < num_classes) & (labels_N == np.floor(labels_N))
    if not is_class_N.all():
        strange = labels_N[~is_class_N].tolist()[0]
        raise DataError(
            f"labels_N: {strange!r} is no class; {remedy}. Leave images out whose class nobody "
            "knows."
        )
    return labels_N if labels_N.dtype.kind in "iu" else labels_N.astype(np.int64)
