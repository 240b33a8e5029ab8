"""What every finding promises. A new one is tested here unasked."""

from __future__ import annotations

import re

import pytest

from modiste.evaluate.finding import FINDINGS, Check, RunFacts
from modiste.evaluate.study_finding import STUDY_FINDINGS, Entry, StudyCheck, StudyFacts

QUIET = RunFacts(
    "finished",
    "early stopping: no better val_loss for 3 epochs",
    [
        {"epoch": epoch, "train_loss": 0.5, "train_accuracy": 0.8, "val_loss": 0.5,
         "val_accuracy": 0.8, "learning_rate": 0.001, "seconds": 1.0}
        for epoch in range(1, 5)
    ],
    300,
)  # fmt: skip


CALM = StudyFacts(
    [
        Entry("a", {"rate": 0.2}, 0.93, seeds=3, total=10_000),
        Entry("b", {"rate": 0.1}, 0.90, seeds=3, total=10_000),
        Entry("c", {"rate": 0.3}, 0.87, seeds=3, total=10_000),
    ],
    epoch="last",
)
BARE = Entry("a", {}, 0.0, seeds=None, total=None)

ALL: dict[str, Check | StudyCheck] = {
    **{code: FINDINGS.get(code) for code in FINDINGS.names()},
    **{code: STUDY_FINDINGS.get(code) for code in STUDY_FINDINGS.names()},
}


def test_the_codes_of_both_kinds_are_one_series_without_a_gap() -> None:
    assert len(ALL) == len(FINDINGS.names()) + len(STUDY_FINDINGS.names())
    assert sorted(ALL) == [f"M{number:03}" for number in range(1, len(ALL) + 1)]


@pytest.mark.parametrize("code", ALL)
def test_it_is_filed_under_its_code(code: str) -> None:
    assert ALL[code].code == code
    assert re.fullmatch(r"M\d{3}", code)


@pytest.mark.parametrize("code", ALL)
def test_it_says_what_it_means_why_it_matters_and_what_to_do(code: str) -> None:
    check = ALL[code]
    assert check.title == check.title.lower()
    for text in (check.about, check.why, check.advice):
        assert text.endswith(".")
        assert "  " not in text


@pytest.mark.parametrize("code", STUDY_FINDINGS.names())
def test_it_is_silent_about_a_table_without_trouble(code: str) -> None:
    assert STUDY_FINDINGS.get(code).look(CALM) == ""


@pytest.mark.parametrize("code", STUDY_FINDINGS.names())
def test_it_can_look_at_a_table_without_rows_or_of_which_little_is_known(code: str) -> None:
    check = STUDY_FINDINGS.get(code)
    assert check.look(StudyFacts([])) == ""
    assert check.look(StudyFacts([BARE, BARE], scored_on=None)) == ""


@pytest.mark.parametrize("code", FINDINGS.names())
def test_it_is_silent_about_a_run_without_trouble(code: str) -> None:
    assert FINDINGS.get(code).look(QUIET) == ""


@pytest.mark.parametrize("status", ["finished", "diverged", "out_of_memory", "failed"])
@pytest.mark.parametrize("code", FINDINGS.names())
def test_it_can_look_at_a_run_without_any_epoch(code: str, status: str) -> None:
    assert isinstance(FINDINGS.get(code).look(RunFacts(status, "", [], 5)), str)
