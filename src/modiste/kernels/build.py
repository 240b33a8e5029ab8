"""The compiled kernels: built once with the machine's own C++ compiler, and kept in a cache."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from modiste import atomic
from modiste.cores import num_cores
from modiste.errors import SpecError

HERE = Path(__file__).parent
SOURCES = tuple(
    HERE / f"{name}.cpp" for name in ("blocks", "conv1", "dense", "images", "narrow", "winograd")
)
HEADERS = tuple(HERE / name for name in ("lanes.h", "numbers.h", "rows.h", "winograd_axis.h"))
# Sums keep their order and what is no number stays none: no -ffast-math.
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fopenmp", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math"),
)
PATIENCE_SECONDS = 300

# Why a file could not be compiled: nobody waits for the same failure twice in a process.
_FAILURES: dict[Path, str] = {}


def compiler() -> tuple[str, ...] | None:
    """The command that compiles C++: the variable ``CXX``, else a usual one; none if not there.

    ``CXX`` is a program, or words as a shell takes them: ``ccache g++``.
    """
    named = os.environ.get("CXX")
    for words in [(named,), _words(named)] if named else [("c++",), ("g++",)]:
        if found := shutil.which(words[0]):
            return (found, *words[1:])
    return None


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command)) or (command,)
    except ValueError:  # a quotation that does not end
        return (command,)


def library(folder: Path) -> ctypes.CDLL:
    """The kernels, compiled into `folder` if they do not lie there yet.

    The name of the file says what it was made from: source, flags, compiler and processor. So a
    cache that is shared or copied between machines never gives one the instructions of another.

    Raises:
        SpecError: If there is no compiler, or it cannot compile them; says what would do.
    """
    found = compiler()
    if found is None:
        named = os.environ.get("CXX")
        missing = (
            f"CXX names {named!r}, which is not there"
            if named
            else "neither c++ nor g++ is on the path (CXX names another)"
        )
        raise SpecError(
            f"kernels: all but 'torch' needs a C++ compiler, and {missing}. Install one, such as "
            "Debian's package g++, or say `kernels: torch`."
        )
    return _loaded(_compiled(found, folder))


@functools.cache
def _loaded(path: Path) -> ctypes.CDLL:
    # After torch, so that both use one OpenMP library and with it one set of threads.
    import torch  # noqa: F401

    return ctypes.CDLL(str(path))


def _compiled(compiler: tuple[str, ...], folder: Path) -> Path:
    words = [*FLAGS, _version(compiler), _processor()]
    made_from = (
        b"".join(file.read_bytes() for file in (*HEADERS, *SOURCES)) + "\0".join(words).encode()
    )
    target = folder / f"kernels-{hashlib.sha256(made_from).hexdigest()[:16]}.so"
    if target.is_file():
        return target
    if target in _FAILURES:
        raise SpecError(_FAILURES[target])
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as name:
            atomic.place(_built(compiler, Path(name)), target)
    except SpecError as error:
        _FAILURES[target] = str(error)
        raise
    except OSError as error:
        raise SpecError(_failed(str(folder), str(error))) from None
    return target


def _built(compiler: tuple[str, ...], scratch: Path) -> Path:
    """The library, in a folder that holds nothing else; each source is compiled by itself."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    whole, parts = scratch / "kernels.so", [scratch / f"{source.stem}.o" for source in SOURCES]
    command = [*compiler, *FLAGS]
    compiling = [
        [*command, "-c", str(source), "-o", str(part)]
        for source, part in zip(SOURCES, parts, strict=True)
    ]
    _run(compiling, scratch, deadline)
    _run([[*command, "-shared", *map(str, parts), "-o", str(whole)]], scratch, deadline)
    return whole


def _run(commands: Sequence[Sequence[str]], scratch: Path, deadline: float) -> None:
    """Run them, as many at once as there are cores; one that fails, or the deadline, ends all."""
    waiting = list(commands)
    running: dict[subprocess.Popen[bytes], tuple[Sequence[str], Path]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < num_cores():
                command, said = waiting.pop(0), scratch / f"{len(waiting)}.txt"
                # What it leaves when it is ended lies in a folder that is taken away.
                around = {**os.environ, "TMPDIR": str(scratch)}
                with said.open("wb") as file:
                    process = subprocess.Popen(
                        command, stdout=file, stderr=file, env=around, start_new_session=True
                    )
                running[process] = command, said
            with contextlib.suppress(subprocess.TimeoutExpired):
                next(iter(running)).wait(0.05)
            for process in [each for each in running if each.poll() is not None]:
                command, said = running.pop(process)
                if process.returncode:
                    why = said.read_text(encoding="utf-8", errors="replace")
                    raise SpecError(_failed(" ".join(command), why))
            if running and time.monotonic() > deadline:
                why = f"it took over {PATIENCE_SECONDS} seconds"
                raise SpecError(_failed(commands[0][0], why))
    finally:
        for process in running:  # a compiler is several: all of its group
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _failed(what: str, why: str) -> str:
    lines = [line for line in why.splitlines() if "error" in line] or why.splitlines()
    reason = lines[0].strip() if lines else "no reason was given"
    return (
        f"kernels: those in C++ could not be compiled ({what}): {reason}. Say `kernels: torch` to "
        "do without them."
    )


@functools.cache
def _version(compiler: tuple[str, ...]) -> str:
    try:
        answer = subprocess.run(
            [*compiler, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpecError(_failed(" ".join(compiler), str(error))) from None
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
