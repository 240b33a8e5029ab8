"""The one counted look at the test set, for a frozen list of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from modiste.counts import Count
from modiste.data.load import divide
from modiste.data.sealed import SealedTest
from modiste.data.source import Source
from modiste.errors import DataError, StoreError
from modiste.evaluate.errors import worst_errors
from modiste.final.stored import Candidate, folder_of, is_stored
from modiste.runs import files
from modiste.runs.chain import LOOK, RESULT
from modiste.runs.ledger import Ledger
from modiste.runs.run import Run
from modiste.spec.parts import Estimator
from modiste.train.one_go import fit_in_one_go, heard
from modiste.train.predictor import Predictor
from modiste.train.session import measured


class Answers(Protocol):
    """A model, whatever its kind."""

    def logits(self, images_NCHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """One row of scores for each image, N x K."""


class LookLedger:
    """The ledger as the seal sees it: the frozen list stands in every entry."""

    def __init__(self, ledger: Ledger, candidates: Sequence[Candidate]) -> None:
        self._ledger = ledger
        self._runs = [candidate.run.fingerprint for candidate in candidates]
        self.entry = ""

    def count(self) -> Count:
        return self._ledger.count()

    def record(self, reason: str) -> str:
        self.entry = self._ledger.append(LOOK, {"reason": reason, "runs": self._runs})
        return self.entry


def look(
    source: Source, candidates: Sequence[Candidate], reason: str, ledger: Ledger, folder: Path
) -> Path:
    """Open the seal once, measure every candidate, and store what was seen.

    Who looks at the same test set meanwhile, on this account, waits.

    Best and last weights of all runs together are one look. A list that was looked at before is
    not looked at again: what was stored then is the answer, also if a kill came between writing
    it and putting it in its place.

    Args:
        source: Whose test set.
        candidates: The frozen list.
        reason: Stands in the ledger for good.
        ledger: Of this data set.
        folder: Holds one folder for each look, named after the list.

    Returns:
        The folder of the look: `look.json`, predictions and worst errors of each run. Head and
        count of the ledger stand in `look.json` and in the manifest: this is the record that the
        look leaves of each run, whose own folder was written once and stays as it is.

    Raises:
        SealError: Without a reason, or if the ledger cannot be written.
        StoreError: If a run broke off or has no weights any more, or the folder cannot be
            written; the seal then stays closed.
        DataError: If the test images cannot be had.
    """
    target = folder_of(candidates, folder)
    if _is_done(target):
        return target
    # Everything that can fail is done before the seal opens.
    models = {c.run.fingerprint: _models(c.run, source) for c in candidates}
    files.need_writable(next(path for path in (folder, *folder.parents) if path.exists()))
    with ledger.alone():
        # Whoever looked in between has left the answer.
        if not _is_done(target):
            _measure(source, candidates, models, reason, ledger, target)
    return target


def _is_done(target: Path) -> bool:
    """Whether it was stored, be it by somebody who was killed before it was in its place."""
    return is_stored(target) or files.finish_folder(target)


def _measure(
    source: Source,
    candidates: Sequence[Candidate],
    models: Mapping[str, Mapping[str, Answers]],
    reason: str,
    ledger: Ledger,
    target: Path,
) -> None:
    """Open the seal, and write down what is seen."""
    book = LookLedger(ledger, candidates)
    test = SealedTest(source, book).open(reason)
    shapes = {tuple(c.run.layers["input_shape"]) for c in candidates}
    channels, height, width = test.shape_CHW
    if shapes != {(height, width, channels)}:
        raise DataError(
            f"the test images have {height} x {width} pixels and {channels} channel(s), and are "
            "none that these runs can answer. The look is counted."
        )
    content: dict[str, bytes] = {}
    rows = []
    for candidate in candidates:
        run = candidate.run
        logits = {
            epoch: model.logits(test.images_NCHW)
            for epoch, model in models[run.fingerprint].items()
        }
        short = run.fingerprint[:16]
        content[f"predictions-{short}.npz"] = files.to_npz(
            {
                **{f"logits_{epoch}_NK": values for epoch, values in logits.items()},
                "labels": test.labels_N,
                "image_ids": test.ids_N,
            }
        )
        content[f"errors-{short}.npz"] = files.to_npz(
            worst_errors(
                logits["last"],
                test,
                are_probabilities=run.metrics["last"]["val"]["loss"] is not None,
            )
        )
        rows.append(
            {
                "stage": candidate.stage,
                "label": candidate.label,
                "seed": run.spec.seed,
                "fingerprint": run.fingerprint,
                "parameters": run.layers["parameters"]["total"],
                **{e: measured(run.spec, values, test) for e, values in logits.items()},
            }
        )
    results = [
        {
            "run": row["fingerprint"][:16],
            "correct": [row["best"]["correct"], row["last"]["correct"]],
        }
        for row in rows
    ]
    ledger.append(RESULT, {"of": LOOK, "results": results, "total": len(test)})
    tally = ledger.tally().to_dict()
    value = {
        "schema": 1,
        "reason": reason.strip(),
        "opened_at": ledger.at(book.entry),
        **tally,
        "stages": sorted({candidate.stage for candidate in candidates}),
        "runs": rows,
    }
    content["look.json"] = files.to_json(value)
    manifest = {"schema": 2, "ledger": tally, "files": files.entries(content)}
    files.write_folder(target, content, files.sealed(manifest))


def _models(run: Run, source: Source) -> dict[str, Answers]:
    if run.how_it_broke:
        raise StoreError(
            f"{run.folder}: it cannot be measured: {run.how_it_broke}, so it has no weights. Name "
            "a run that finished."
        )
    if isinstance(run.spec.model.params, Estimator):
        return dict.fromkeys(("best", "last"), _fitted_again(run, source))
    if not run.has_weights:
        raise StoreError(f"{run.folder}: it cannot be measured: {_why_not(run)}")
    return {
        epoch: Predictor(run.spec, run.layers, run.weights(epoch)) for epoch in ("best", "last")
    }


def _why_not(run: Run) -> str:
    """Why a run without weights is without, and what helps."""
    if run.spec.train.until is not None:
        return (
            f"{run.why_no_weights}. Where a budget of time closed its stage before any point was "
            "trained to the end, run its study again: it goes on from there."
        )
    why = run.why_no_weights.removeprefix("dropped: ") or "they are gone"
    return (
        f"it has no weights any more ({why}). Where its stage is final, run its study again, which "
        "trains it again; else raise keep_weights in the stage and run it in another folder."
    )


def _fitted_again(run: Run, source: Source) -> Answers:
    """A model that was fitted in one go has no weights: the same fit gives it back."""
    data = divide(source.load_train(), run.spec.data, str(run.metrics["data_digest"]))
    with heard():  # what it remarks stands in the run's record
        model = fit_in_one_go(run.spec, data)
    before = run.metrics["last"]["val"]["correct"]
    again = measured(run.spec, model.logits(data.val.images_NCHW), data.val)["correct"]
    if again != before:
        raise StoreError(
            f"{run.folder}: fitted again, it gets {again:,} validation images right, not "
            f"{before:,}: another version of scikit-learn, or another processor. Run it here in "
            "another folder, and measure that."
        )
    return model
