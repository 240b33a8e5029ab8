"""ONNX files that are not ours: each is refused in words, and none of them is ever run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from modiste.artifact import check
from modiste.artifact.check import parse
from modiste.artifact.graph import IR_VERSION, OPSET
from modiste.artifact.model import open_session
from modiste.errors import ArtifactError

Nodes = list[onnx.NodeProto]
Tensors = list[TensorProto]


def tensor(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def model_of(nodes: Nodes, tensors: Tensors, sizes: tuple[int, ...] = (8, 8, 1)) -> ModelProto:
    """From images to probabilities through these nodes."""
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *sizes])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        tensors,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )


def ours() -> ModelProto:
    """A linear classifier, as we would write it."""
    nodes = [
        helper.make_node("Cast", ["images"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["a"], ["b"], axis=1),
        helper.make_node("Gemm", ["b", "weight", "bias"], ["c"], transB=1),
        helper.make_node("Softmax", ["c"], ["probabilities"], axis=-1),
    ]
    return model_of(nodes, [tensor("weight", 3, 64), tensor("bias", 3)])


def external(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../etc/passwd")


def half_external(model: ModelProto) -> None:
    """Says that it lies elsewhere, and holds its numbers as well."""
    model.graph.initializer[0].external_data.add(key="location", value="/dev/zero")


def custom(model: ModelProto) -> None:
    model.graph.node[1].domain = "evil.example"
    model.opset_import.append(helper.make_opsetid("evil.example", 1))


def with_loop(model: ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.insert(0, helper.make_node("Loop", ["x", "y"], ["z"], body=body))


def hidden_graph(model: ModelProto) -> None:
    """A graph inside an operator that is ours."""
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", body))


def hidden_tensor(model: ModelProto) -> None:
    held = TensorProto(data_location=TensorProto.EXTERNAL)
    model.graph.node[0].attribute.append(helper.make_attribute("value", held))


def with_function(model: ModelProto) -> None:
    function = helper.make_function("here", "f", ["x"], ["y"], [], [helper.make_opsetid("", OPSET)])
    model.functions.append(function)


def bomb(model: ModelProto) -> None:
    """What made onnxruntime take 2 GiB: 65 bytes that ask for a tensor."""
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["z"]))


def lying_sizes(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def negative_sizes(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-3, -64]


def listed_numbers(model: ModelProto) -> None:
    """Numbers as a list, which we never write."""
    values = model.graph.initializer[1]
    values.ClearField("raw_data")
    values.float_data.extend([0.0, 0.0, 0.0])


def untyped(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = 99


def other_ends(model: ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, ["N", 3]))


def floats_in(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def endless_image(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def sizeless_image(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].Clear()


def two_outputs(model: ModelProto) -> None:
    model.graph.node[0].output.append("second")


def many_nodes(model: ModelProto) -> None:
    model.graph.node.extend([helper.make_node("Relu", ["c"], ["d"])] * (check.LIMIT_NODES + 1))


def misfit(model: ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(tensor("weight", 3, 63))


def newer(model: ModelProto) -> None:
    model.opset_import[0].version = 99


def words(model: ModelProto) -> None:
    model.graph.node[2].attribute.append(helper.make_attribute("mode", "x"))


def missing_input(model: ModelProto) -> None:
    del model.graph.node[2].input[1:]


def test_what_we_write_passes_and_runs() -> None:
    content = ours().SerializeToString()
    checked = parse(content, "model.onnx")
    assert checked.shape_HWC == (8, 8, 1)
    assert checked.num_classes == 3
    assert checked.bytes_per_image == 4 * (64 + 64 + 3 + 3)
    answer = open_session(content, "model.onnx").run(np.zeros((2, 8, 8, 1), np.uint8))
    assert answer == pytest.approx(np.full((2, 3), 1 / 3))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (external, "keeps the numbers of 'weight' in another file"),
        (half_external, "keeps the numbers of 'weight' in another file"),
        (custom, "uses other operators than ONNX's own"),
        (newer, "of version 17 to 17"),
        (with_loop, "uses the operator 'Loop' of 'ONNX'"),
        (bomb, "uses the operator 'ConstantOfShape'"),
        (hidden_graph, "an attribute that is no number: 'body'"),
        (hidden_tensor, "an attribute that is no number: 'value'"),
        (words, "an attribute that is no number: 'mode'"),
        (with_function, "holds functions"),
        (lying_sizes, "says one size of 'weight' and holds another"),
        (negative_sizes, "says one size of 'weight' and holds another"),
        (listed_numbers, "says one size of 'bias' and holds another"),
        (untyped, "says one size of 'weight' and holds another"),
        (other_ends, "has other ends than images and probabilities"),
        (floats_in, "takes other images than bytes"),
        (endless_image, r"takes images of 1099511627776 x 8 x 1"),
        (sizeless_image, "takes images of 0 x 8 x 1"),
        (two_outputs, "gives out not one thing"),
        (many_nodes, "holds 10,005 steps"),
        (misfit, "its steps do not fit together"),
        (missing_input, "its steps do not fit together"),
    ],
)
def test_anything_else_is_refused(how: Callable[[ModelProto], None], said: str) -> None:
    model = ours()
    how(model)
    with pytest.raises(ArtifactError, match=said) as refused:
        parse(model.SerializeToString(), "theirs.onnx")
    assert str(refused.value).startswith("theirs.onnx: ")
    assert "not run" in str(refused.value)


def convolution(sizes: tuple[int, ...], filters: int, kernel: int, **attributes: object) -> bytes:
    """One convolution over an image, then what we would do."""
    nodes = [
        helper.make_node("Cast", ["images"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["b", "weight"], ["c"], **attributes),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[8, 8], strides=[4096, 4096]),
        helper.make_node("Flatten", ["d"], ["e"], axis=1),
        helper.make_node("Softmax", ["e"], ["probabilities"], axis=-1),
    ]
    weight = tensor("weight", filters, sizes[2], kernel, kernel)
    return model_of(nodes, [weight], sizes).SerializeToString()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (convolution((4096, 4096, 1), 64, 1), "bytes of memory for one image"),
        (convolution((8, 8, 1), 1, 1, pads=[20_000] * 4), "bytes of memory for one image"),
        (convolution((1024, 1024, 3), 64, 127, pads=[63] * 4), "multiply-adds for one image"),
    ],
    ids=["a large image", "padding", "a large kernel"],
)
def test_a_small_file_that_asks_for_much_is_refused(content: bytes, said: str) -> None:
    assert len(content) < 13_000_000
    with pytest.raises(ArtifactError, match=said):
        parse(content, "theirs.onnx")


def test_a_graph_that_gives_no_row_for_an_image_is_refused() -> None:
    model = ours()
    del model.graph.node[1:]
    model.graph.node.add(op_type="Softmax", input=["a"], output=["probabilities"])
    with pytest.raises(ArtifactError, match="no row of probabilities for an image"):
        parse(model.SerializeToString(), "theirs.onnx")


@pytest.mark.parametrize(
    "content",
    [b"", b"no onnx at all", ours().SerializeToString()[:-20], bytes(100)],
    ids=["empty", "words", "cut", "zeros"],
)
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"theirs\.onnx: "):
        parse(content, "theirs.onnx")


def test_files_changed_at_random_end_in_one_clear_error_or_in_an_answer() -> None:
    """Bits, bytes and lengths of a file that is ours: no crash, and no error of another kind."""
    chance = np.random.default_rng(0)
    sources = [ours().SerializeToString(), convolution((8, 8, 1), 4, 3)]
    num_answers = 0
    for number in range(600):
        content = bytearray(sources[number % 2])
        for _ in range(chance.integers(1, 4)):
            place = chance.integers(len(content))
            match chance.integers(3):
                case 0:
                    content[place] ^= 1 << int(chance.integers(8))
                case 1:
                    content[place] = int(chance.integers(256))
                case _:
                    del content[place : place + chance.integers(1, 9)]
        try:
            session = open_session(bytes(content), "theirs.onnx")
            session.run(np.zeros((2, *session.shape_HWC), np.uint8))
            num_answers += 1
        except ArtifactError:
            continue
    assert 0 < num_answers < 300  # most changes are noticed, and some hit a weight


def test_what_runs_holds_nothing_that_was_not_looked_at() -> None:
    model = ours()
    model.doc_string = model.graph.doc_string = "ignore all checks"
    model.graph.node[0].doc_string = "and this one"
    model.metadata_props.add(key="a", value="b")
    model.graph.value_info.add().CopyFrom(
        helper.make_tensor_value_info("a", TensorProto.FLOAT, [1 << 40])
    )
    runnable = parse(model.SerializeToString(), "theirs.onnx").runnable
    assert runnable == parse(ours().SerializeToString(), "ours.onnx").runnable


def test_a_file_beyond_the_limit_is_not_even_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    content = ours().SerializeToString()
    monkeypatch.setattr(check, "LIMIT_BYTES", len(content) - 1)
    with pytest.raises(ArtifactError, match="the limit is"):
        parse(content, "theirs.onnx")


def test_what_onnxruntime_cannot_run_is_one_clear_error() -> None:
    model = ours()
    model.graph.node[2].input[0] = "nowhere"
    with pytest.raises(ArtifactError, match=r"theirs\.onnx"):
        open_session(model.SerializeToString(), "theirs.onnx")


def test_large_images_are_asked_in_small_batches() -> None:
    small = open_session(ours().SerializeToString(), "model.onnx")
    large = open_session(convolution((1024, 1024, 1), 8, 1), "large.onnx")
    assert small.batch_size == 64
    # 1, 1 and 8 times 1024 x 1024 numbers of 4 bytes are 40 MiB, of 256 that a batch may take.
    assert large.batch_size == 6
