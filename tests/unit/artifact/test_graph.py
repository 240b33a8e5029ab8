"""The ONNX file as others see it: small, plain, and with all that they have to know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from modiste.artifact.graph import build
from modiste.data.preprocess import Preprocess
from modiste.errors import StoreError
from modiste.models.build import Network
from modiste.spec.parts import MODELS
from tests.shipping import Shipped

UNIT = Preprocess("unit", (0.0,), (1.0,))


def graph(filters: list[int]) -> onnx.ModelProto:
    params = MODELS.get("cnn").parse({"filters": filters})
    layers = params.layers((1, 28, 28), 10)  # type: ignore[attr-defined]
    net = Network(layers, (1, 28, 28))
    named = net.named_weights() + net.named_statistics()
    weights = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in named}
    return build(layers, (1, 28, 28), weights, UNIT, 1.5, {"class_names": ["ä", "b"], "word": "x"})


def test_a_net_of_100_000_parameters_takes_less_than_500_kb() -> None:
    model = graph([30, 60, 120])
    numbers = sum(
        int(np.prod(tensor.dims)) for tensor in model.graph.initializer if "_" in tensor.name
    )
    assert 100_000 <= numbers < 103_000
    assert len(model.SerializeToString()) < 500_000


def test_it_is_valid_onnx_whose_ends_say_what_they_are(shipped: Shipped) -> None:
    model = onnx.load_model_from_string((shipped.folder / "model.onnx").read_bytes())
    onnx.checker.check_model(model, full_check=True)
    (images,), (probabilities,) = model.graph.input, model.graph.output
    sizes = [dim.dim_value or dim.dim_param for dim in images.type.tensor_type.shape.dim]
    assert (images.name, sizes) == ("images", ["N", 28, 28, 1])
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert probabilities.name == "probabilities"
    assert model.graph.node[-1].op_type == "Softmax"


def test_its_metadata_say_what_whoever_has_nothing_else_needs(shipped: Shipped) -> None:
    for name in ("model.onnx", "model-int8.onnx"):
        model = onnx.load_model_from_string((shipped.folder / name).read_bytes())
        found = {entry.key: entry.value for entry in model.metadata_props}
        config = json.loads((shipped.folder / "config.json").read_bytes())
        for key in ("class_names", "decode", "preprocess", "temperature"):
            assert json.loads(found[key]) == config[key], key
        assert json.loads(found["size"]) == [28, 28, 1]
        assert json.loads(found["opset"]) == model.opset_import[0].version == 17
        assert found["fingerprint"] == config["fingerprint"]
        assert model.producer_name == "modiste"


def test_words_in_the_metadata_stay_words() -> None:
    found = {entry.key: entry.value for entry in graph([3]).metadata_props}
    assert found == {"class_names": '["ä", "b"]', "word": "x"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("dense_0.bias"), r"dense_0.bias: .*found none"),
        (lambda weights: weights.update(extra=np.zeros(3)), "belong to no layer.*: extra"),
        (
            lambda weights: weights.update({"dense_0.bias": np.zeros(9, np.float32)}),
            r"dense_0.bias: expected float32 \(10,\), found float32 \(9,\)",
        ),
        (
            lambda weights: weights.update({"dense_0.bias": np.zeros(10)}),
            r"expected float32 \(10,\), found float64",
        ),
    ],
)
def test_weights_of_another_net_are_refused(change, said: str) -> None:  # type: ignore[no-untyped-def]
    layers = MODELS.get("mlp").parse({}).layers((1, 28, 28), 10)  # type: ignore[attr-defined]
    weights = {
        "dense_0.weight": np.zeros((10, 784), np.float32),
        "dense_0.bias": np.zeros(10, np.float32),
    }
    build(layers, (1, 28, 28), weights, UNIT, 1.0, {})
    change(weights)
    with pytest.raises(StoreError, match=said):
        build(layers, (1, 28, 28), weights, UNIT, 1.0, {})


def test_an_exported_model_is_verified_and_loaded_where_torch_is_not(shipped: Shipped) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"  # whoever imports it now gets an ImportError
        "from modiste import load_artifact, verify_export\n"
        f"model = load_artifact({str(shipped.folder)!r})\n"
        f"print(len(verify_export({str(shipped.folder)!r})), model.class_names[0])"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (answer.stdout, answer.stderr) == ("8 0\n", "")


def test_the_page_about_exported_models_names_every_file_and_key(shipped: Shipped) -> None:
    page = (Path(__file__).parents[3] / "docs" / "exported_models.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`([^`]+)`", " ".join(rows)))
    listed = json.loads((shipped.folder / "manifest.json").read_bytes())["files"]
    files = {name for name in listed if not name.endswith(".png")} | {"manifest.json"}
    keys = {
        entry.key
        for name in ("model.onnx", "model-int8.onnx")
        for entry in onnx.load_model_from_string(
            (shipped.folder / name).read_bytes()
        ).metadata_props
    }
    assert named == files | keys


def test_nothing_is_written_beside_the_files_that_are_listed(shipped: Shipped) -> None:
    found = {
        path.relative_to(shipped.folder).as_posix()
        for path in Path(shipped.folder).rglob("*")
        if path.is_file()
    }
    listed = json.loads((shipped.folder / "manifest.json").read_bytes())["files"]
    assert found == {*listed, "manifest.json"}
