"""No test sees this machine's ledger, caches or data folders, and torch computes on one thread."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import torch

from modiste.data.source import SOURCES
from modiste.errors import DataError
from tests import small
from tests.synthetic import write_idx

# The same examples each time, and no clock: a busy machine is no failure.
hypothesis.settings.register_profile("modiste", deadline=None, derandomize=True)
hypothesis.settings.load_profile("modiste")

# The folders a person keeps things in, as XDG names them; ours lie inside.
XDG = ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")


@pytest.fixture(autouse=True)
def isolated(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ledger, caches and settings of this test alone; children of it inherit them.

    Compiled kernels are the same for all: compiling them takes longer than most tests.
    """
    for name in XDG:
        monkeypatch.setenv(name, str(tmp_path / ".home" / name.lower()))
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / ".home" / "ledger"))
    cache = tmp_path.parent / f".cache-of-{tmp_path.name}"  # not among the files of the test
    monkeypatch.setenv("MODISTE_CACHE", str(cache))
    kernels = tmp_path_factory.getbasetemp().parent / "kernels"
    kernels.mkdir(exist_ok=True)
    cache.mkdir(parents=True)
    (cache / "kernels").symlink_to(kernels)
    for name in ("MODISTE_DATA", "MODISTE_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two cores and several processes: more threads make everything slower."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def synthetic_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 training and 200 test images in the files of the MNIST family; nobody writes here."""
    return write_idx(tmp_path_factory.mktemp("data") / "idx")


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """A study of the synthetic set that takes a second: a grid, and a final stage from it."""
    return small.write_study(tmp_path / "tiny.yaml", small.STUDY)


@pytest.fixture(scope="session")
def fashion_mnist_folder() -> Path:
    """The real data, looked for and if need be fetched as modiste does for anybody.

    It belongs to the session, so it is set up before `isolated` hides the user's folders.
    """
    variables = {name: os.environ.get(name) for name in ("MODISTE_DATA", "MODISTE_CACHE")}
    try:
        return SOURCES.get("fashion-mnist")(None).where("train")
    except DataError as error:
        pytest.fail(f"Fashion-MNIST is needed for this test ({variables}):\n{error}")
