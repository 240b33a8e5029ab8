"""Write README's table of training steps beside every peer's, from what was measured.

python -m docs.speed
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.made.markdown import between, table

ROOT = Path(__file__).resolve().parents[1]
CONTEST = ROOT / "benchmarks" / "results" / "contest.json"
PEERS = {
    "jax": "JAX",
    "keras_jax": "Keras on JAX",
    "keras_tensorflow": "Keras on TensorFlow",
    "pytorch": "PyTorch",
    "pytorch_compiled": "compiled",
    "skorch": "skorch",
}
HEAD = ("net, batch", "modiste", *PEERS.values(), "closest: quartiles", "of the GEMM rate")


def main() -> None:
    """Write it."""
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text("utf-8")), "utf-8")


def with_table(readme: str) -> str:
    """The README with a row for each net."""
    rows = json.loads(CONTEST.read_text("utf-8"))["rows"]
    return between("steps", readme, table(HEAD, map(list, map(_cells, rows))))


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{row['net']}, {row['batch_size']}"
    found = {peer["peer"]: peer for peer in row["peers"]}
    closest = min(row["peers"], key=lambda peer: peer["ratio"])
    yield f"{closest['ours_ms']:.3g} ms"
    for name in PEERS:
        ratio = f"{found[name]['ratio']:.2f}" if name in found else "not measured"
        yield f"**{ratio}**" if name == closest["peer"] else ratio
    low, high = closest["ratio_quartiles"]
    yield f"{low:.2f} to {high:.2f}"
    yield f"{row['floor']['share_of_gemm']:.0%}"


if __name__ == "__main__":
    main()
