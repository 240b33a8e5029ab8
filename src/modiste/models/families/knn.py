"""k nearest neighbours on pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from modiste.spec.parts import MODELS, Estimator, Fitted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@MODELS.register("knn")
class Knn(Estimator):
    """The training images nearest to an image, by the squares of pixel differences, vote.

    Its scores are shares of the votes. They are no probabilities: of five neighbours none may be
    of the true class, and the loss would be infinite.

    Attributes:
        neighbours: How many vote.
        weights: ``distance`` lets a vote count as the inverse of the distance, ``uniform`` counts
            all alike.
    """

    gives_probabilities: ClassVar[bool] = False

    # 5 of 1, 3, 5 and 7, weighted by distance: LOG.md, 2026-11-22.
    neighbours: int = Field(5, ge=1)
    weights: Literal["uniform", "distance"] = "distance"

    def fit(
        self,
        images_NCHW: npt.NDArray[np.float32],
        labels_N: npt.NDArray[np.int64],
        num_classes: int,
        seed: int,
    ) -> Fitted:
        from sklearn.neighbors import KNeighborsClassifier

        from modiste.errors import SpecError

        if self.neighbours > len(labels_N):
            raise SpecError(
                f"model.params.neighbours: {self.neighbours:,}, but there are only "
                f"{len(labels_N):,} images to train on."
            )
        # Trees are no help among hundreds of pixels: all distances are worked out.
        model = KNeighborsClassifier(self.neighbours, weights=self.weights, algorithm="brute")
        return _Votes(model.fit(images_NCHW.reshape(len(images_NCHW), -1), labels_N))


@dataclass(frozen=True)
class _Votes:
    model: Any

    @property
    def num_kept(self) -> int:
        return int(self.model.n_samples_fit_ * (self.model.n_features_in_ + 1))

    def scores_NK(self, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        x_ND = images_NCHW.reshape(len(images_NCHW), -1)
        scores: npt.NDArray[np.float32] = self.model.predict_proba(x_ND).astype("f4")
        return scores
