"""What of the machine this process has: cores to work on, and memory."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Literal


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes(pid: int | Literal["self"] = "self") -> int:
    """Memory of a process, of this one if not given, in bytes.

    On Linux its proportional set: pages that several processes map, such as the data set and the
    libraries, count for each by its share, so that processes can be added up. Elsewhere the most
    that was resident of this one, which counts such pages in full.

    Raises:
        OSError: If the process is another one, and has ended or cannot be looked into.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        if pid != "self":
            raise ProcessLookupError(f"memory of process {pid} is not known") from None
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most << 10
