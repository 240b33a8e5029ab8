"""One side of a contest, in a process of its own: gets ready, then runs steps when told to.

Reads one JSON object for each line, answers with one. Started by `benchmarks.contest`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Get ready for what the first line says; then answer each ``{"steps": n}`` with seconds."""
    told = json.loads(sys.stdin.readline())
    threads = told["setting"]["threads"]
    if hasattr(os, "sched_setaffinity"):  # for those that cannot be told how many threads to use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    # After the environment is set: some libraries read it when they are imported.
    from benchmarks.nets import named
    from benchmarks.peers import peer

    run = peer(told["peer"]).build(named(told["net"]), told["setting"])
    run(1)
    _say(answers, ready=True)
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        began = time.perf_counter()
        run(steps)
        _say(answers, seconds=time.perf_counter() - began)


def _say(answers: Any, **values: Any) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
