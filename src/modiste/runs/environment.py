"""Where a run was computed: versions, machine and commit, as one JSON object."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modiste.spec.run import NUMERICS_VERSION

PACKAGES = ("modiste", "torch", "numpy", "scikit-learn", "pydantic", "safetensors")


@functools.cache
def environment() -> dict[str, Any]:
    """What this process runs on. The commit is recorded and never compared."""
    return {
        "schema": 1,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "numerics_version": NUMERICS_VERSION,
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": num_cores(),
        "git_commit": _git_commit(),
        "flush_denormal": True,
    }


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git_commit() -> str | None:
    """The commit of the source this package runs from, with ``+`` where files were changed."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
