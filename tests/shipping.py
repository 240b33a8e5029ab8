"""Exported models so small that a test can afford them, and ways to tamper with them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from modiste.api.exporting import export_model
from modiste.export import certificate
from modiste.runs.ledger import Looked, Tally
from modiste.runs.run import write_run
from modiste.train.task import Task
from modiste.train.work import Worker
from tests import small
from tests.synthetic import write_idx

NOBODY_LOOKED = Looked(Tally(0, 0, "0" * 64, 0), None)


@dataclass(frozen=True)
class Shipped:
    """A run, the data it learnt from, and what was exported of it.

    Attributes:
        found: What `export_model` returned.
    """

    run: Path
    data: Path
    folder: Path
    found: dict[str, Any]


def train(folder: Path, settings: Mapping[str, Any] | None = None) -> Path:
    """A finished run of the synthetic images, at FOLDER/runs/one."""
    data, spec = small.data(), small.run_spec(settings)
    task = Task(spec, spec.fingerprint(data.digest), None, float("inf"))
    record = Worker(lambda _: data).work(task).record
    assert record is not None
    write_run(record, folder / "runs" / "one")
    return folder / "runs" / "one"


def ship(root: Path, settings: Mapping[str, Any] | None = None, **options: Any) -> Shipped:
    """A run, exported to ROOT/shipped."""
    run, data = train(root, settings), write_idx(root / "data", num_train=small.NUM_IMAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODISTE_LEDGER", str(root / "ledger"))
        # How fast it is does not matter here, and measuring it takes a second each time.
        patch.setattr(certificate, "_LEAST_SECONDS", 0.0)
        found = export_model(run, root / "shipped", data_folder=data, **options)
    return Shipped(run, data, root / "shipped", found)


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def change(folder: Path, name: str, how: Callable[[bytes], bytes], *, is_hidden: bool) -> None:
    """Change a file; hidden, so that every hash beside it agrees with what it is now."""
    (folder / name).write_bytes(how((folder / name).read_bytes()))
    if is_hidden:
        certificate_path, manifest_path = folder / "certificate.json", folder / "manifest.json"
        found = json.loads(certificate_path.read_bytes())
        for other in found["files"]:
            found["files"][other] = entry(folder / other)
        certificate_path.write_text(json.dumps(found))
        names = [*found["files"], "certificate.json"]
        listed = {"schema": 1, "files": {other: entry(folder / other) for other in names}}
        manifest_path.write_text(json.dumps(listed))


def change_json(
    folder: Path, name: str, how: Callable[[dict[str, Any]], object], *, is_hidden: bool
) -> None:
    """The same for a JSON object, which `how` changes in place."""

    def changed(content: bytes) -> bytes:
        value = json.loads(content)
        how(value)
        return json.dumps(value).encode()

    change(folder, name, changed, is_hidden=is_hidden)


def change_onnx(
    folder: Path, how: Callable[[ModelProto], object], *, is_hidden: bool, name: str = "model.onnx"
) -> None:
    """The same for an ONNX file."""

    def changed(content: bytes) -> bytes:
        model = ModelProto.FromString(content)
        how(model)
        return model.SerializeToString()

    change(folder, name, changed, is_hidden=is_hidden)


def entry(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
