"""A net as an ONNX graph, written from the same list of layers that everything else is made of.

From ``images`` (uint8, N x H x W x C, N is free) to ``probabilities`` (float32, N x K): scaling,
the layers, temperature and softmax. Weights keep the names and shapes that they have in
`model.safetensors`. No torch: whoever receives a model can write its graph again and compare.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from modiste.data.preprocess import Preprocess
from modiste.errors import StoreError
from modiste.models.layers import (
    Activate,
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    MaxPool,
    Residual,
    Shape,
    same_padding,
)
from modiste.models.places import Place, inner_places, places_of
from modiste.spec.parts import Views

Arrays = Mapping[str, npt.NDArray[Any]]

# Of 2022, so that whatever reads ONNX reads it. Gelu came later; it is five nodes.
OPSET = 17
IR_VERSION = 8
# Raised by every commit that writes another graph for the same net: equal number, equal graph.
GRAPH_VERSION = 1
INPUT, OUTPUT = "images", "probabilities"

# From N x H x W x C, in which images come and are flattened, to what ONNX computes in, and back.
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def build(
    layers: Sequence[Layer],
    shape_CHW: Shape,
    weights: Arrays,
    preprocess: Preprocess,
    temperature: float,
    metadata: Mapping[str, Any],
    views: Views = "one",
) -> ModelProto:
    """The graph of a net; the same arguments give the same bytes.

    Args:
        layers: From the image to the logits.
        shape_CHW: Of one image.
        weights: Trainable weights and moving statistics by name.
        preprocess: How pixels become numbers.
        temperature: What logits are divided by before softmax.
        metadata: Values by name; kept as JSON (words as they are) in `metadata_props`.
        views: What an answer is the mean of.

    Raises:
        StoreError: If weights are missing, of another shape, or belong to no layer.
    """
    nodes = _Nodes(weights)
    scaled = _scaled(nodes, preprocess)
    value, num_classes = _through(nodes, layers, shape_CHW, scaled)
    if views == "mirror":
        mirrored, _ = _through(nodes, layers, shape_CHW, _mirrored(nodes, scaled))
        both = nodes.add("Add", value, mirrored)
        value = nodes.add("Mul", both, _number(nodes, 0.5))
    divisor = nodes.constant("temperature", np.array(temperature, np.float32))
    nodes.add("Softmax", nodes.add("Div", value, divisor), output=OUTPUT, axis=-1)
    spare = sorted(set(weights) - {tensor.name for tensor in nodes.tensors})
    if spare:
        raise StoreError(f"these weights belong to no layer of the model: {', '.join(spare)}.")
    channels, height, width = shape_CHW
    graph = helper.make_graph(
        nodes.nodes,
        "modiste",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", height, width, channels])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", num_classes])],
        nodes.tensors,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="modiste",
    )
    helper.set_model_props(model, {name: as_text(value) for name, value in metadata.items()})
    return model


def as_text(value: Any) -> str:
    """A value as the metadata hold it: JSON, and words as they are."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass
class _Nodes:
    """The nodes and constants of one graph, while it is written."""

    weights: Arrays
    nodes: list[NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        name = output or f"{len(self.nodes)}_{kind.lower()}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add numbers, and return their name."""
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Add a tensor of the net's own, and return its name."""
        values = self.weights.get(name)
        if values is None or values.shape != shape or values.dtype != np.float32:
            found = "none" if values is None else f"{values.dtype} {values.shape}"
            raise StoreError(f"weights {name}: expected float32 {shape}, found {found}.")
        if any(tensor.name == name for tensor in self.tensors):  # another view computes with it
            return name
        return self.constant(name, values)


def _scaled(nodes: _Nodes, preprocess: Preprocess) -> str:
    """Pixels to numbers, as training does it; channels are last, so one factor for each will do."""
    factor_C, offset_C = preprocess.affine()
    value = nodes.add("Cast", INPUT, to=TensorProto.FLOAT)
    value = nodes.add("Mul", value, nodes.constant("scaling.factor", factor_C))
    if offset_C.any():
        value = nodes.add("Add", value, nodes.constant("scaling.offset", offset_C))
    return value


def _mirrored(nodes: _Nodes, value: str) -> str:
    """Left to right: from the last column back to the first, in the order N x H x W x C."""
    numbers = {"starts": -1, "ends": -(2**31), "axes": 2, "steps": -1}
    tensors = [
        nodes.constant(f"mirror.{name}", np.array([number], np.int64))
        for name, number in numbers.items()
    ]
    return nodes.add("Slice", value, *tensors)


def _through(
    nodes: _Nodes, layers: Sequence[Layer], shape_CHW: Shape, value: str
) -> tuple[str, int]:
    """Every layer in turn; the names of tensors are those of `modiste.models.build`."""
    is_channels_first = False
    places = places_of(layers, shape_CHW)
    for place in places:
        # An image is flattened in the order H x W x C, as it came: Keras's order, and training's.
        is_image = len(place.shape) == 3
        wants_channels_first = is_image and not isinstance(place.layer, Flatten)
        if is_image and is_channels_first != wants_channels_first:
            order = _TO_CHANNELS_FIRST if wants_channels_first else _TO_CHANNELS_LAST
            value = nodes.add("Transpose", value, perm=order)
            is_channels_first = wants_channels_first
        value = _layer(nodes, place, value)
    (num_classes,) = places[-1].layer.output_shape(places[-1].shape)
    return value, num_classes


def _layer(nodes: _Nodes, place: Place, value: str) -> str:
    name, shape = place.name, place.shape
    match place.layer:
        case Flatten():
            return nodes.add("Flatten", value, axis=1)
        case Dropout():
            return value
        case Activate(activation):
            return _activated(nodes, value, activation)
        case Dense(units, activation):
            weight = nodes.weight(f"{name}.weight", units, shape[0])
            bias = nodes.weight(f"{name}.bias", units)
            return _activated(nodes, nodes.add("Gemm", value, weight, bias, transB=1), activation)
        case Conv() as conv:
            return _activated(nodes, _conv(nodes, conv, place, value), conv.activation)
        case BatchNorm() as norm:
            parts = ("scale", "shift", "moving_mean", "moving_variance")
            tensors = [nodes.weight(f"{name}.{part}", shape[0]) for part in parts]
            return nodes.add("BatchNormalization", value, *tensors, epsilon=norm.epsilon)
        case Residual():
            inside = value
            for inner in inner_places(place):
                inside = _layer(nodes, inner, inside)
            return nodes.add("Add", value, inside)
        case MaxPool() | GlobalPool() as pool:
            return _pool(nodes, pool, shape, value)
    raise AssertionError(f"no way to write {place.layer!r} as ONNX")


def _conv(nodes: _Nodes, layer: Conv, place: Place, value: str) -> str:
    kernel, stride, dilation = layer.kernel, layer.stride, layer.dilation
    tensors = [nodes.weight(f"{place.name}.weight", layer.filters, place.shape[0], kernel, kernel)]
    if layer.has_bias:
        tensors.append(nodes.weight(f"{place.name}.bias", layer.filters))
    return nodes.add(
        "Conv",
        value,
        *tensors,
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        dilations=[dilation] * 2,
        pads=_pads(place.shape, (kernel - 1) * dilation + 1, stride, layer.padding),
    )


def _pool(nodes: _Nodes, layer: MaxPool | GlobalPool, shape: Shape, value: str) -> str:
    if isinstance(layer, GlobalPool):
        kind = "GlobalMaxPool" if layer.what == "max" else "GlobalAveragePool"
        return nodes.add("Flatten", nodes.add(kind, value), axis=1)
    # What is padded is less than everything, and never the largest.
    return nodes.add(
        "MaxPool",
        value,
        kernel_shape=[layer.size] * 2,
        strides=[layer.stride] * 2,
        pads=_pads(shape, layer.size, layer.stride, layer.padding),
    )


def _pads(shape: Shape, span: int, stride: int, padding: str) -> list[int]:
    """Top, left, bottom, right."""
    if padding == "valid":
        return [0, 0, 0, 0]
    (top, bottom), (left, right) = (same_padding(size, span, stride) for size in shape[1:])
    return [top, left, bottom, right]


def _activated(nodes: _Nodes, value: str, activation: Activation) -> str:
    match activation:
        case "linear" | "softmax":  # softmax comes at the end, after the temperature
            return value
        case "relu" | "elu" | "tanh" | "sigmoid":
            return nodes.add(activation.capitalize(), value)
        case "silu":
            return nodes.add("Mul", value, nodes.add("Sigmoid", value))
        case "gelu":  # x / 2 * (1 + erf(x / sqrt(2))); ONNX has it as one node since opset 20
            scaled = nodes.add("Mul", value, _number(nodes, math.sqrt(0.5)))
            share = nodes.add("Add", nodes.add("Erf", scaled), _number(nodes, 1.0))
            return nodes.add("Mul", nodes.add("Mul", value, share), _number(nodes, 0.5))
    raise AssertionError(f"no way to write {activation!r} as ONNX")


def _number(nodes: _Nodes, number: float) -> str:
    name = f"number {number:.9g}"
    if any(tensor.name == name for tensor in nodes.tensors):
        return name
    return nodes.constant(name, np.array(number, np.float32))
