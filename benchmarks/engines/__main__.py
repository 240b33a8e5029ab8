"""One engine, in a process of its own: python -m benchmarks.engines NAME JOB, the job in JSON.

Answers with one line of JSON when the ranking is known. Started by `benchmarks.searches`.
"""

from __future__ import annotations

import json
import os
import sys

from benchmarks.engines import Job, Report, engine


def main() -> None:
    """Search what the job says with the engine of that name."""
    name, text = sys.argv[1:]
    job = Job.parse(json.loads(text))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def tell(report: Report) -> None:
        answers.write(json.dumps(report.to_dict()) + "\n")
        answers.flush()

    engine(name).search(job, tell)


if __name__ == "__main__":
    main()
