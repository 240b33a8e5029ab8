"""A model in 8 bits: a quarter of the size, and not quite the same answers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from modiste.artifact.graph import INPUT

# The ranges of activations are taken from so many training images, evenly spread.
NUM_IMAGES = 512
_BATCH = 64
# Tells onnxruntime that nothing is left to be folded or inferred beforehand; else it warns.
_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Batches of images, as onnxruntime asks for them."""

    def __init__(self, images_NHWC: npt.NDArray[np.uint8]) -> None:
        self._batches: Iterator[dict[str, npt.NDArray[np.uint8]]] = iter(
            {INPUT: np.ascontiguousarray(images_NHWC[start : start + _BATCH])}
            for start in range(0, len(images_NHWC), _BATCH)
        )

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        return next(self._batches, None)


def quantised(model: ModelProto, images_NHWC: npt.NDArray[np.uint8]) -> ModelProto:
    """The same graph with convolutions and dense layers in 8 bits.

    Weights have one scale for each output channel, activations one for each tensor, from the
    lowest and highest value that training images bring about. Scaling, temperature and softmax
    stay as they are.

    Args:
        model: From `modiste.artifact.graph.build`; not changed.
        images_NHWC: Training images; at most `NUM_IMAGES` of them are used.
    """
    copy = ModelProto.FromString(model.SerializeToString())
    given = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(copy, _PREPARED)
    step = max(1, -(-len(images_NHWC) // NUM_IMAGES))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_static(
            copy,
            path,
            _Images(images_NHWC[::step]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm"],
        )
        found: ModelProto = ModelProto.FromString(path.read_bytes())
    found.producer_name, found.producer_version = model.producer_name, ""
    helper.set_model_props(found, {**given, "bits": "8"})
    # Some numbers come as lists of their own; all of ours are plain bytes.
    tensors = [
        numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)
        for tensor in found.graph.initializer
    ]
    del found.graph.initializer[:]
    found.graph.initializer.extend(tensors)
    return found
