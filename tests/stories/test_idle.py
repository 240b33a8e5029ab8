"""What the engine of a search costs beside the work, and that it stays what it is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks import idle

pytestmark = pytest.mark.slow  # child processes


def test_trials_that_do_nothing_cost_next_to_nothing_and_leave_no_memory_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[float] = []
    finished = idle.Clock.finished

    def counted(self: idle.Clock, stage: object, row: object, run: object) -> None:
        finished(self, stage, row, run)
        used.append(time.process_time())

    monkeypatch.setattr(idle.Clock, "finished", counted)
    cost = idle.ours(tmp_path, 300)
    # The driver's own time: the clock of a busy machine says nothing. Two seconds for a hundred
    # are promised with the disk included; half of that is left to it. The last hundred, whose study
    # holds three times as many as the first, may cost no more.
    assert used[100] - used[0] < 1.5
    assert used[299] - used[200] < 1.5
    # A point and its figures are kept, some kilobytes each, and no logits.
    assert cost.growth_bytes is not None
    assert cost.growth_bytes < 8 << 20
