"""The rule by which a run's images were decoded goes with its models, wherever they answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste.artifact.model import load_artifact
from modiste.data.decode import Rule, decode
from modiste.export.model import load_model, save_model
from modiste.runs.run import Run
from tests.shipping import NOBODY_LOOKED, ship, train

DECODE = {"size": [28, 28], "channels": 1, "sizing": "crop", "background": [9, 9, 9]}
RULE = Rule((28, 28), 1, (9, 9, 9), sizing="crop")


def test_a_model_decodes_as_its_run_did(tmp_path: Path) -> None:
    run = train(tmp_path, {"data.decode": DECODE, "train.epochs": 1})
    assert load_model(run).rule == RULE
    save_model(Run(run), "last", tmp_path / "model", "card", NOBODY_LOOKED)
    assert load_model(tmp_path / "model").rule == RULE


def test_a_run_that_says_nothing_stretches_as_it_did(tmp_path: Path) -> None:
    assert load_model(train(tmp_path, {"train.epochs": 1})).rule == Rule((28, 28), 1)


@pytest.mark.slow
def test_an_exported_model_sees_another_size_as_its_run_would_have(tmp_path: Path) -> None:
    shipped = ship(tmp_path, {"data.decode": DECODE, "train.epochs": 1})
    artifact = load_artifact(shipped.folder)
    assert artifact.rule == RULE
    wide = np.random.default_rng(0).integers(0, 256, (28, 60), np.uint8)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    seen = decode(tmp_path / "wide.png", artifact.rule)
    assert np.array_equal(seen[0], wide[:, 16:44])
    card = (shipped.folder / "README.md").read_text("utf-8")
    assert "scaled as a whole until it covers, what sticks out cut off" in " ".join(card.split())
