"""What a study ends with: its final models as folders, with their cards, and as exports."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from modiste.api.counting import ledger_of, measured
from modiste.api.exporting import export_model
from modiste.artifact.exports import EXPORTED, export_of
from modiste.artifact.folder import is_exported
from modiste.atomic import sync
from modiste.data.types import ImageSet
from modiste.errors import InstallError, ModisteError, StoreError
from modiste.evaluate.errors import worst_errors
from modiste.export.model import card, save_model
from modiste.export.stress import under_stress
from modiste.runs import files
from modiste.runs.ledger import Looked, Tally
from modiste.runs.run import Run
from modiste.search.picked import KEPT, picked_by_val
from modiste.search.study import Stage, Study


def save_finals(study: Study, images: ImageSet) -> None:
    """The models of final stages as folders, their worst errors, and how they bear stress."""
    epoch = study.spec.rank_epoch
    tally = ledger_of(study.folder, study.data_digest).tally()
    for stage, run in _finals(study):
        if run.has_weights:
            _save_final(study, stage, run, tally)
        if not run.has_predictions:  # it comes from light results, with what was drawn of it
            continue
        rows = images.take(run.predictions["image_ids"], "val")
        errors, stress = (
            study.folder / "figures" / f"{what}-{run.fingerprint[:16]}.npz"
            for what in ("errors", "stress")
        )
        if not errors.exists():
            logits = run.predictions[f"logits_{epoch}_NK"]
            files.write_bytes(errors, files.to_npz(worst_errors(logits, rows)))
        if run.has_weights and not stress.exists():
            files.write_bytes(stress, files.to_npz(under_stress(run, epoch, rows)))


def write_cards(study: Study, tally: Tally) -> None:
    """Bring the models that say something else of looks up to date with the ledger."""
    for stage, run in _finals(study):
        config = study.folder / "models" / stage.spec.name / "config.json"
        written = files.read_json(config) if config.is_file() else {}
        is_older = written.get("test") != _looked(study, run, tally).to_dict()
        if written.get("fingerprint") == run.fingerprint and is_older:
            _save_final(study, stage, run, tally)


def export_finals(
    study: Study, data_folder: str | os.PathLike[str] | None = None, *, is_renewal: bool = False
) -> list[str]:
    """Export the models of final stages with ``export: true``, each into ``exported/NAME``.

    What is there stays if it is of this very model and knows of the same looks at the test set;
    else it is replaced, whole. What cannot be exported is said, and the study is finished anyway.

    Args:
        study: Whose models are saved.
        data_folder: Where the data set lies; looked for if not given.
        is_renewal: Only where something was exported before.

    Returns:
        For each that was to be written, what became of it.
    """
    said, work = [], study.folder / "work" / EXPORTED
    shutil.rmtree(work, ignore_errors=True)  # left by a call that was killed
    for stage, _ in _finals(study):
        name = stage.spec.name
        model, target = (study.folder / kind / name for kind in ("models", EXPORTED))
        is_wanted = stage.spec.is_exported and (target.exists() or not is_renewal)
        if is_wanted and model.is_dir() and export_of(model) is None:
            said.append(_export(model, target, work, data_folder))
    return said


def _export(
    model: Path, target: Path, work: Path, data_folder: str | os.PathLike[str] | None
) -> str:
    """Export a model, and say what became of it; in `work` it lies until it is whole."""
    try:
        if target.exists() and not is_exported(target):
            raise StoreError(f"{target}: there is something else of that name. Move it away.")
        found = export_model(model, work / "new", data_folder=data_folder)
        _put(work / "new", target, work / "old")
    except ModisteError as error:
        again = shlex.join(["modiste", "export", str(model), "--to", str(target)])
        later = f"\nThen run the study again, or:\n  {again}"
        return f"{model} is not exported. {error}{later if isinstance(error, InstallError) else ''}"
    finally:
        shutil.rmtree(work, ignore_errors=True)
    number, digest = found["certificate"]["parity"]["images"], found["digest"][:16]
    words = f"PyTorch and onnxruntime agree on all {number:,} validation images"
    return f"{target}: exported, digest {digest}; {words}."


def _put(new: Path, target: Path, old: Path) -> None:
    """Let a folder take the place of what is there, if anything is."""
    try:
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            target.rename(old)
        new.rename(target)
        sync(target.parent)
    except OSError as error:
        raise files.cannot_write(target, error) from error


def _finals(study: Study) -> list[tuple[Stage, Run]]:
    """The final stages that are finished, each with the first run of its winner."""
    found = []
    for stage in study.stages():
        best = study.winner(stage) if stage.spec.is_final and stage.chosen else None
        if best is not None and best.runs[0].metrics["status"] == "finished":
            found.append((stage, best.runs[0]))
    return found


def _save_final(study: Study, stage: Stage, run: Run, tally: Tally) -> None:
    epoch, looked = study.spec.rank_epoch, _looked(study, run, tally)
    chosen = KEPT if run.fingerprint in picked_by_val(study) else ""
    text = card(run, epoch, stage.spec.title or stage.spec.name, looked, chosen)
    save_model(run, epoch, study.folder / "models" / stage.spec.name, text, looked)


def _looked(study: Study, run: Run, tally: Tally) -> Looked:
    return Looked(tally, measured(study.folder, run.fingerprint, study.spec.rank_epoch))
