"""What the test set said, as far as it was opened: the folders in STUDY/final."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modiste.counts import Count
from modiste.errors import StoreError
from modiste.report import numbers
from modiste.report.blocks import Code, Inline
from modiste.report.numbers import count
from modiste.runs import files
from modiste.runs.ledger import Tally
from modiste.runs.run import Epoch


@dataclass(frozen=True)
class Score:
    """Loss in nats (none of a model without probabilities) and accuracy on test images."""

    loss: float | None
    accuracy: float
    correct: int
    total: int


@dataclass(frozen=True)
class LookRun:
    """One run of a look, with its score at both epochs, as far as they are there."""

    stage: str
    label: str
    seed: int
    fingerprint: str
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Look:
    """One opening of the test set for a frozen list of runs.

    Attributes:
        tally: What the ledger said right after it, this look included.
    """

    folder: Path
    reason: str
    opened_at: str
    tally: Tally
    runs: tuple[LookRun, ...]

    def file(self, kind: str, fingerprint: str) -> Path:
        """Where predictions or errors of a run lie, if they were kept."""
        return self.folder / f"{kind}-{fingerprint[:16]}.npz"


def read(folder: Path) -> list[Look]:
    """All looks of a study, the oldest first; none if it never opened the test set.

    Raises:
        StoreError: If a `look.json` cannot be read, or is not what was written.
    """
    found = sorted(folder.glob("[!.]*/manifest.json"))
    looks = [_look(path.with_name("look.json")) for path in found]
    return sorted(looks, key=lambda look: (look.opened_at, look.folder.name))


def scores(looks: Sequence[Look], fingerprints: Sequence[str], epoch: Epoch) -> list[Score]:
    """Test scores of these runs at that epoch; of a run in several looks, the first one's."""
    found: dict[str, Score] = {}
    for look in looks:
        for run in look.runs:
            if run.fingerprint in fingerprints and epoch in run.scores:
                found.setdefault(run.fingerprint, run.scores[epoch])
    return [found[fingerprint] for fingerprint in fingerprints if fingerprint in found]


def tally_facts(tally: Tally) -> list[tuple[str, str]]:
    """What the ledger says, in short."""
    pairs = [("looks at it so far", number(tally.looks))]
    if not tally.trouble and tally.comparisons:
        pairs.append(("compared with other images", f"{times(tally.comparisons)}, no accuracy"))
    if tally.num_entries:
        pairs.append(("their ledger", f"{_entries(tally)}, head {tally.head[:12]}"))
    return pairs


def tally_words(tally: Tally) -> list[Inline]:
    """What the ledger says, in a sentence or two."""
    if not tally.num_entries:
        return [tally.words]
    return [f"{tally.words} The ledger has {_entries(tally)}; its head is ", Code(tally.head), "."]


def number(found: Count) -> str:
    """A count of openings, or that it is unknown."""
    return count(found) if isinstance(found, int) else found


def times(found: Count) -> str:
    """How often, in words, if that is known."""
    return numbers.times(found) if isinstance(found, int) else "an unknown number of times"


def _entries(tally: Tally) -> str:
    return f"{count(tally.num_entries)} {'entry' if tally.num_entries == 1 else 'entries'}"


def _look(path: Path) -> Look:
    content = files.read_checked(path.parent, path.name)
    try:
        value = json.loads(content)
        return Look(
            folder=path.parent,
            reason=str(value.get("reason", "")),
            opened_at=str(value.get("opened_at") or ""),
            tally=Tally.of(value),
            runs=tuple(_run(run) for run in value["runs"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not what a look at the test set leaves ({error!r}).") from None


def _run(value: Mapping[str, Any]) -> LookRun:
    return LookRun(
        stage=str(value["stage"]),
        label=str(value["label"]),
        seed=int(value["seed"]),
        fingerprint=str(value["fingerprint"]),
        scores={epoch: _score(value[epoch]) for epoch in ("best", "last") if value.get(epoch)},
    )


def _score(value: Mapping[str, Any]) -> Score:
    loss = None if value["loss"] is None else float(value["loss"])
    return Score(loss, float(value["accuracy"]), int(value["correct"]), int(value["total"]))
