"""Reports of invented studies, written once for all tests; these only read them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from modiste.report import write as report
from modiste.runs.ledger import NOT_ASKED, Tally
from modiste.search.study import Study
from modiste.spec.files import read_study
from modiste.spec.study import Override, StudySpec
from tests.report_fixture import NO_LOOKS, STUDY_FILE, make_look, make_study
from tests.unit.report.page import Page

HOSTILE = '<script>alert("x")</script>'


class Written(NamedTuple):
    """A study folder and both forms of its report."""

    study: Study
    page: Page
    markdown: str
    tally: Tally = NOT_ASKED

    @classmethod
    def of(cls, study: Study, tally: Tally = NOT_ASKED) -> Written:
        report.write(study, tally)
        return cls.read(study, tally)

    @classmethod
    def read(cls, study: Study, tally: Tally = NOT_ASKED) -> Written:
        page, markdown = (
            (study.folder / f"report.{kind}").read_text("utf-8") for kind in ("html", "md")
        )
        return cls(study, Page(page), markdown, tally)


# Makes the folder of a name hold a study and its report, if it does not yet.
Reports = Callable[[str, Callable[[Path], Study], Tally], Written]


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """The first process that wants one writes it; those beside it read what it has written."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "reports"
    root.mkdir(exist_ok=True)

    def written(name: str, make: Callable[[Path], Study], tally: Tally) -> Written:
        folder = root / name
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / "report.html").exists():
                return Written.read(Study(folder), tally)
            folder.mkdir()
            return Written.of(make(folder), tally)

    return written


@pytest.fixture(scope="session")
def quick(reports: Reports) -> Written:
    """The reference study in its quick profile, finished; the test set was never opened."""

    def make(folder: Path) -> Study:
        return make_study(folder, profile="quick", num_val=200)

    return reports("quick", make, NOT_ASKED)


@pytest.fixture(scope="session")
def full(reports: Reports) -> Written:
    """All but its grids in the full profile; the test set was opened once."""
    stages = ["mlp-baseline", "mlp-capacity", "mlp-rates", "mlp-final", "cnn-depth", "cnn-final"]

    def make(folder: Path) -> Study:
        study = make_study(folder, profile="full", num_val=200, stages=stages)
        make_look(study, ["mlp-final", "cnn-final"], looks=3)
        return study

    return reports("full", make, Tally(looks=4, comparisons=1, head="b" * 64, num_entries=9))


@pytest.fixture(scope="session")
def empty(reports: Reports) -> Written:
    """Nothing was run yet."""
    return reports("empty", lambda folder: make_study(folder, stages=[]), NOT_ASKED)


@pytest.fixture(scope="session")
def cut_in_part(reports: Reports) -> Written:
    """The full profile, one stage of which was shortened from the command line."""

    def make(folder: Path) -> Study:
        return make_study(
            folder,
            num_val=200,
            stages=["mlp-baseline", "mlp-capacity"],
            overrides=[Override("mlp-capacity", "train.epochs", 4)],
            diverging=["model_1_128"],
        )

    return reports("part", make, NO_LOOKS)


@pytest.fixture(scope="session")
def confirmed(reports: Reports) -> Written:
    """A grid, and the three best of it again."""
    spec = StudySpec.parse(
        {
            "name": "confirmed",
            "data": {"num_val": 2000},
            "model": {"family": "mlp"},
            "stages": [
                {
                    "name": "grid",
                    "title": "Which width?",
                    "grid": {"model.params.hidden": [[64], [72], [80], [96], [128]]},
                },
                {"name": "again", "title": "Again", "confirm": {"top": 3, "seeds": 2}},
            ],
        }
    )

    def make(folder: Path) -> Study:
        return make_study(folder, spec=spec, num_val=2000)

    return reports("confirmed", make, NOT_ASKED)


@pytest.fixture(scope="session")
def hostile(reports: Reports) -> Written:
    """Names that would be code if nobody escaped them, and no published figures."""
    spec = StudySpec.parse(
        {
            "name": "hostile",
            "title": f"Title {HOSTILE}",
            "data": {"num_val": 200},
            "train": {"epochs": 3},
            "stages": [
                {
                    "name": "only",
                    "title": f"Stage {HOSTILE} | a",
                    "about": f"About {HOSTILE}.",
                    "model": {"family": "mlp"},
                    "points": [
                        {"label": f"{HOSTILE} | one", "model.params.hidden": [8]},
                        {"label": "`two` & \"'", "model.params.hidden": [4]},
                    ],
                }
            ],
        }
    )
    names = [HOSTILE, "a | b", "&amp;", "`tick`", "x" * 60, "\" onload='x'", "6", "7", "8", "9"]

    def make(folder: Path) -> Study:
        return make_study(folder, spec=spec, num_val=200, class_names=names)

    return reports("hostile", make, NOT_ASKED)


@pytest.fixture(scope="session")
def every(
    quick: Written, full: Written, empty: Written, cut_in_part: Written, hostile: Written
) -> dict[str, Written]:
    """All of them by name."""
    return {
        "quick": quick,
        "full": full,
        "empty": empty,
        "cut_in_part": cut_in_part,
        "hostile": hostile,
    }


@pytest.fixture(scope="session")
def reference() -> StudySpec:
    """The study file that all but `hostile` are of."""
    return read_study(Path(STUDY_FILE))[0]
