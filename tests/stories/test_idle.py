"""What the engine of a search costs beside the work, and that it stays what it is."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import idle
from modiste.runs.run import RunRecord, write_run

pytestmark = pytest.mark.slow  # child processes


class Costs:
    """The driver's time on a processor, and what nobody could save of it, after each trial.

    A processor may be three times slower than another, and twice as slow as itself a moment ago;
    so what the driver takes is told as a multiple of what cannot be saved, done beside it: logits
    packed, and the bytes of a run folder put on the disk.
    """

    def __init__(self, spare: Path) -> None:
        self.needed = [0.0]
        self.spent: list[float] = []
        self._spare = spare

    def write(self, record: RunRecord, folder: Path) -> None:
        write_run(record, folder)
        start = time.process_time()
        np.savez_compressed(io.BytesIO(), allow_pickle=False, **record.predictions)
        for path in folder.iterdir():
            with (self._spare / path.name).open("wb") as file:
                file.write(path.read_bytes())
                os.fsync(file.fileno())
        self.needed.append(self.needed[-1] + time.process_time() - start)

    def ended(self) -> None:
        self.spent.append(time.process_time() - self.needed[-1])

    def multiple(self, first: int, last: int) -> float:
        """What the driver took from the end of one trial to that of another, both from 0."""
        needed = self.needed[last + 1] - self.needed[first + 1]
        return (self.spent[last] - self.spent[first]) / needed


def test_trials_that_do_nothing_cost_next_to_nothing_and_leave_no_memory_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = idle.Clock.finished
    found = []
    # Whatever else the machine does only adds, so of three times the quietest counts.
    for number in range(3):
        place = tmp_path / str(number)
        place.mkdir()
        costs = Costs(place)

        def counted(
            self: idle.Clock, stage: object, row: object, run: object, costs: Costs = costs
        ) -> None:
            finished(self, stage, row, run)
            costs.ended()

        monkeypatch.setattr(idle.Clock, "finished", counted)
        monkeypatch.setattr("modiste.search.driver.write_run", costs.write)
        cost = idle.ours(place, 300)
        # A point and its figures are kept, some kilobytes each, and no logits.
        assert cost.growth_bytes is not None
        assert cost.growth_bytes < 8 << 20
        # It is 2.1 to 2.5 in a quiet hour. The last hundred, whose study holds three times as many
        # as the first, may cost no more than noise.
        first, last = costs.multiple(0, 100), costs.multiple(199, 299)
        found.append((first, last))
        if first < 4 and last < min(4, 1.5 * first):
            return
    raise AssertionError(f"the first and the last hundred, over what cannot be saved: {found}")
