"""README's table of steps is what was measured, and what was measured stays together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.contest import keep
from benchmarks.nets import NETS
from docs import speed

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_says_what_was_measured() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert speed.with_table(readme) == readme, "run: python -m docs.speed"


def test_every_net_was_measured_beside_every_peer() -> None:
    rows = json.loads(speed.CONTEST.read_text("utf-8"))["rows"]
    assert [row["net"] for row in rows] == [net.name for net in NETS]
    for row in rows:
        assert {peer["peer"] for peer in row["peers"]} == set(speed.PEERS)
        assert row["measured"]["environment"]["git_commit"]


def test_a_net_measured_again_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "new" / "contest.json"
    for net, figure in ((2, 1), (0, 2), (2, 3)):
        keep(file, {"net": NETS[net].name, "figure": figure})
    rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["rows"]
    assert rows == [
        {"net": NETS[0].name, "figure": 2},
        {"net": NETS[2].name, "figure": 3},
    ]
