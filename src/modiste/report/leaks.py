"""What is known of duplicates between the training and the validation images of a study.

`STUDY/duplicates.json` says which validation images equal a training image; every study has it.
`STUDY/audit.json`, where somebody put it there (``modiste audit DATA --study STUDY --out STUDY``),
knows of mirrored and near ones as well, and what they are worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modiste.errors import StoreError
from modiste.evaluate.study_finding import Leaks, StudyFacts, study_findings
from modiste.report.blocks import Block, Paragraph, Remark, Remarks
from modiste.report.context import Context
from modiste.report.numbers import count
from modiste.runs import files
from modiste.search.study import Study

EXACT, AUDIT = "duplicates.json", "audit.json"


def leaks_in(context: Context) -> list[Block]:
    """Whether images that choose were seen in training, as far as anybody has looked."""
    found = leaks_of(context.study)
    if found is None:
        text = (
            "This folder does not say whether validation images have duplicates among the "
            "training images; modiste study and modiste audit look for them."
        )
        return [Paragraph([text], "note")]
    if not found.count:
        kind = found.kind.removeprefix("an ")
        text = (
            f"None of the {count(found.total)} validation images has an {kind} duplicate among the "
            "training images."
        )
        return [Paragraph([text])]
    remarks = [
        Remark(f.code, f.title, f.advice, 0, [("validation images", f.text)])
        for f in study_findings(StudyFacts([], leaks=found))
    ]
    return [Remarks(remarks)]


def leaks_of(study: Study) -> Leaks | None:
    """Validation images with a duplicate in training, as far as anybody has looked; else none.

    Raises:
        StoreError: If what is there cannot be read, or is about other images.
    """
    for name, read in ((AUDIT, _audited), (EXACT, _exact)):
        path = study.folder / name
        if path.is_file():
            value = files.read_json(path)
            try:
                digest, found = str(value["data_digest"]), read(value)
            except (KeyError, TypeError, ValueError) as error:
                raise StoreError(f"{path}: not what it should be ({error!r}).") from None
            if digest != study.data_digest:
                raise StoreError(
                    f"{path}: is about other images (data digest {digest[:12]}, the study has "
                    f"{study.data_digest[:12]}). Move it away."
                )
            return found
    return None


def exact_record(study: Study, num_train: int, ids: list[int], num_val: int) -> dict[str, Any]:
    """What `duplicates.json` holds: ids of the validation images that equal a training image."""
    return {
        "schema": 1,
        "data_digest": study.data_digest,
        "num_train": num_train,
        "num_val": num_val,
        "val_with_exact_duplicate_in_train": ids,
    }


def exact_file(study: Study) -> Path:
    """Where that lies."""
    return study.folder / EXACT


def _exact(value: dict[str, Any]) -> Leaks:
    ids = value["val_with_exact_duplicate_in_train"]
    return Leaks(len(ids), int(value["num_val"]), "an exact")


def _audited(value: dict[str, Any]) -> Leaks:
    found = value["duplicates"]["val_with_duplicate_in_train"]
    moved = [
        abs(float(model["without"]["duplicates"]["difference"]))
        for model in value["models"]
        if model["without"]["duplicates"]["difference"] is not None
    ]
    kind = "an exact, mirrored or near"
    return Leaks(int(found["count"]), int(value["num_val"]), kind, max(moved, default=None))
