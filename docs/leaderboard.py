"""Write the rows of LEADERBOARD.md: every recipe that was looked at, from what was stored of it.

python -m docs.leaderboard
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from docs.made.markdown import between, table

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "benchmarks" / "results" / "speedruns"
COLUMNS = (
    "recipe",
    "goal",
    "test accuracy, mean (95 % interval over runs)",
    "n",
    "seconds, median",
    "of one epoch of the study's CNN in Keras",
    "parameters, epochs",
    "machine",
    "commit",
)


def main() -> None:
    """Write them."""
    page = ROOT / "LEADERBOARD.md"
    page.write_text(with_rows(page.read_text("utf-8")), "utf-8")


def with_rows(page: str) -> str:
    """The page with a row for each look that was stored, by goal and time."""
    found = sorted(looks(), key=lambda look: (look["goal"], look["seconds"]["median"]))
    return between("rows", page, table(COLUMNS, map(row, found)))


def looks() -> list[dict[str, Any]]:
    """What `modiste speedrun --final --json` printed, of every recipe."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(RUNS.glob("*.json"))]


def row(look: Mapping[str, Any]) -> Sequence[str]:
    """One look as a line of the table."""
    accuracy, here = look["accuracy"], look["environment"]
    keras = "not measured"
    if look["keras_epochs"] is not None:
        keras = f"{look['keras_epochs']:.3f} (of {fmean(look['keras_epoch_seconds']):.0f} s)"
    reached = "reached" if look["reached"] else "missed"
    most = look.get("max_parameters")  # older looks know none
    size = f" with at most {most:,} parameters" if most else ""
    return (
        f"[{look['recipe']}](src/modiste/recipes/{look['recipe']}.yaml) `{look['sha256'][:8]}`",
        f"{look['goal']:.4f}{size}, {reached}",
        f"{accuracy['mean']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f})",
        str(len(look["runs"])),
        f"{look['seconds']['median']:.1f}" + ("*" if "amended" in look else ""),
        keras,
        f"{look['parameters']:,}, {look['epochs']}",
        look.get("gpu") or f"{here['cpu']}, {look['threads']} threads",
        f"`{(here['git_commit'] or 'unknown')[:8]}`",
    )


if __name__ == "__main__":
    main()
