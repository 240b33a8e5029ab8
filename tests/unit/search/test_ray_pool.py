"""What a Ray cluster's own words mean; the cluster itself is in `tests/stories/test_ray.py`."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from modiste.errors import SpecError, StoreError
from modiste.search import ray_pool
from modiste.search.pool import Death, Trouble
from modiste.search.ray_pool import RayPool
from tests import small


@pytest.mark.ray
@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (EOFError("half a file. The rest is gone."), "half a file"),
        ("ObjectLostError", "Failed to retrieve object ab"),
    ],
    ids=["disk", "file", "images"],
)
def test_a_task_that_a_machine_broke_is_a_death(cause: Any, said: str) -> None:
    exceptions = ray_exceptions()
    if cause == "ObjectLostError":
        cause = exceptions.ObjectLostError("ab", "address", "call site")
    event = ray_pool._broken(raised(cause), "f" * 64)
    assert isinstance(event, Death)
    assert event.fingerprint == "f" * 64
    assert event.reason.startswith(said)


@pytest.mark.ray
@pytest.mark.parametrize("what", ["ours", "unsendable"])
def test_a_task_that_any_machine_would_break_is_trouble(what: str) -> None:
    cause = ImportError("no module named 'modiste'")
    if what == "unsendable":
        cause.args = (threading.Lock(),)
    event = ray_pool._broken(raised(cause), "f" * 64)
    assert isinstance(event, Trouble)
    assert event.is_ours
    assert event.fingerprint == "f" * 64
    assert "Traceback: here" in event.text


def raised(cause: BaseException) -> Any:
    """What `ray.get` raises for a task that ended with that."""
    error = ray_exceptions().RayTaskError("work", "Traceback: here", cause, "worker", 1, "1.2.3.4")
    return error.as_instanceof_cause()


def ray_exceptions() -> Any:
    return ray_pool._ray().exceptions


NODES: list[dict[str, Any]] = [
    {"Alive": True, "Resources": {"CPU": 4.0, "memory": 1e9}},
    {"Alive": True, "Resources": {"CPU": 4.0, "memory": 2e9}},
    {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}},
    {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
]


@pytest.mark.parametrize(("threads", "gpu_share"), [(1, 0.0), (4, 0.0), (2, 0.25), (1, 1.0)])
def test_what_some_node_can_hold_has_room(threads: int, gpu_share: float) -> None:
    ray_pool._need_node(NODES, threads, gpu_share)


@pytest.mark.parametrize(
    ("threads", "gpu_share", "asked"),
    [(8, 0.0, "8 CPU and 0 GPU"), (4, 0.25, "4 CPU and 0.25 GPU"), (1, 2.0, "1 CPU and 2 GPU")],
)
def test_what_no_node_can_hold_is_said_with_what_they_have(
    threads: int, gpu_share: float, asked: str
) -> None:
    with pytest.raises(SpecError) as caught:
        ray_pool._need_node(NODES, threads, gpu_share)
    assert f"a run needs {asked} " in str(caught.value)
    assert "Nodes: 1 with 2 CPU and 1 GPU; 2 with 4 CPU and 0 GPU." in str(caught.value)


class FakeRay:
    """Notes where it is to connect, and fails there if told to; its nodes are those above."""

    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    def __init__(self, error: Exception | None = None) -> None:
        self.address, self._error = "", error

    def init(self, address: str, **more: object) -> None:
        self.address, self.more = address, more
        if self._error is not None:
            raise self._error

    def nodes(self) -> list[dict[str, Any]]:
        return NODES


@pytest.mark.parametrize(
    ("given", "environment", "meant"),
    [
        (None, None, "local"),
        (None, "", "local"),
        (None, "10.0.0.1:6379", "10.0.0.1:6379"),
        ("auto", "10.0.0.1:6379", "auto"),  # Ray itself asks the environment then
        ("10.0.0.2:6379", "10.0.0.1:6379", "10.0.0.2:6379"),
    ],
)
def test_ray_is_started_here_unless_a_cluster_is_named(
    given: str | None, environment: str | None, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = connect(monkeypatch, given, environment)
    assert fake.address == meant
    assert ("include_dashboard" in fake.more) == (meant == "local")


@pytest.mark.parametrize(
    ("given", "environment", "said"),
    [
        (None, None, "Ray cannot be started here (nobody answers)."),
        (None, "far:1", "RAY_ADDRESS=far:1: no Ray cluster can be used there (nobody answers)."),
        ("near:1", "far:1", "--ray-address near:1: no Ray cluster can be used there"),
    ],
)
@pytest.mark.parametrize("error", [ConnectionError, FakeRay.exceptions.RayError])
def test_a_cluster_that_does_not_answer_is_named(
    given: str | None,
    environment: str | None,
    said: str,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StoreError, match=re.escape(said)):
        connect(monkeypatch, given, environment, error("nobody answers. Really."))


def connect(
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    environment: str | None,
    error: Exception | None = None,
) -> FakeRay:
    fake = FakeRay(error)
    monkeypatch.setattr(ray_pool, "_ray", lambda: fake)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    ray_pool._connect(given)
    return fake


def test_a_run_on_a_gpu_that_was_given_no_share_of_one_is_said_beforehand() -> None:
    on_cpu, on_gpu = small.run_spec(), small.run_spec(device="cuda")
    with pytest.raises(SpecError, match=r"device: cuda, .* Give --gpu-share \(.*\), such as 1,"):
        pool(gpu_share=0.0).need_room([on_cpu, on_gpu])
    pool(gpu_share=0.5).need_room([on_cpu, on_gpu])
    pool(gpu_share=0.0).need_room([on_cpu])


def test_the_run_of_the_most_threads_is_what_needs_room() -> None:
    narrow, wide = small.run_spec(threads=1), small.run_spec(threads=8)
    with pytest.raises(SpecError, match="a run needs 8 CPU and 0 GPU"):
        pool().need_room([narrow, wide, narrow])


def pool(gpu_share: float = 0.0) -> RayPool:
    """One of a cluster that only says what nodes it has."""
    made = object.__new__(RayPool)
    made._ray, made._gpu_share = FakeRay(), gpu_share
    return made
