"""Which validation images of a study equal a training image, in every pixel.

`STUDY/duplicates.json` says so; every study writes it. Mirrored and near ones take minutes to look
for, and are in the audit that a study may keep: see `modiste.report.kept_audit`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modiste.errors import StoreError
from modiste.evaluate.study_finding import Leaks, StudyFacts, study_findings
from modiste.report.blocks import Block, Paragraph, Remark, Remarks
from modiste.report.numbers import count
from modiste.runs import files
from modiste.search.study import Study

EXACT = "duplicates.json"


def exact_in(study: Study) -> list[Block]:
    """What is known of equal images; nothing where nobody has looked."""
    found = leaks_of(study)
    if found is None:
        return []
    if found.count:
        return [remark_on(found)]
    text = (
        f"None of the {count(found.total)} validation images equals a training image in every "
        "pixel."
    )
    return [Paragraph([text])]


def remark_on(found: Leaks) -> Remarks:
    """The finding about images that choose and were trained on."""
    return Remarks(
        [
            Remark(f.code, f.title, f.advice, 0, [("validation images", f.text)])
            for f in study_findings(StudyFacts([], leaks=found))
        ]
    )


def leaks_of(study: Study) -> Leaks | None:
    """Validation images that equal a training image; none if nobody has looked.

    Raises:
        StoreError: If what is there cannot be read, or is about other images.
    """
    path = exact_file(study)
    if not path.is_file():
        return None
    value = files.read_json(path)
    try:
        digest, ids = str(value["data_digest"]), value["val_with_exact_duplicate_in_train"]
        found = Leaks(len(ids), int(value["num_val"]), "an exact")
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not what it should be ({error!r}).") from None
    if digest != study.data_digest:
        raise StoreError(
            f"{path}: is about other images (data digest {digest[:12]}, the study has "
            f"{study.data_digest[:12]}). Move it away."
        )
    return found


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
