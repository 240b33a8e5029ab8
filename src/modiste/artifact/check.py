"""What an ONNX file of ours may hold, looked at before anything runs it.

onnxruntime does as a file says: one of 65 bytes made it take 2 GiB, and one that is given by its
path may name other files to be read. So ours are read into memory, taken apart here, and refused
if anything in them is nothing that `modiste export` writes; what is run is put together again from
the parts that were looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from onnx import (
    AttributeProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    shape_inference,
)

from modiste.artifact.folder import LIMIT_BYTES
from modiste.artifact.graph import INPUT, IR_VERSION, OPSET, OUTPUT
from modiste.errors import ArtifactError

LIMIT_NODES = 10_000
LIMIT_SIDE_PX = 4096
# What all steps of one image give out, at 4 bytes each; 2 MB for the largest net of the reference
# study. onnxruntime needs less, because it uses memory again.
LIMIT_BYTES_PER_IMAGE = 1 << 30
# Some minutes of one core; 4e9 are a ResNet-50 on an image of 224 x 224.
LIMIT_MULTIPLY_ADDS = 10**12
# Those of this version and of the ones before it.
OPSETS = range(17, OPSET + 1)
# What `graph` writes, and what quantisation to 8 bits adds. None of them runs code, reads a file or
# holds a graph of its own, and what each gives out can be told from shapes alone.
OPERATORS = frozenset(
    {
        *("Cast", "Mul", "Add", "Div", "Slice", "Transpose", "Flatten", "Softmax"),
        *("Gemm", "Conv", "MaxPool", "GlobalMaxPool", "GlobalAveragePool", "BatchNormalization"),
        *("Relu", "Elu", "Tanh", "Sigmoid", "Erf"),
        *("QuantizeLinear", "DequantizeLinear"),
    }
)
_OWN_DOMAIN = ("", "ai.onnx")
# Kinds of attributes, and the field in which each keeps its number.
_NUMBERS = {AttributeProto.INT: "i", AttributeProto.INTS: "ints", AttributeProto.FLOAT: "f"}


@dataclass(frozen=True)
class Checked:
    """An ONNX file that may be run.

    Attributes:
        model: All that it holds.
        runnable: What was looked at and can change an answer, and nothing else: this is run.
        metadata: What it says of itself.
        shape_HWC: Of one image.
        num_classes: Probabilities of one image.
        bytes_per_image: Of what all steps give out for one image.
    """

    model: ModelProto
    runnable: bytes
    metadata: dict[str, str]
    shape_HWC: tuple[int, int, int]
    num_classes: int
    bytes_per_image: int


def parse(content: bytes, name: str) -> Checked:
    """Take an ONNX file apart.

    Args:
        content: Of the file.
        name: What to call it in errors.

    Raises:
        ArtifactError: If it is no ONNX file, or holds anything that ours do not.
    """
    if len(content) > LIMIT_BYTES:
        raise ArtifactError(f"{name}: {len(content):,} bytes; the limit is {LIMIT_BYTES:,}.")
    model = ModelProto()
    try:
        model.ParseFromString(content)
        found = next(_foreign(model), None)
        bare = model if found else _bare(model)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
    except DecodeError:
        raise ArtifactError(f"{name}: no ONNX file, or a cut one.") from None
    except UnicodeDecodeError:
        found = "holds names that are no text"
    if found:
        raise ArtifactError(
            f"{name}: {found}. `modiste export` writes no such file; it is not run."
        )
    sizes = _sizes_of_one_image(bare, name)
    if len(sizes[OUTPUT]) != 2 or sizes[OUTPUT][0] != 1:
        raise ArtifactError(f"{name}: gives out no row of {OUTPUT} for an image. It is not run.")
    bytes_per_image = 4 * sum(math.prod(sizes[node.output[0]]) for node in bare.graph.node)
    asked = (
        (bytes_per_image, LIMIT_BYTES_PER_IMAGE, "bytes of memory"),
        (_multiply_adds(bare, sizes), LIMIT_MULTIPLY_ADDS, "multiply-adds"),
    )
    for number, limit, unit in asked:
        if number > limit:
            raise ArtifactError(
                f"{name}: {number:,} {unit} for one image; the limit is {limit:,}. It is not run."
            )
    _, height, width, channels = _sizes(model.graph.input[0])
    num_classes = sizes[OUTPUT][1]
    return Checked(
        model,
        bare.SerializeToString(deterministic=True),
        metadata,
        (height, width, channels),
        num_classes,
        bytes_per_image,
    )


def _bare(model: ModelProto) -> ModelProto:
    """A copy with nothing in it that nobody looked at, and that says no shape but the input's."""
    (image,), graph = model.graph.input, model.graph
    return helper.make_model(
        helper.make_graph(
            [_bare_node(node) for node in graph.node],
            "checked",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *_sizes(image)[1:]])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)],
            [
                TensorProto(
                    name=tensor.name,
                    data_type=tensor.data_type,
                    dims=tensor.dims,
                    raw_data=tensor.raw_data,
                )
                for tensor in graph.initializer
            ],
        ),
        opset_imports=[helper.make_opsetid("", model.opset_import[0].version)],
        ir_version=IR_VERSION,
    )


def _bare_node(node: NodeProto) -> NodeProto:
    return NodeProto(
        op_type=node.op_type,
        input=node.input,
        output=node.output,
        attribute=[
            AttributeProto(name=a.name, type=a.type, **{field: getattr(a, field)})
            for a in node.attribute
            for field in [_NUMBERS[a.type]]
        ],
    )


def _foreign(model: ModelProto) -> Iterator[str]:
    """What is in it that ours do not hold, each in words that end a sentence."""
    graph = model.graph
    imports = [(entry.domain, entry.version) for entry in model.opset_import]
    if len(imports) != 1 or imports[0][0] not in _OWN_DOMAIN or imports[0][1] not in OPSETS:
        yield f"uses other operators than ONNX's own of version {OPSETS[0]} to {OPSETS[-1]}"
    if model.functions or model.training_info or graph.sparse_initializer:
        yield "holds functions, steps of training or sparse tensors"
    if len(graph.node) > LIMIT_NODES:
        yield f"holds {len(graph.node):,} steps; the limit is {LIMIT_NODES:,}"
    for node in graph.node:
        if node.op_type not in OPERATORS or node.domain not in _OWN_DOMAIN:
            yield f"uses the operator {node.op_type!r} of {node.domain or 'ONNX'!r}"
        if len(node.output) != 1 or not node.output[0]:
            yield f"holds a step {node.op_type!r} that gives out not one thing"
        for attribute in node.attribute:
            if attribute.type not in _NUMBERS or attribute.ref_attr_name:
                yield f"gives {node.op_type!r} an attribute that is no number: {attribute.name!r}"
    for tensor in graph.initializer:
        yield from _foreign_tensor(tensor)
    yield from _foreign_ends(model)


def _foreign_tensor(tensor: TensorProto) -> Iterator[str]:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        yield f"keeps the numbers of {tensor.name!r} in another file"
        return
    try:
        item_bytes = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        item_bytes = 0
    is_possible = item_bytes > 0 and min(tensor.dims, default=1) >= 0
    if not is_possible or math.prod(tensor.dims) * item_bytes != len(tensor.raw_data):
        yield f"says one size of {tensor.name!r} and holds another"


def _foreign_ends(model: ModelProto) -> Iterator[str]:
    inputs, outputs = list(model.graph.input), list(model.graph.output)
    if [value.name for value in inputs] != [INPUT] or [v.name for v in outputs] != [OUTPUT]:
        yield f"has other ends than {INPUT} and {OUTPUT}"
        return
    sizes = _sizes(inputs[0])
    if inputs[0].type.tensor_type.elem_type != TensorProto.UINT8 or len(sizes) != 4:
        yield f"takes other {INPUT} than bytes, N x height x width x channels"
    elif not all(0 < size <= LIMIT_SIDE_PX for size in sizes[1:]):
        yield f"takes {INPUT} of {' x '.join(map(str, sizes[1:]))}"


def _sizes_of_one_image(model: ModelProto, name: str) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors, by name, and of what each step gives out for one image: worked out."""
    one = ModelProto()
    one.CopyFrom(model)
    one.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    try:
        # Strict: a step whose shapes do not fit together is an error.
        inferred = shape_inference.infer_shapes(one, check_type=True, strict_mode=True)
    except (shape_inference.InferenceError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise ArtifactError(
            f"{name}: its steps do not fit together ({why}). It is not run."
        ) from None
    sizes = {
        value.name: _sizes(value) for value in [*inferred.graph.value_info, *inferred.graph.output]
    }
    for node in one.graph.node:
        if min(sizes.get(node.output[0], (0,)), default=1) < 1:
            raise ArtifactError(
                f"{name}: what the step {node.op_type} gives out has no size that could be known. "
                "It is not run."
            )
    return {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer} | sizes


def _multiply_adds(model: ModelProto, sizes: dict[str, tuple[int, ...]]) -> int:
    """Of convolutions and dense layers, and comparisons of pooling, for one image."""
    total = 0
    for node in model.graph.node:
        out = sizes[node.output[0]]
        if node.op_type in ("Conv", "Gemm"):  # the second input is the weights
            weight = sizes.get(node.input[1], ()) if len(node.input) > 1 else ()
            # Every weight of a filter, or of a unit, goes into each number that comes out of it.
            num_outputs = weight[:1] if node.op_type == "Conv" else out[-1:]
            total += math.prod(out) * math.prod(weight) // max(1, *num_outputs, 1)
        elif node.op_type == "MaxPool":
            windows = [a.ints for a in node.attribute if a.name == "kernel_shape"]
            total += math.prod(out) * sum(map(math.prod, windows))
    return total


def _sizes(value: ValueInfoProto) -> tuple[int, ...]:
    """Its dimensions; 0 for one that is no number."""
    return tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
