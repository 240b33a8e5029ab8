"""Which run a path means: a run folder, or a model that came from one; and where its images lie."""

from __future__ import annotations

from pathlib import Path

from modiste.api.counting import study_around
from modiste.data.places import reachable
from modiste.errors import DataError, StoreError
from modiste.runs.run import Run, places_of_run
from modiste.search.study import Study


def run_of(place: Path) -> Run:
    """The run that a run folder holds, or that a model folder came from.

    It lies in the model folder (`ImageClassifier.save`), or beside it in its study.

    Raises:
        StoreError: If it is neither, or the run is not beside the model; of a study, says that
            one of its runs is meant.
    """
    if (place / "spec.json").is_file():
        return Run(place)
    from modiste.export.model import load_model, refuse_study

    refuse_study(place)
    model = load_model(place)
    places = places_of_run(place, model.config["fingerprint"])
    for run in places:
        if (run / "manifest.json").is_file():
            return Run(run)
    raise StoreError(
        f"{place}: the run that it came from is not at {places[-1]}. A model folder on its own can "
        "predict; to evaluate it, keep it in its study or name the run folder."
    )


def path_for_run(folder: Path) -> Path | None:
    """Where the images of a run or model folder lie, if it lies in a study that says so.

    Raises:
        DataError: If nothing is there.
    """
    around = study_around(folder)
    place = None if around is None else Study(around).data_place
    if place is not None and not reachable(place).exists():
        raise DataError(
            f"{around}: its images lie at {place}, seen from where it was begun, and nothing of "
            f"that name does here ({place.absolute()}). Go there, or name the place with --data "
            "(`data_folder=` in Python)."
        )
    return place
