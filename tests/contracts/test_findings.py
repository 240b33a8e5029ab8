"""What every finding promises. A new one is tested here unasked."""

from __future__ import annotations

import re

import pytest

from modiste.evaluate.finding import FINDINGS, RunFacts

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


@pytest.mark.parametrize("code", FINDINGS.names())
def test_it_is_filed_under_its_code(code: str) -> None:
    assert FINDINGS.get(code).code == code
    assert re.fullmatch(r"M\d{3}", code)


@pytest.mark.parametrize("code", FINDINGS.names())
def test_it_says_what_it_means_and_what_to_do(code: str) -> None:
    check = FINDINGS.get(code)
    assert check.title == check.title.lower()
    assert check.about.endswith(".")
    assert check.advice.endswith(".")


@pytest.mark.parametrize("code", FINDINGS.names())
def test_it_is_silent_about_a_run_without_trouble(code: str) -> None:
    assert FINDINGS.get(code).look(QUIET) == ""


@pytest.mark.parametrize("status", ["finished", "diverged", "out_of_memory", "failed"])
@pytest.mark.parametrize("code", FINDINGS.names())
def test_it_can_look_at_a_run_without_any_epoch(code: str, status: str) -> None:
    assert isinstance(FINDINGS.get(code).look(RunFacts(status, "", [], 5)), str)
