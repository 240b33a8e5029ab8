"""Is this folder what was exported, is it safe to run, and does it answer here as it did there?

Each check stands on the one before it: nothing is read before its size is known, nothing believed
before its hash is right, and nothing run before it was taken apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.numpy

from modiste.artifact import folder as folders
from modiste.artifact.check import Checked, parse
from modiste.artifact.describe import metadata_of, onnx_of
from modiste.artifact.folder import Folder
from modiste.artifact.golden import TOLERANCE, ask, read_golden
from modiste.artifact.graph import GRAPH_VERSION, Arrays, as_text
from modiste.artifact.model import Artifact, load_artifact
from modiste.errors import ArtifactError, ModisteError

# Of a digest that somebody types, so many digits: 48 bits.
FEWEST_DIGITS = 12


class Check(NamedTuple):
    """Something that holds, in words."""

    name: str
    words: str


def verify(path: str | Path, digest: str | None = None) -> Iterator[Check]:
    """Check an exported folder; gives what holds, one after the other.

    Args:
        path: What `modiste export` wrote.
        digest: The folder's digest as its maker told it, or its first digits (12 at least).

    Raises:
        ArtifactError: At the first thing that does not hold.
    """
    folder = folders.open_folder(Path(path))
    yield Check("digest", _digest(folder, digest))
    yield Check("files", _files(folder))
    yield Check("certificate", _certificate(folder))
    name = str(folder.path / folders.ONNX)
    checked = parse(folder.read(folders.ONNX), name)
    nodes = checked.model.graph.node
    kinds = sorted({node.op_type for node in nodes})
    yield Check(
        "graph",
        f"{len(nodes)} steps, all of kinds that we write ({', '.join(kinds)}); nothing outside the "
        f"file; {checked.bytes_per_image:,} bytes for one image",
    )
    artifact = load_artifact(folder.path)
    yield Check("config", _metadata(artifact, checked, name))
    yield Check("weights", _weights(artifact, checked))
    yield Check("golden images", _golden(artifact))
    if folders.INT8 in folder:
        yield Check("8 bits", _int8(artifact))


def _digest(folder: Folder, digest: str | None) -> str:
    if digest is None:
        return f"{folder.digest} (not compared: --digest was not given)"
    wanted = digest.strip().lower()
    if len(wanted) < FEWEST_DIGITS:
        raise ArtifactError(f"--digest {digest}: expected {FEWEST_DIGITS} digits at least.")
    if not folder.digest.startswith(wanted):
        raise ArtifactError(
            f"{folder.path}: its digest is {folder.digest}, and not {digest}: another export, or "
            "one that somebody changed together with its hashes. Do not use it."
        )
    return f"{folder.digest}, as expected"


def _files(folder: Folder) -> str:
    needed = (folders.ONNX, folders.WEIGHTS, folders.CONFIG, folders.CARD)
    for name in dict.fromkeys((*needed, folders.GOLDEN, folders.CERTIFICATE, *folder.entries)):
        folder.read(name)
    known = {*folder.entries, folders.MANIFEST}
    found = (
        Path(where, name).relative_to(folder.path).as_posix()
        for where, _, names in os.walk(folder.path)
        for name in names
    )
    others = sorted(set(found) - known)
    beside = f"; beside them, never read: {', '.join(map(repr, others[:5]))}" if others else ""
    return f"{len(folder.entries)} files are what was exported{beside}"


def _certificate(folder: Folder) -> str:
    where = folder.path / folders.CERTIFICATE
    certificate = folder.read_json(folders.CERTIFICATE)
    try:
        hashes = {name: str(entry["sha256"]) for name, entry in certificate["files"].items()}
        parity = certificate["parity"]
        num_images, flips = int(parity["images"]), int(parity["flips"])
        difference = float(parity["largest_difference"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{where}: not what `modiste export` writes ({error!r}).") from None
    if hashes != {n: e.sha256 for n, e in folder.entries.items() if n != folders.CERTIFICATE}:
        raise ArtifactError(f"{where}: it speaks of other files than those that are here.")
    if flips or not 0 <= difference <= TOLERANCE:
        raise ArtifactError(
            f"{where}: by its own figures the model does not answer as the trained net did: "
            f"{flips} other answers, largest difference {difference:g}."
        )
    return (
        f"on {num_images:,} validation images onnxruntime answered as PyTorch did, largest "
        f"difference {difference:.1e}"
    )


def _metadata(artifact: Artifact, checked: Checked, name: str) -> str:
    with _config_is_ours(artifact.folder):
        expected = {key: as_text(value) for key, value in metadata_of(artifact.config).items()}
    del expected["graph_version"]  # of another modiste, perhaps; `_weights` asks for it
    for key, value in expected.items():
        if (given := checked.metadata.get(key)) != value:
            raise ArtifactError(f"{name}: its {key} is {given!r}; {folders.CONFIG} says {value!r}.")
    return f"{folders.CONFIG} and {folders.ONNX} say the same of {', '.join(expected)}"


def _weights(artifact: Artifact, checked: Checked) -> str:
    """Whether the graph is the net that the configuration describes, with these weights."""
    given = checked.metadata.get("graph_version")
    if given != as_text(GRAPH_VERSION):
        return (
            f"not compared: the graph is of version {given}, and this modiste writes "
            f"{GRAPH_VERSION}"
        )
    weights = _read_weights(artifact.folder)
    with _config_is_ours(artifact.folder):
        rebuilt = onnx_of(artifact.config, weights)
    if rebuilt.graph != checked.model.graph:
        raise ArtifactError(
            f"{artifact.folder.path}: {folders.ONNX} is not the net that {folders.CONFIG} and "
            f"{folders.WEIGHTS} describe. Do not use it."
        )
    count = sum(values.size for values in weights.values())
    return (
        f"{folders.ONNX} is the net that {folders.CONFIG} describes, with the {count:,} numbers "
        f"of {folders.WEIGHTS}"
    )


@contextmanager
def _config_is_ours(folder: Folder) -> Iterator[None]:
    """Turns what a foreign `config.json` leads to into one error that names it."""
    where = folder.path / folders.CONFIG
    try:
        yield
    except ModisteError as error:
        raise ArtifactError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ArtifactError(f"{where}: not what `modiste export` writes ({error!r}).") from None


def _read_weights(folder: Folder) -> Arrays:
    try:
        return safetensors.numpy.load(folder.read(folders.WEIGHTS))
    except safetensors.SafetensorError as error:
        where = folder.path / folders.WEIGHTS
        raise ArtifactError(f"{where}: cannot be read ({error}).") from None


def _golden(artifact: Artifact) -> str:
    golden = read_golden(artifact.folder, artifact.rule, len(artifact.class_names))
    difference, flips = ask(artifact.session, golden)
    count = len(golden.expected_NK)
    if flips or not difference <= TOLERANCE:
        raise ArtifactError(
            f"{artifact.folder.path}: {flips} of {count} golden images get another answer here "
            f"than where it was exported; largest difference {difference:.2g}, allowed "
            f"{TOLERANCE:g}. Another version of onnxruntime may do that; so may a changed model."
        )
    return (
        f"{count} get the expected probabilities, alone and together, largest difference "
        f"{difference:.1e}"
    )


def _int8(artifact: Artifact) -> str:
    """How it answers, and no more: in 8 bits kernels differ, and so do answers."""
    golden = read_golden(artifact.folder, artifact.rule, len(artifact.class_names))
    small = load_artifact(artifact.folder.path, is_int8=True)
    difference, flips = ask(small.session, golden)
    return (
        f"{flips} of {len(golden.expected_NK)} golden images get another answer than PyTorch's, "
        f"largest difference {difference:.2g}"
    )
