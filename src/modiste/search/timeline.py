"""When which run was worked on: `STUDY/timeline.jsonl`, a line for each sitting.

Nothing is read from it but a figure of the report, so it is written without waiting for the disk;
a line that a crash cut off is passed over.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

FILE = "timeline.jsonl"
Ending = Literal["finished", "stopped"]


@dataclass(frozen=True)
class Sitting:
    """A run under way without a break.

    Attributes:
        run: Beginning of its fingerprint.
        begun, ended: Seconds since 1970.
        threads: That it computes with.
        ending: How it came to its end.
    """

    run: str
    stage: str
    point: str
    begun: float
    ended: float
    threads: int
    ending: Ending


class Timeline:
    """Writes down what happens.

    Args:
        study_folder: Where.
    """

    def __init__(self, study_folder: Path) -> None:
        self._path = study_folder / FILE
        self._begun: dict[str, float] = {}

    def begin(self, fingerprint: str) -> None:
        """A run is worked on from now."""
        self._begun[fingerprint] = time.time()

    def end(self, fingerprint: str, stage: str, point: str, threads: int, ending: Ending) -> None:
        """It no longer is. A full disk or a read-only one is somebody else's to tell of."""
        begun = self._begun.pop(fingerprint, None)
        if begun is None:
            return
        sitting = Sitting(fingerprint[:16], stage, point, begun, time.time(), threads, ending)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(sitting), ensure_ascii=False) + "\n")
        except OSError:
            return


def read(study_folder: Path) -> list[Sitting]:
    """All sittings, in the order of their ends; none where nothing was written down."""
    try:
        lines = (study_folder / FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    sittings = []
    for line in lines:
        try:
            sittings.append(Sitting(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return sittings


def lanes(sittings: Sequence[Sitting]) -> list[int]:
    """A lane for each sitting, so that those of a lane follow one another: the lowest free one.

    Example:
        >>> make = lambda begun, ended: Sitting("", "", "", begun, ended, 1, "finished")
        >>> lanes([make(0, 5), make(1, 3), make(3, 4), make(6, 7)])
        [0, 1, 1, 0]
    """
    answer = [0] * len(sittings)
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    num_lanes = 0
    for number in sorted(range(len(sittings)), key=lambda i: sittings[i].begun):
        while busy and busy[0][0] <= sittings[number].begun:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, num_lanes = num_lanes, num_lanes + 1
        answer[number] = lane
        heapq.heappush(busy, (sittings[number].ended, lane))
    return answer
