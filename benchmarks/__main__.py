"""`make bench`: the small version of every benchmark, in under five minutes; results are kept."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
# Each in a process of its own: what one did to threads and memory is nothing to the next.
PARTS = (
    ("benchmarks.contest", "--peers", "pytorch", "--pairs", "5", "--json", "step.json"),
    ("benchmarks.outside", "--nets", "MLP", "--json", "outside.json"),
)


def main() -> None:
    """Run them all, one after another."""
    began = time.monotonic()
    for module, *words in PARTS:
        subprocess.run([sys.executable, "-m", module, *words[:-1], RESULTS / words[-1]], check=True)
    command = [
        Path(sys.executable).with_name("modiste"),
        "speedrun",
        "mlp",
        "--runs",
        "3",
        "--json",
    ]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    (RESULTS / "speedrun-mlp.json").write_bytes(told.stdout)
    found = json.loads(told.stdout)
    print(
        f"speedrun mlp: validation accuracy {found['accuracy']['mean']:.4f}, "
        f"{found['seconds']['median']:.1f} s, n = {len(found['runs'])}"
    )
    print(f"All of it took {time.monotonic() - began:.0f} s; results are in {RESULTS}.")


if __name__ == "__main__":
    main()
