"""Which ledger counts the looks at a test set, for results that lie in a folder.

Collected results carry the ledger that they were counted in (``STUDY/ledger``), and are counted by
it; all others by the user's own. Every head that stands in the results must be in that ledger.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modiste.errors import StoreError
from modiste.final.stored import known_heads
from modiste.interval import wilson
from modiste.report import looks
from modiste.runs import files
from modiste.runs.ledger import Ledger, Looked, Tally
from modiste.runs.run import Epoch, Run
from modiste.search.collect import LEDGER
from modiste.search.study import Study


def tally_of(place: str | os.PathLike[str]) -> Tally:
    """Looks at the test set, and the head of their ledger, for a study, a model or a run.

    A model or run folder is counted as the study is that it lies in. A model on its own says what
    was known when it was written: the ledger that counted it may be anywhere.

    Raises:
        StoreError: If it is none of them, or a file in it is not what was written.
    """
    folder = Path(place)
    if _is_study(folder):
        return ledger_of(folder, Study(folder).data_digest).tally()
    around = _looks_around(folder)
    if around is None and (written := _as_written(folder)) is not None:
        return written.tally
    if (folder / "config.json").is_file():
        digest = str(files.read_json(folder / "config.json")["data_digest"])
    elif (folder / "spec.json").is_file():
        digest = str(Run(folder).metrics["data_digest"])
    else:
        raise StoreError(f"{folder}: neither a study (study.json) nor a model nor a run folder.")
    return (Ledger(digest) if around is None else ledger_of(around, digest)).tally()


def looked_at(place: Path, fingerprint: str, epoch: Epoch) -> Looked:
    """What is known of looks at the test set, for a run or model folder.

    Args:
        place: The folder.
        fingerprint: Of its run.
        epoch: Whose weights are meant.

    Raises:
        StoreError: If something in it, or a look beside it, is not what was written.
    """
    around = _looks_around(place)
    if around is not None:
        return Looked(tally_of(place), measured(around, fingerprint, epoch))
    return _as_written(place) or Looked(tally_of(place), None)


def measured(results: Path, fingerprint: str, epoch: Epoch) -> dict[str, Any] | None:
    """What the first look stored in a folder said of a run; none if it was in no look."""
    for look in looks.read(results / "final"):
        for run in look.runs:
            score = run.scores.get(epoch)
            if run.fingerprint == fingerprint and score is not None:
                return {
                    "accuracy": score.accuracy,
                    "interval": list(wilson(score.correct, score.total)),
                    "loss": score.loss,
                    "correct": score.correct,
                    "total": score.total,
                    "reason": look.reason,
                    "opened_at": look.opened_at,
                }
    return None


def study_around(place: Path) -> Path | None:
    """The study that a folder is, or whose run or model it is; none if it stands on its own."""
    absolute = place.absolute()
    found = (folder for folder in (absolute, absolute.parent.parent) if _is_study(folder))
    return next(found, None)


def ledger_of(results: Path, data_digest: str) -> Ledger:
    """The ledger that the looks of a study are counted by."""
    beside = results / LEDGER
    return Ledger(data_digest, heads_in(results), beside if beside.is_dir() else None)


@contextmanager
def counted(results: Path | None, data_digest: str) -> Iterator[Ledger]:
    """The user's own ledger, gone on from the one that results brought along.

    What is written into it stands in both afterwards, also if something fails on the way.

    Args:
        results: The folder, mostly a study, for which the test set is to be opened; none if for
            nothing that was trained.
        data_digest: Of the training part.

    Raises:
        SealError: If one of them cannot be written.
    """
    if results is None:
        yield Ledger(data_digest)
        return
    beside = results / LEDGER
    ledger = Ledger(data_digest, heads_in(results))
    ledger.take_over(beside)
    try:
        yield ledger
    finally:
        if beside.is_dir():
            ledger.copy_to(beside)


def heads_in(results: Path) -> list[str]:
    """Heads of the ledger that stand in the looks and models of a folder.

    A model is written again with the ledger of the day; heads that it lacked then are kept.
    """
    heads = known_heads(results / "final")
    for path in sorted(results.glob("models/[!.]*/config.json")):
        try:
            tally = Tally.of(files.read_json(path).get("test") or {})
        except StoreError:  # whoever loads it says so, and running its study writes it anew
            continue
        heads += [tally.head, *tally.lacks]
    return list(dict.fromkeys(heads))


def _looks_around(place: Path) -> Path | None:
    """The study, or whatever holds looks, that a run or model folder lies in."""
    around = place.absolute().parent.parent
    return around if _is_study(around) or (around / "final").is_dir() else None


def _is_study(folder: Path) -> bool:
    return (folder / "study.json").is_file()


def _as_written(model: Path) -> Looked | None:
    """What a model says of looks; none if the folder is no model, or one from before it said so."""
    if not (model / "config.json").is_file():
        return None
    config = json.loads(files.read_checked(model, "config.json"))
    return Looked.of(config["test"]) if "test" in config else None
