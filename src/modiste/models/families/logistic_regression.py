"""Multinomial logistic regression on pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from modiste.models.margins import one_for_each_class
from modiste.spec.parts import MODELS, Estimator, Fitted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@MODELS.register("logistic_regression")
class LogisticRegression(Estimator):
    """A weight for each pixel and class, fitted by L-BFGS until it has converged.

    The same model as an MLP without hidden layers, found by another road: with a penalty on the
    squares of its weights, and all images at once.

    Attributes:
        C: The inverse of the penalty: less of it, smaller weights.
        tolerance: It has converged where no slope of the loss is steeper than this.
        max_iterations: The limit; a fit that reaches it says that it did not converge.
    """

    gives_probabilities: ClassVar[bool] = True

    # What these two were chosen by: LOG.md, 2026-11-22.
    C: float = Field(0.1, gt=0)
    tolerance: float = Field(3e-4, gt=0)
    max_iterations: int = Field(1_000, ge=1)

    def fit(
        self,
        images_NCHW: npt.NDArray[np.float32],
        labels_N: npt.NDArray[np.int64],
        num_classes: int,
        seed: int,
    ) -> Fitted:
        from sklearn.linear_model import LogisticRegression as Theirs

        model = Theirs(C=self.C, tol=self.tolerance, max_iter=self.max_iterations)
        return _Linear(model.fit(images_NCHW.reshape(len(images_NCHW), -1), labels_N))


@dataclass(frozen=True)
class _Linear:
    model: Any

    @property
    def num_kept(self) -> int:
        return int(self.model.coef_.size + self.model.intercept_.size)

    def scores_NK(self, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        # Whose softmax are the probabilities.
        x_ND = images_NCHW.reshape(len(images_NCHW), -1)
        return one_for_each_class(self.model.decision_function(x_ND))
