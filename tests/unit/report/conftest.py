"""Reports of invented studies, written once for all tests that read them."""

from __future__ import annotations

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
        path = report.write(study, tally)
        markdown = path.with_suffix(".md").read_text("utf-8")
        return cls(study, Page(path.read_text("utf-8")), markdown, tally)


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The reference study in its quick profile, finished; the test set was never opened."""
    return Written.of(make_study(tmp_path_factory.mktemp("quick"), profile="quick", num_val=200))


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """All but its grids in the full profile; the test set was opened once."""
    folder = tmp_path_factory.mktemp("full")
    stages = ["mlp-baseline", "mlp-capacity", "mlp-rates", "mlp-final", "cnn-depth", "cnn-final"]
    study = make_study(folder, profile="full", num_val=200, stages=stages)
    make_look(study, ["mlp-final", "cnn-final"], looks=3)
    return Written.of(study, Tally(looks=4, comparisons=1, head="b" * 64, num_entries=9))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Nothing was run yet."""
    return Written.of(make_study(tmp_path_factory.mktemp("empty"), stages=[]))


@pytest.fixture(scope="session")
def cut_in_part(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The full profile, one stage of which was shortened from the command line."""
    study = make_study(
        tmp_path_factory.mktemp("part"),
        num_val=200,
        stages=["mlp-baseline", "mlp-capacity"],
        overrides=[Override("mlp-capacity", "train.epochs", 4)],
        diverging=["model_1_128"],
    )
    return Written.of(study, NO_LOOKS)


@pytest.fixture(scope="session")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Written:
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
    return Written.of(make_study(tmp_path_factory.mktemp("confirmed"), spec=spec, num_val=2000))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Written:
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
    folder = tmp_path_factory.mktemp("hostile")
    return Written.of(make_study(folder, spec=spec, num_val=200, class_names=names))


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
