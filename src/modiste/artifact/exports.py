"""Which models of a study are exported, just as they are now."""

from __future__ import annotations

from pathlib import Path

from modiste.errors import StoreError
from modiste.runs import files

EXPORTED = "exported"


def exports(study: Path) -> dict[Path, Path | None]:
    """Each model of a study, and where it is exported just as it is now; none where it is not."""
    return {model: export_of(model) for model in sorted((study / "models").glob("[!.]*/"))}


def export_of(model: Path) -> Path | None:
    """Where a model of a study is exported; none where it is not, or was another one then."""
    folder = model.parent.parent / EXPORTED / model.name
    try:
        files.check_folder(folder)
        there, own = (files.read_json(each / "config.json") for each in (folder, model))
    except StoreError:  # not there, or damaged
        return None
    is_same = all(there.get(key) == own.get(key) for key in ("fingerprint", "epoch", "test"))
    return folder if is_same else None
