"""What a study ends with: its final models as folders, with their cards."""

from __future__ import annotations

from modiste.api.counting import ledger_of, measured
from modiste.data.types import ImageSet
from modiste.evaluate.errors import worst_errors
from modiste.export.model import card, save_model
from modiste.export.stress import under_stress
from modiste.runs import files
from modiste.runs.ledger import Looked, Tally
from modiste.runs.run import Run
from modiste.search.picked import KEPT, picked_by_val
from modiste.search.study import Stage, Study

NUM_ERRORS_SHOWN = 48


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
            files.write_bytes(errors, files.to_npz(worst_errors(logits, rows, NUM_ERRORS_SHOWN)))
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
