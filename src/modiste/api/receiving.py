"""An exported model from Python, where it arrives: verified, loaded. Nothing here needs torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from modiste.artifact.extra import need_extra
from modiste.errors import need_path

if TYPE_CHECKING:
    from modiste.artifact.model import Artifact


def verify_export(
    folder: str | os.PathLike[str], digest: str | None = None
) -> list[tuple[str, str]]:
    """Check an exported folder: hashes, graph, weights, golden images.

    Args:
        folder: What `export_model` wrote.
        digest: As its maker told it, or its first digits (12 at least).

    Returns:
        What holds, as names and words.

    Raises:
        InstallError: If onnx or onnxruntime is missing.
        ArtifactError: At the first thing that does not hold.
    """
    need_extra("modiste verify")
    from modiste.artifact.verify import verify

    return [(check.name, check.words) for check in verify(need_path(folder, "folder"), digest)]


def load_artifact(
    folder: str | os.PathLike[str], *, int8: bool = False, threads: int = 1
) -> Artifact:
    """An exported model, ready to answer: `probabilities`, `warnings`, `class_names`, `rule`.

    Every file that is used is checked against its hash, and what the ONNX file holds is looked at,
    before it is run.

    Args:
        folder: What `export_model` wrote.
        int8: The model in 8 bits, if the folder holds one.
        threads: For the arithmetic of one batch.

    Raises:
        InstallError: If onnx or onnxruntime is missing.
        ArtifactError: If it is no exported folder, or not what was exported.
    """
    need_extra("an exported model")
    from modiste.artifact import model

    return model.load_artifact(need_path(folder, "folder"), is_int8=int8, threads=threads)
