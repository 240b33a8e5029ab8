"""The compiled kernels: built once with the machine's own C++ compiler, and kept in a cache."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from modiste import atomic
from modiste.errors import SpecError

HERE = Path(__file__).parent
SOURCES = tuple(
    HERE / f"{name}.cpp" for name in ("blocks", "conv1", "dense", "images", "narrow", "winograd")
)
HEADERS = tuple(HERE / name for name in ("lanes.h", "numbers.h", "rows.h", "winograd_axis.h"))
# Sums keep their order and what is no number stays none: no -ffast-math.
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fno-math-errno", "-fno-trapping-math")
LINKING = ("-fopenmp", "-fPIC", "-shared")
PATIENCE_SECONDS = 300


def compiler() -> str | None:
    """The C++ compiler: what the variable ``CXX`` names, else a usual one; none if not there."""
    named = os.environ.get("CXX")
    return next(
        (found for name in ([named] if named else ["c++", "g++"]) if (found := shutil.which(name))),
        None,
    )


def library(folder: Path) -> ctypes.CDLL:
    """The kernels, compiled into `folder` if they do not lie there yet.

    The name of the file says what it was made from: source, flags, compiler and processor. So a
    cache that is shared or copied between machines never gives one the instructions of another.

    Raises:
        SpecError: If there is no compiler, or it cannot compile them; says what would do.
    """
    found = compiler()
    if found is None:
        raise SpecError(
            "kernels: all but 'torch' needs a C++ compiler, and neither c++ nor g++ is on the path "
            "(CXX names another). Install one, such as Debian's package g++, or say `kernels: "
            "torch`."
        )
    return _loaded(_compiled(found, folder))


@functools.cache
def _loaded(path: Path) -> ctypes.CDLL:
    # After torch, so that both use one OpenMP library and with it one set of threads.
    import torch  # noqa: F401

    return ctypes.CDLL(str(path))


def _compiled(compiler: str, folder: Path) -> Path:
    words = [*FLAGS, *LINKING, _version(compiler), _processor()]
    made_from = (
        b"".join(file.read_bytes() for file in (*HEADERS, *SOURCES)) + "\0".join(words).encode()
    )
    target = folder / f"kernels-{hashlib.sha256(made_from).hexdigest()[:16]}.so"
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as name:
            fresh = Path(name) / target.name
            command = [compiler, *FLAGS, *LINKING, *map(str, SOURCES), "-o", str(fresh)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
            if done.returncode:
                raise SpecError(_failed(" ".join(command), done.stderr))
            atomic.place(fresh, target)
    except subprocess.TimeoutExpired:
        raise SpecError(_failed(compiler, f"it took over {PATIENCE_SECONDS} seconds")) from None
    except OSError as error:
        raise SpecError(_failed(str(folder), str(error))) from None
    return target


def _failed(what: str, why: str) -> str:
    lines = [line for line in why.splitlines() if "error" in line] or why.splitlines()
    reason = lines[0].strip() if lines else "no reason was given"
    return (
        f"kernels: those in C++ could not be compiled ({what}): {reason}. Say `kernels: torch` to "
        "do without them."
    )


@functools.cache
def _version(compiler: str) -> str:
    answer = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    return answer.stdout.partition("\n")[0]


@functools.cache
def _processor() -> str:
    """What `-march=native` looks at."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    kinds = ("model name", "cpu family", "model", "flags", "Features", "CPU part")
    lines = (line for line in text.splitlines() if line.partition(":")[0].strip() in kinds)
    return "\n".join(lines)
