"""`make bench`: the small version of every benchmark, in a few minutes."""

from __future__ import annotations

from benchmarks.step import main

if __name__ == "__main__":
    main()
