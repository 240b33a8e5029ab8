"""`make bench`: the small version of every benchmark, in a few minutes; results are kept."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.contest import main

RESULTS = Path(__file__).parent / "results" / "step.json"

if __name__ == "__main__":
    sys.argv += ["--peers", "pytorch", "--pairs", "7", "--json", str(RESULTS)]
    main()
