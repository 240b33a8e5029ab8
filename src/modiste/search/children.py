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
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# What every worker needs; the rest is little.
LOADED = ("modiste.search.pool", "modiste.train.work", "modiste.train.pace")
# So begin variables that are read when libraries are loaded; others are read when they are used.
READ_AT_LOAD = ("OMP_", "GOMP_", "OPENBLAS_", "MKL_", "LD_", "MALLOC_", "GLIBC_", "PYTHON")
# As `ps` and `top` show a worker; Linux has room for 15 letters.
NAME = "modiste-worker"


def make_ready() -> bool:
    """Have the fork server load what workers need, without waiting for it; whether there is one."""
    if sys.platform != "linux" or _read_at_load() != _read_at_first_load():
        return False
    forkserver.set_forkserver_preload(list(LOADED))
    with _without_interrupts(), suppress(OSError):  # its socket finds no place, or too long a name
        forkserver.ensure_running()
        return True
    return False


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """A process of this one that calls `target`, and ends with it at the latest.

    It never hears Ctrl-C, which reaches the whole group: the driver alone decides what it means.

    Args:
        target: Found by its name in its module, as all that is pickled.
        args: Such as connections.

    Raises:
        OSError: If none can be started.
    """
    life = dict(os.environ), target, args
    # A handler that ended this process in the middle of it would leave a child half told.
    with _later(signal.SIGINT, signal.SIGTERM), _without_interrupts():
        if make_ready():
            child: BaseProcess
            child = multiprocessing.get_context("forkserver").Process(
                target=_live, args=life, daemon=True
            )
            with suppress(OSError, EOFError):  # the server died, or cannot fork
                child.start()
                return child
        child = multiprocessing.get_context("spawn").Process(target=_live, args=life, daemon=True)
        child.start()
        return child


def _live(environment: Mapping[str, str], target: Callable[..., None], args: tuple[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # there is no such place but on Linux
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    if environment != dict(os.environ):  # the server's is older
        os.environ.clear()
        os.environ.update(environment)
    target(*args)


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
