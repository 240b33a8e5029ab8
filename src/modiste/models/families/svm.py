"""Support vector machines, on pixels or on histograms of oriented gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from modiste.errors import SpecError
from modiste.models.margins import one_for_each_class
from modiste.spec.parts import MODELS, Estimator, Fitted, Shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Of the RBF kernel's rows, those that are kept; the others are worked out again and again.
_CACHE_MIB = 1_000


@MODELS.register("svm")
class Svm(Estimator):
    """Borders between the classes that keep the widest distance from the training images.

    Its scores are no probabilities: of the linear kernel the distance from each class's border,
    in units of the margin; of the RBF kernel the duels that a class wins against the others, and
    by how much.

    Attributes:
        features: What it sees of an image: its ``pixels``, or histograms of oriented gradients,
            ``hog``; the next four keys are for these alone.
        orientations: Directions that are told apart.
        cell: Side of the square, in pixels, that one histogram is taken over.
        block: Side of the square, in cells, over which contrast is evened out.
        signed: Whether dark to light and light to dark are two directions.
        kernel: ``linear``, one border for each class against the rest; or ``rbf``, one for each
            pair of classes.
        C: The price of an image on the wrong side.
        gamma: Of the RBF kernel ``exp(-gamma |x - y|^2)``; ``scale`` is 1 / (D x variance).
    """

    gives_probabilities: ClassVar[bool] = False

    # What these were chosen by: LOG.md, 2026-11-22.
    features: Literal["pixels", "hog"] = "hog"
    orientations: int = Field(12, ge=1, le=360)
    cell: int = Field(4, ge=1)
    block: int = Field(7, ge=1)
    signed: bool = True
    kernel: Literal["linear", "rbf"] = "rbf"
    C: float = Field(1.0, gt=0)
    gamma: Literal["scale"] | Annotated[float, Field(gt=0)] = "scale"

    def check(self, shape_CHW: Shape, num_classes: int) -> None:
        _, height, width = shape_CHW
        num_cells = min(height, width) // self.cell
        if self.features == "hog" and self.block > num_cells:
            raise SpecError(
                f"model.params: a block of {self.block} x {self.block} cells of {self.cell} pixels "
                f"does not fit into {height} x {width} pixels; make `cell` or `block` smaller."
            )

    def fit(
        self,
        images_NCHW: npt.NDArray[np.float32],
        labels_N: npt.NDArray[np.int64],
        num_classes: int,
        seed: int,
    ) -> Fitted:
        from sklearn.svm import SVC, LinearSVC

        model: Any
        if self.kernel == "linear":
            # The primal problem: there are more images than features. It draws nothing by chance.
            model = LinearSVC(C=self.C, dual=False)
        else:
            model = SVC(C=self.C, gamma=self.gamma, cache_size=_CACHE_MIB)
        return _Machine(self, model.fit(self.see(images_NCHW), labels_N))

    def see(self, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The features of images, N x D."""
        from modiste.models.hog import hog

        if self.features == "pixels":
            return images_NCHW.reshape(len(images_NCHW), -1)
        return hog(images_NCHW, self.orientations, self.cell, self.block, is_signed=self.signed)


@dataclass(frozen=True)
class _Machine:
    spec: Svm
    model: Any

    @property
    def num_kept(self) -> int:
        model = self.model
        if self.spec.kernel == "linear":
            return int(model.coef_.size + model.intercept_.size)
        return int(model.support_vectors_.size + model.dual_coef_.size + model.intercept_.size)

    def scores_NK(self, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return one_for_each_class(self.model.decision_function(self.spec.see(images_NCHW)))
