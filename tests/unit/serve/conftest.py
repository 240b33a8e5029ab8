"""A model so small that every test can afford to serve it."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from modiste.artifact.model import load_artifact
from modiste.serve.answers import Served, prepare
from modiste.serve.app import create_app
from tests.shipping import Shipped, ship


@pytest.fixture(scope="package", name="shipped")
def _shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    return ship(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="package", name="served")
def _served(shipped: Shipped) -> Served:
    return prepare(load_artifact(shipped.folder))


@pytest.fixture(scope="package", name="app")
def _app(served: Served) -> FastAPI:
    return create_app(served)
