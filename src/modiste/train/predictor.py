"""A trained model that only infers: from weights by name to logits.

Who lists and describes models imports this; torch comes with the first model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.data.preprocess import Preprocess
from modiste.data.types import ImageSet
from modiste.errors import DataError, StoreError
from modiste.spec.run import RunSpec

Arrays = Mapping[str, npt.NDArray[np.float32]]


class Predictor:
    """A net with given weights.

    Args:
        spec: Of the run that made them.
        layers: The run's layer table, with class names and preprocessing.
        weights: Trainable weights and moving statistics by name.

    Raises:
        StoreError: If a name, a shape or a value is not what the spec says.
    """

    def __init__(self, spec: RunSpec, layers: Mapping[str, Any], weights: Arrays) -> None:
        import torch

        from modiste.models.build import Network

        height, width, channels = layers["input_shape"]
        self.class_names = tuple(layers["class_names"])
        self.shape_CHW = (channels, height, width)
        self._preprocess = Preprocess.from_dict(layers["preprocess"])
        params = spec.model.net
        described = params.layers(self.shape_CHW, len(self.class_names))
        self._net = Network(described, self.shape_CHW, params.initialisation, views=params.views)
        places = dict(self._net.named_weights() + self._net.named_statistics())
        if set(places) != set(weights):
            wrong = ", ".join(sorted(set(places) ^ set(weights)))
            raise StoreError(f"these weights are not those of the model: {wrong}.")
        for name, place in places.items():
            # In order, and writable as torch asks: who maps a pickle hands over what is not.
            values = torch.from_numpy(np.require(weights[name], requirements=["C", "W"]))
            if values.shape != place.shape or not bool(torch.isfinite(values).all()):
                raise StoreError(
                    f"weights {name}: expected finite numbers of shape {tuple(place.shape)}, got "
                    f"{tuple(values.shape)}."
                )
            place.copy_(values)

    def logits(self, images_NCHW: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One row of logits for each image, N x K.

        Args:
            images_NCHW: uint8; or float32, if that is what the model was trained on.

        Raises:
            DataError: If it was trained on the other kind: equal numbers would mean other things.
        """
        from modiste.data.batches import Batches
        from modiste.train.loop import infer, to_end

        wanted = "uint8" if self._preprocess.is_bytes else "float32"
        if images_NCHW.dtype != wanted:
            raise DataError(
                f"this model was trained on arrays of {self._preprocess.dtype}, and these images "
                f"are {images_NCHW.dtype}. Image files hold bytes, 0 to 255: for a model that "
                "takes files, train on uint8; ImageClassifier.load(FOLDER) takes arrays of floats."
            )
        count = len(images_NCHW)
        images = ImageSet(
            images_NCHW,
            np.zeros(count, np.int64),
            self.class_names,
            np.arange(count),
            "val",
        )
        return to_end(infer(self._net, Batches(images, self._preprocess)))
