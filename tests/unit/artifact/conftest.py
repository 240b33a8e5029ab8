"""One exported model for all tests here; who changes it takes a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipping import Shipped, copy_of, ship


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """A small convolutional net, in 8 bits as well; nobody writes here."""
    settings = {"model": {"family": "cnn", "params": {"filters": [3, 4]}}, "train.epochs": 4}
    return ship(tmp_path_factory.mktemp("shipped"), settings, int8=True, licence="mit")


@pytest.fixture
def folder(shipped: Shipped, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return copy_of(shipped.folder, tmp_path / "shipped")
