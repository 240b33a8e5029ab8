"""How a worker process begins: as a copy of one that has loaded already what workers need.

To import torch takes a core some seconds. A new interpreter for each worker would need them each
time; here one process needs them once, and workers are forked from it: `multiprocessing`'s fork
server, which Python itself prefers on Linux from 3.14 on. It has computed nothing, so that nothing
in it is half done when it is copied. Elsewhere than on Linux, and where it cannot be had, each
worker is a new interpreter.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from modiste.cores import memory_bytes
from modiste.runs.environment import KERNEL_SETTINGS

# What every worker needs; typer is what the command itself needs, which each of them reads again.
LOADED = ("modiste.search.pool", "modiste.train.work", "modiste.train.pace", "typer")
# So begin variables that are read when libraries are loaded; others are read when they are used.
READ_AT_LOAD = (
    *KERNEL_SETTINGS,
    *("OMP_", "GOMP_", "OPENBLAS_", "MKL_", "LD_", "MALLOC_", "GLIBC_", "PYTHON", "NPY_"),
)
# What `multiprocessing` says of a process that outlived the one it was forked from.
_UNHEARD = 255
# As `ps` and `top` show a worker; Linux has room for 15 letters.
NAME = "modiste-worker"


class Child:
    """A process that was started, with a pipe to it.

    Who forks workers reaps them too, and may die before they do. Then nobody hears how they ended,
    but they are held by a descriptor of their own, and can be awaited and killed as before.

    Args:
        process: Just started.
        connection: Our end of the pipe.
    """

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.is_ready = False
        assert process.pid is not None
        self._handle: int | None = None
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):  # an older kernel, or it is gone already
                self._handle = os.pidfd_open(process.pid)

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)

    @property
    def exit_code(self) -> int | None:
        """How it ended, less than 0 for a signal; none if it has not, or nobody has heard it."""
        code = self.process.exitcode if self.join(0.0) else None
        return None if code == _UNHEARD else code

    def join(self, timeout_seconds: float) -> bool:
        """Wait for its end; whether it has come."""
        if self._handle is not None:
            waiting = select.poll()
            waiting.register(self._handle, select.POLLIN)
            if not waiting.poll(1000 * timeout_seconds):
                return False
        self.process.join(timeout_seconds)
        return self.process.exitcode is not None

    def kill(self) -> None:
        """End it now, whatever it is doing, and wait until it is gone."""
        if self._handle is None:
            self.process.kill()
        else:
            with suppress(OSError):  # it is gone
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self.join(5.0)


def start(target: Callable[..., None], *args: Any) -> Child:
    """A process of this one that calls `target`, and ends with it at the latest.

    It never hears Ctrl-C, which reaches the whole group: the driver alone decides what it means.

    Args:
        target: Takes its end of a pipe, then `args`; found by its name in its module, as all that
            is pickled.
        args: What else it takes.

    Raises:
        OSError: If none can be started.
    """
    # What is told to the server is told before the wait for it: whoever is interrupted then leaves
    # nothing half told.
    if _make_ready():
        with suppress(OSError, EOFError):  # it died, or cannot fork
            return _begun(multiprocessing.get_context("forkserver"), target, args)
    # A handler that ended this process in the middle of it would leave a child half told.
    with _later(signal.SIGINT, signal.SIGTERM), _without_interrupts():
        return _begun(multiprocessing.get_context("spawn"), target, args)


def server_bytes() -> int:
    """Memory of the process that workers are forked from; 0 if there is none."""
    try:
        for place in Path("/proc/self/task").glob("*/children"):
            for pid in place.read_text(encoding="ascii").split():
                if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return memory_bytes(int(pid))
    except OSError:  # one of them has just ended
        pass
    return 0


def _begun(context: Any, target: Callable[..., None], args: tuple[Any, ...]) -> Child:
    ours, theirs = multiprocessing.Pipe()
    try:
        process = context.Process(
            target=_live, args=(dict(os.environ), target, theirs, *args), daemon=True
        )
        process.start()
    finally:
        theirs.close()
    return Child(process, ours)


def _live(environment: Mapping[str, str], target: Callable[..., None], *args: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # there is no such place but on Linux
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    if environment != dict(os.environ):  # the server's is older
        os.environ.clear()
        os.environ.update(environment)
    target(*args)


def _make_ready() -> bool:
    """Have the fork server load what workers need, without waiting for it; whether there is one."""
    if sys.platform != "linux" or _read_at_load() != _read_at_first_load():
        return False
    forkserver.set_forkserver_preload(list(LOADED))
    # Its socket may find no place, or too long a name.
    with _without_interrupts(), _same_modules(), suppress(OSError):
        forkserver.ensure_running()
        return True
    return False


@contextlib.contextmanager
def _same_modules() -> Iterator[None]:
    """An interpreter that is started inside looks for modules where this one does.

    The fork server of some versions of Python does not hear of `sys.path`: it would load other
    modules of the same name, from the folder where a command was typed or of another version.
    """
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text


def _read_at_load() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith(READ_AT_LOAD)}


@functools.cache
def _read_at_first_load() -> dict[str, str]:
    """The same as the fork server has found it: at the first call of all."""
    return _read_at_load()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """What is started inside does not hear Ctrl-C, from its first moment on: it inherits the mask.

    What Python keeps beside its children would lift that if it were started just now.
    """
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _later(*numbers: signal.Signals) -> Iterator[None]:
    """Has these signals handled after the block.

    Blocking them would not do: the system then gives them to another thread, such as one of
    OpenMP's, and Python runs their handlers in this one all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {n: signal.signal(n, lambda number, _: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)
