"""An exported folder that was changed, cut, mixed up or made by somebody hostile."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper
from PIL import Image

from modiste.artifact import folder as folders
from modiste.artifact import golden
from modiste.artifact.model import load_artifact
from modiste.artifact.verify import verify
from modiste.errors import ArtifactError
from tests.shipping import Shipped, change, change_json, change_onnx, entry

NAMES = [
    *("digest", "files", "certificate", "graph", "config", "weights", "golden images", "8 bits"),
]


def names_until_refused(folder: Path, said: str, **options: Any) -> list[str]:
    """The checks that held before one did not."""
    found: list[str] = []
    with pytest.raises(ArtifactError, match=said):  # noqa: PT012 (all of it may raise)
        for check in verify(folder, **options):
            found.append(check.name)  # noqa: PERF401 (wanted up to the error)
    return found


# --- as it was exported ---------------------------------------------------------------------------


def test_what_was_exported_holds(shipped: Shipped) -> None:
    checks = dict(verify(shipped.folder, shipped.found["digest"]))
    assert list(checks) == NAMES
    assert checks["digest"] == f"{shipped.found['digest']}, as expected"
    assert "30 validation images" in checks["certificate"]
    assert "of model.safetensors" in checks["weights"]


def test_without_a_digest_it_says_that_none_was_compared(shipped: Shipped) -> None:
    assert "not compared" in next(verify(shipped.folder)).words


def test_the_beginning_of_a_digest_will_do_if_it_is_long_enough(shipped: Shipped) -> None:
    digest = shipped.found["digest"]
    assert len(list(verify(shipped.folder, digest[:12].upper()))) == len(NAMES)
    assert names_until_refused(shipped.folder, "12 digits at least", digest=digest[:11]) == []
    other = ("1" if digest[0] == "0" else "0") + digest[1:]
    assert names_until_refused(shipped.folder, "its digest is", digest=other) == []


def test_a_folder_may_be_moved_and_what_lies_beside_is_named(folder: Path) -> None:
    (folder / "note.txt").write_text("theirs")
    (folder / "golden" / "deep").mkdir()
    (folder / "golden" / "deep" / "x.png").write_bytes(b"")
    checks = dict(verify(folder))
    assert "beside them, never read: 'golden/deep/x.png', 'note.txt'" in checks["files"]


# --- changed, and nothing hidden ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("model.onnx", "model-int8.onnx", "model.safetensors", "config.json", "README.md"),
        *("golden/000.png", "golden/golden.json", "certificate.json"),
    ],
)
def test_a_single_flipped_bit_is_found_in_any_file(name: str, folder: Path) -> None:
    def flip(content: bytes) -> bytes:
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]

    change(folder, name, flip, is_hidden=False)
    assert names_until_refused(folder, f"{name}: not what was exported: its SHA-256") == ["digest"]


def test_a_cut_or_a_missing_file_is_found(folder: Path) -> None:
    change(folder, "model.onnx", lambda content: content[:-1], is_hidden=False)
    assert names_until_refused(folder, r"model.onnx: not what was exported: [\d,]+ bytes") == [
        "digest"
    ]
    (folder / "model.onnx").unlink()
    assert names_until_refused(folder, "model.onnx: not there") == ["digest"]


def test_a_changed_manifest_is_told_by_the_digest_alone(shipped: Shipped, folder: Path) -> None:
    change(folder, "README.md", lambda content: content + b"\nBest model ever.\n", is_hidden=True)
    assert len(list(verify(folder))) == len(NAMES)  # so nobody should go without a digest
    digest = shipped.found["digest"]
    assert names_until_refused(folder, "one that somebody changed", digest=digest) == []


@pytest.mark.parametrize("name", ["model.onnx", "golden/000.png", "manifest.json"])
def test_links_are_refused_wherever_they_lead(name: str, folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    names_until_refused(folder, f"{name}: a link")


def test_a_linked_folder_of_golden_images_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "golden", tmp_path / "elsewhere")
    (folder / "golden").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    names_until_refused(folder, "a link")


# --- changed, with hashes that agree --------------------------------------------------------------


def other_weight(model: ModelProto) -> None:
    """One number of one filter, by a little: no golden image need notice."""
    tensor = next(t for t in model.graph.initializer if t.name == "conv_0.weight")
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[0] += 1e-6
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def without_relu(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    follower = next(n for n in model.graph.node if node.output[0] in n.input)
    follower.input[list(follower.input).index(node.output[0])] = node.input[0]
    model.graph.node.remove(node)


def other_names(model: ModelProto) -> None:
    names = next(e for e in model.metadata_props if e.key == "class_names")
    names.value = json.dumps([*reversed(json.loads(names.value))])


@pytest.mark.parametrize(
    ("how", "said", "held"),
    [
        (other_weight, "model.onnx is not the net that", NAMES[:5]),
        (without_relu, "model.onnx is not the net that", NAMES[:5]),
        (other_names, "its class_names is", NAMES[:4]),
        (
            lambda model: model.graph.node.insert(0, helper.make_node("If", ["x"], ["y"])),
            "uses the operator 'If'",
            NAMES[:3],
        ),
    ],
    ids=["a weight", "a step less", "class names", "an operator"],
)
def test_another_graph_is_found(
    how: Callable[[ModelProto], None], said: str, held: list[str], folder: Path
) -> None:
    change_onnx(folder, how, is_hidden=True)
    assert names_until_refused(folder, said) == held


def test_a_training_that_this_version_does_not_know_is_no_matter(folder: Path) -> None:
    change_json(folder, "config.json", lambda c: c["spec"]["train"].update(later=1), is_hidden=True)
    assert len(list(verify(folder))) == len(NAMES)


def test_the_graph_in_8_bits_is_taken_apart_as_well(folder: Path) -> None:
    how = helper.make_node("Loop", ["x", "y"], ["z"])
    change_onnx(
        folder, lambda m: m.graph.node.insert(0, how), is_hidden=True, name="model-int8.onnx"
    )
    assert names_until_refused(folder, "uses the operator 'Loop'") == NAMES[:7]


def test_an_image_that_is_not_what_was_asked_is_found(folder: Path) -> None:
    with Image.open(folder / "golden" / "000.png") as image:
        upside_down = image.transpose(Image.Transpose.ROTATE_180)
    upside_down.save(folder / "golden" / "000.png")
    change(folder, "golden/000.png", lambda content: content, is_hidden=True)
    assert names_until_refused(folder, "golden images get another answer here") == NAMES[:6]


OURS = "not what `modiste export` writes"
# What was changed: where, how, and what is said of it.
FOREIGN: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "flips": ("certificate.json", lambda c: c["parity"].update(flips=1), "by its own figures"),
    "difference": (
        "certificate.json",
        lambda c: c["parity"].update(largest_difference=0.1),
        "by its own figures",
    ),
    "no parity": ("certificate.json", lambda c: c.pop("parity"), OURS),
    "no files": ("certificate.json", lambda c: c.update(files=[]), OURS),
    "a class less": ("config.json", lambda c: c["class_names"].pop(), "do not belong together"),
    "another size": (
        "config.json",
        lambda c: c["decode"].update(size_HW=[27, 28]),
        "do not belong together",
    ),
    "a filter": ("config.json", lambda c: c["decode"].update(resize="best"), "'best' is none"),
    "a key more": ("config.json", lambda c: c["decode"].update(evil=1), OURS),
    "no typical": ("config.json", lambda c: c.pop("typical"), OURS),
    "no ranges": ("config.json", lambda c: c["typical"].update(ranges=3), OURS),
    "no fingerprint": ("config.json", lambda c: c.pop("fingerprint"), OURS),
    "no model": ("config.json", lambda c: c.update(model=7), OURS),
    "a family": (
        "config.json",
        lambda c: c["model"].update(family="x"),
        "its family is",
    ),
    "another net": (
        "config.json",
        lambda c: c["model"]["params"].update(filters=[3]),
        "expected float32",
    ),
    "a hyperparameter": (
        "config.json",
        lambda c: c["model"]["params"].update(evil=1),
        "model.params.evil: no such key",
    ),
    "words for numbers": ("config.json", lambda c: c["preprocess"].update(mean="x"), "preprocess"),
    "a shape": ("config.json", lambda c: c.update(input_shape=[28, 28]), "its size is"),
    "a temperature": ("config.json", lambda c: c.update(temperature=9.0), "its temperature is"),
    "no images": ("golden/golden.json", lambda g: g.update(images=[]), "there are no images"),
    "images as a number": ("golden/golden.json", lambda g: g.update(images=7), "no images"),
    "no file": ("golden/golden.json", lambda g: g["images"][0].pop("file"), OURS),
    "a file outside": (
        "golden/golden.json",
        lambda g: g["images"][0].update(file="../../secret.png"),
        "the manifest beside it knows no such file",
    ),
    "ragged": ("golden/golden.json", lambda g: g["images"][0].update(probabilities=[1.0]), OURS),
    "narrow": (
        "golden/golden.json",
        lambda g: [row.update(probabilities=[1.0]) for row in g["images"]],
        "expected 10 probabilities",
    ),
}


@pytest.mark.parametrize(("name", "how", "said"), FOREIGN.values(), ids=FOREIGN)
def test_json_of_others_is_one_clear_error(
    name: str, how: Callable[[dict[str, Any]], object], said: str, folder: Path
) -> None:
    change_json(folder, name, how, is_hidden=name != "certificate.json")
    if name == "certificate.json":
        relist(folder, name)
    names_until_refused(folder, said)


def test_more_golden_images_than_anybody_needs_are_not_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "LIMIT_BYTES", 9 * 28 * 28)
    assert names_until_refused(folder, "10 images are more than 7,056 bytes") == NAMES[:6]


def relist(folder: Path, name: str) -> None:
    """Make the manifest agree with one file, and the certificate be as it is."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][name] = entry(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_certificate_of_other_files_is_found(folder: Path) -> None:
    (folder / "README.md").write_text("another card")
    relist(folder, "README.md")
    assert names_until_refused(folder, "it speaks of other files") == NAMES[:2]


@pytest.mark.parametrize(
    "listed",
    ["../outside", "/etc/passwd", "golden/../../x", "a/b.png", "-rf", ".hidden", "x\n", " "],
)
def test_a_manifest_that_lists_foreign_names_is_refused(listed: str, folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][listed] = {"sha256": "0" * 64, "bytes": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert names_until_refused(folder, "which no exported folder holds") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON text"),
        (b"[" * 100_000, "no JSON text"),
        (b"\xff\xfe", "no JSON text"),
        (b"[]", "expected a JSON object"),
        (b"{}", OURS),
        (b'{"files": {"model.onnx": {"sha256": 1}}}', OURS),
        (b'{"files": {"model.onnx": {"sha256": "x", "bytes": "many"}}}', OURS),
        (b'{"files": 3}', OURS),
    ],
    ids=["empty", "deep", "no text", "a list", "no files", "no size", "words", "a number"],
)
def test_a_manifest_that_is_none_is_one_clear_error(
    content: bytes, said: str, folder: Path
) -> None:
    (folder / "manifest.json").write_bytes(content)
    assert names_until_refused(folder, said) == []


def test_a_file_larger_than_any_of_ours_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "LIMIT_BYTES", 1_000)
    assert names_until_refused(folder, r"bytes; the limit is 1,000") == ["digest"]
    monkeypatch.setattr(folders, "LIMIT_JSON_BYTES", 100)
    assert names_until_refused(folder, r"manifest.json: .* the limit is 100") == []


def test_a_device_in_place_of_a_file_is_not_read(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    assert names_until_refused(folder, "no ordinary file") == ["digest"]


def test_a_folder_that_is_none_says_how_to_make_one(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        assert names_until_refused(place, "no exported model.*`modiste export RUN --to DIR`") == []


def test_a_graph_of_another_version_is_not_compared_but_still_asked(folder: Path) -> None:
    def older(model: ModelProto) -> None:
        number = next(e for e in model.metadata_props if e.key == "graph_version")
        number.value = "0"

    change_onnx(folder, older, is_hidden=True)
    checks = dict(verify(folder))
    assert checks["weights"].startswith("not compared: the graph is of version 0")
    assert list(checks) == NAMES


# --- loading, which verifies what it uses ---------------------------------------------------------


def test_a_loaded_model_answers_with_either_graph(shipped: Shipped) -> None:
    with Image.open(shipped.folder / "golden" / "003.png") as image:
        pixels = np.asarray(image)[np.newaxis, np.newaxis]
    full, small = (load_artifact(shipped.folder, is_int8=is_int8) for is_int8 in (False, True))
    assert full.class_names == tuple("0123456789")
    for model in (full, small):
        assert model.probabilities(pixels).sum() == pytest.approx(1.0, abs=1e-6)
    assert (full.probabilities(pixels) != small.probabilities(pixels)).any()


@pytest.mark.parametrize("name", ["model.onnx", "config.json"])
def test_loading_refuses_what_was_changed(name: str, folder: Path) -> None:
    change(folder, name, lambda content: content[:-1] + b" ", is_hidden=False)
    with pytest.raises(ArtifactError, match="not what was exported"):
        load_artifact(folder)


def test_loading_refuses_a_foreign_operator_even_if_every_hash_agrees(folder: Path) -> None:
    node = helper.make_node("If", ["x"], ["y"])
    change_onnx(folder, lambda model: model.graph.node.insert(0, node), is_hidden=True)
    with pytest.raises(ArtifactError, match="uses the operator 'If'"):
        load_artifact(folder)


def test_8_bits_that_are_not_there_are_named(folder: Path) -> None:
    (folder / "model-int8.onnx").unlink()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]["model-int8.onnx"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="exported without --int8"):
        load_artifact(folder, is_int8=True)
