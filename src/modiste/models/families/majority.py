"""The least one can do: always the class that is commonest among the training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from modiste.spec.parts import MODELS, Estimator, Fitted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@MODELS.register("majority")
class Majority(Estimator):
    """The share of each class among the training images, whatever the image.

    Equal classes give the first one each time. The loss is the entropy of those shares.
    """

    gives_probabilities: ClassVar[bool] = True

    def fit(
        self,
        images_NCHW: npt.NDArray[np.float32],
        labels_N: npt.NDArray[np.int64],
        num_classes: int,
        seed: int,
    ) -> Fitted:
        from sklearn.dummy import DummyClassifier

        return _Prior(DummyClassifier(strategy="prior").fit(images_NCHW, labels_N))


@dataclass(frozen=True)
class _Prior:
    model: Any

    @property
    def num_kept(self) -> int:
        return int(self.model.class_prior_.size)

    def scores_NK(self, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        scores: npt.NDArray[np.float32] = self.model.predict_log_proba(images_NCHW).astype("f4")
        return scores
