"""From what `config.json` says to the ONNX file: whoever exports and whoever verifies ask here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import ModelProto

from modiste.artifact.graph import GRAPH_VERSION, OPSET, Arrays, build
from modiste.data.preprocess import Preprocess
from modiste.spec.parts import MODELS
from modiste.spec.run import ModelSpec

_KEPT = ("class_names", "decode", "preprocess", "temperature", "fingerprint", "data_digest")


def onnx_of(config: Mapping[str, Any], weights: Arrays) -> ModelProto:
    """The graph of a model, from its `config.json` and its weights.

    Raises:
        SpecError: If the hyperparameters make no sense.
        StoreError: If the weights are not those of the model.
    """
    height, width, channels = config["input_shape"]
    shape_CHW = (channels, height, width)
    family, params = config["model"]["family"], config["model"]["params"]
    # Not the whole run spec: how it was trained is nothing to whoever receives it, and a modiste
    # older than that which exported it may not know every key.
    model = ModelSpec(family=family, params=MODELS.get(family).parse(params, "model.params"))
    return build(
        model.net.layers(shape_CHW, len(config["class_names"])),
        shape_CHW,
        weights,
        Preprocess.from_dict(config["preprocess"]),
        config["temperature"],
        metadata_of(config),
        model.net.views,
    )


def metadata_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the ONNX file says of itself, for those who have nothing but it.

    ``input`` is what the graph takes; ``decode`` is the rule by which an image file becomes that
    (`modiste.data.decode.Rule`). ``preprocess`` and ``temperature`` are done inside the graph.
    """
    return {
        **{key: config[key] for key in _KEPT},
        "input": "uint8, N x height x width x channels, N is free",
        "size": config["input_shape"],
        "family": config["model"]["family"],
        "opset": OPSET,
        "graph_version": GRAPH_VERSION,
    }
