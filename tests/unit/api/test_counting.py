"""Which heads of the ledger stand in the results of a folder."""

from __future__ import annotations

from pathlib import Path

from modiste.api.counting import heads_in
from modiste.runs.files import write_json


def test_a_damaged_model_stops_nobody_who_would_write_it_anew(tmp_path: Path) -> None:
    for name, head in (("one", "a" * 64), ("two", "b" * 64)):
        (tmp_path / "models" / name).mkdir(parents=True)
        test = {"looks": 1, "comparisons": 0, "ledger_head": head, "ledger_entries": 1}
        write_json(tmp_path / "models" / name / "config.json", {"test": test})
    assert heads_in(tmp_path) == ["a" * 64, "b" * 64]
    (tmp_path / "models" / "one" / "config.json").write_bytes(b'{"test": ')
    assert heads_in(tmp_path) == ["b" * 64]
