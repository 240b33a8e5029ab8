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
        logits_NK: Scores, or logarithms of probabilities: the highest one is the answer.
        labels_N: The right classes, 0 to K - 1.
        image_ids_N: Which images: positions in the data set, or in the X handed over.
        class_names: K names.
        part: ``validation``, or ``given`` for images that somebody handed over.
        name: Of the model.
        are_probabilities: Whether softmax of the scores means anything; not so of votes and
            distances, which have no loss either.

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
        counts = (len(self.logits_NK), len(self.labels_N), len(self.image_ids_N))
        if len(set(counts)) > 1 or not counts[0]:
            raise DataError(
                "rows of scores, labels and ids: {} of them; one of each is needed for every "
                "image, and one image at least.".format(", ".join(map(str, counts)))
            )

    @classmethod
    def of(cls, run: Run, epoch: str = "last") -> Self:
        """What a finished run said of its validation images.

        Args:
            run: Whose logits were kept.
            epoch: ``best`` or ``last``.

        Raises:
            SpecError: If there is no such epoch.
            StoreError: If the run did not finish, or its logits were not kept.
        """
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
