"""A part of Keras's epoch is measured where Keras is, and nothing is made up where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modiste.errors import InstallError
from modiste.recipes import keras_epoch


@pytest.mark.peers
@pytest.mark.slow
def test_an_epoch_takes_some_seconds() -> None:
    seconds = keras_epoch.keras_epoch_seconds(threads=1)
    assert seconds is not None
    assert 1 < seconds < 100_000


def test_without_keras_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_epoch, "find_spec", lambda name: None)
    assert keras_epoch.keras_epoch_seconds(threads=1) is None


def test_what_goes_wrong_in_keras_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keras.py").write_text("raise ImportError('keras is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(keras_epoch, "find_spec", lambda name: object())
    with pytest.raises(InstallError, match=r"keras is broken.*--no-keras"):
        keras_epoch.keras_epoch_seconds(threads=1)
