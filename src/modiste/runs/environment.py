"""Where a run was computed: versions, machine and commit, as one JSON object."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modiste.cores import num_cores
from modiste.spec.run import NUMERICS_VERSION

PACKAGES = ("modiste", "torch", "numpy", "scikit-learn", "pydantic", "safetensors")
# Instructions that libraries choose their kernels by, as Linux names them on x86-64 and Arm.
VECTOR_INSTRUCTIONS = (
    *("sse4_2", "avx", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile"),
    *("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
# Variables by which a user tells torch, oneDNN, MKL, OpenBLAS and cuBLAS which kernels to take.
KERNEL_SETTINGS = (
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
)


@functools.cache
def environment() -> dict[str, Any]:
    """What this process runs on. The commit is recorded and never compared."""
    processor = _processor()
    return {
        "schema": 1,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "numerics_version": NUMERICS_VERSION,
        "platform": platform.platform(),
        "cpu": processor.get("model name") or platform.processor() or platform.machine(),
        "cpu_model": _cpu_model(processor),
        "vector_instructions": _vector_instructions(processor),
        "kernel_settings": {n: os.environ[n] for n in KERNEL_SETTINGS if n in os.environ},
        "cores": num_cores(),
        "git_commit": _git_commit(),
        "flush_denormal": True,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> dict[str, str]:
    """What Linux says of the first core; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _cpu_model(processor: Mapping[str, str]) -> str:
    """The kind of processor in numbers: its name is often a family's, above all in a cloud.

    Example:
        >>> _cpu_model({"vendor_id": "AuthenticAMD", "cpu family": "26", "model": "2"})
        'AuthenticAMD 26.2'
    """
    if "vendor_id" in processor:
        family, model = processor.get("cpu family"), processor.get("model")
        return f"{processor['vendor_id']} {family}.{model}"
    arm = [processor.get(name, "") for name in ("CPU implementer", "CPU part", "CPU variant")]
    return " ".join(part for part in arm if part) or platform.machine()


def _vector_instructions(processor: Mapping[str, str]) -> str:
    flags = set((processor.get("flags") or processor.get("Features") or "").split())
    return " ".join(name for name in VECTOR_INSTRUCTIONS if name in flags)


def _git_commit() -> str | None:
    """The commit of the source this package runs from, with ``+`` where files were changed."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str:
        command = ["git", "-C", str(here.parent), *words]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        return answer.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # else it is installed in somebody's project
        return git("describe", "--always", "--abbrev=12", "--dirty=+") or None
    except (OSError, subprocess.SubprocessError):
        return None
