"""How good a model is: what validation images said, or one counted look at the test set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modiste.api.results import Evaluation, figures
from modiste.api.study import look_at_runs, look_at_test, winners, write_report
from modiste.errors import SealError, StoreError
from modiste.export.model import load_model
from modiste.final.look import Candidate
from modiste.runs.run import EPOCHS, Run
from modiste.search.study import Study


def evaluate(
    folder: str | Path,
    *,
    final: bool = False,
    reason: str = "",
    stages: Iterable[str] | None = None,
    data_folder: str | Path | None = None,
) -> Evaluation:
    """Accuracy and loss of a model, a run, or the final models of a study.

    Args:
        folder: A model, run or study folder.
        final: Open the test set, once and counted, for all of them together.
        reason: What that look is for.
        stages: Of a study: these stages only; its final ones if not given.
        data_folder: Where the data set lies; looked for if not given.

    Returns:
        ``part`` (``validation`` or ``test``), ``num_images``, ``runs`` (label, seed, fingerprint
        and for each epoch accuracy, its 95 % Wilson interval, loss) and ``notes``; prints as a
        table.

    Raises:
        StoreError: If the folder is none of these, or a file in it was changed.
        SealError: For the test set without a reason.
    """
    place = Path(folder)
    if reason and not final:
        raise SealError("--reason belongs to --final: without it the test set stays closed.")
    if (place / "study.json").is_file():
        study = Study(place)
        if final:
            found = look_at_test(study, reason, stages, data_folder)
            write_report(study)
            return _test(found)
        return _validation(winners(study, stages))
    run = run_of(place)
    candidate = Candidate("", place.name, run)
    if final:
        return _test(look_at_runs([candidate], reason, _looks_folder(place), data_folder))
    return _validation([candidate])


def run_of(place: Path) -> Run:
    """The run that a run folder holds, or that a model folder came from.

    It lies in the model folder (`ImageClassifier.save`), or beside it in its study.

    Raises:
        StoreError: If it is neither, or the run is not beside the model.
    """
    if (place / "spec.json").is_file():
        return Run(place)
    model = load_model(place)
    beside = place.parent.parent / "runs" / str(model.config["fingerprint"])[:16]
    for run in (place / "run", beside):
        if (run / "manifest.json").is_file():
            return Run(run)
    raise StoreError(
        f"{place}: the run that it came from is not at {beside}. A model folder on its own can "
        "predict; to evaluate it, keep it in its study or name the run folder."
    )


def _looks_folder(place: Path) -> Path:
    """``final`` of the study that holds this run or model."""
    return place.parent.parent / "final"


def _validation(candidates: list[Candidate]) -> Evaluation:
    rows = []
    notes = ["These images chose when to stop: the figures lean to the bright side."]
    for candidate in candidates:
        metrics = candidate.run.metrics
        if metrics["status"] != "finished":
            label = candidate.stage or candidate.label
            notes.append(f"{label}: {metrics['status']} ({metrics['reason']}).")
        rows.append(
            {
                "label": candidate.stage or candidate.label,
                "seed": candidate.run.spec.seed,
                "fingerprint": candidate.run.fingerprint,
                **{str(e): _figures(metrics[e]["val"]) for e in EPOCHS if e in metrics},
            }
        )
    return Evaluation(
        {
            "schema": 1,
            "part": "validation",
            "num_images": candidates[0].run.metrics["num_val"],
            "runs": rows,
            "notes": notes,
        }
    )


def _test(found: dict[str, Any]) -> Evaluation:
    rows = [
        {
            "label": row["stage"] or row["label"],
            "seed": row["seed"],
            "fingerprint": row["fingerprint"],
            **{str(e): _figures(row[e]) for e in EPOCHS},
        }
        for row in found["runs"]
    ]
    looks = "unknown" if found["looks"] is None else found["looks"]
    return Evaluation(
        {
            "schema": 1,
            "part": "test",
            "num_images": found["runs"][0]["last"]["total"],
            "looks": found["looks"],
            "reason": found["reason"],
            "runs": rows,
            "notes": [f"Looks at this test set so far: {looks}. Reason: {found['reason']}"],
        }
    )


def _figures(measured: dict[str, Any]) -> dict[str, Any]:
    return figures(measured["correct"], measured["total"], measured["loss"])
