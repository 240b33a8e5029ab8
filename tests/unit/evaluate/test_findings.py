"""What each check sees, and what it lets pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modiste.evaluate.finding import RunFacts, facts, findings
from modiste.evaluate.miscalibration import calibration
from modiste.runs.run import Run, write_run
from modiste.train.task import Task
from modiste.train.work import Worker
from tests import small


def run(
    val: Sequence[float],
    train: Sequence[float] | None = None,
    *,
    limit: int = 300,
    status: str = "finished",
    reason: str = "early stopping: no better val_loss for 20 epochs",
) -> RunFacts:
    train = train or [1.0 / epoch for epoch in range(1, len(val) + 1)]
    history = [
        {"epoch": epoch, "train_loss": t, "val_loss": v}
        for epoch, (t, v) in enumerate(zip(train, val, strict=True), start=1)
    ]
    return RunFacts(status, reason, history, limit)


def codes(facts: RunFacts) -> list[str]:
    return [finding.code for finding in findings(facts)]


FALLS = [0.5, 0.4, 0.35, 0.33]
STAYS = [*FALLS, *[0.34] * 20]


def test_a_run_that_stopped_by_itself_near_its_best_draws_no_remark() -> None:
    assert codes(run(STAYS)) == []


def test_a_rising_validation_loss_under_a_falling_training_loss_is_overfitting() -> None:
    found = findings(run([*FALLS, 0.34, 0.36, 0.38, 0.40]))
    assert [finding.code for finding in found] == ["M001"]
    assert "0.3300 at epoch 4" in found[0].text
    assert "0.3800" in found[0].text  # mean of the last three


def test_a_rise_of_a_twentieth_or_less_is_none() -> None:
    assert codes(run([*FALLS, *[0.33 * 1.05] * 5])) == []


def test_one_epoch_that_jumps_is_no_overfitting() -> None:
    assert codes(run([*FALLS, 0.33, 0.33, 0.33, 0.37])) == []


def test_when_training_loss_rises_too_it_is_no_overfitting() -> None:
    train = [0.5, 0.4, 0.3, 0.2, 0.3, 0.4, 0.5]
    assert codes(run([*FALLS, 0.4, 0.5, 0.6], train)) == []


def test_a_loss_that_falls_until_the_limit_did_not_converge() -> None:
    facts = run(FALLS, limit=4, reason="epoch limit of 4")
    assert codes(facts) == ["M002", "M003"]


def test_a_limit_reached_long_after_the_best_epoch_is_only_a_limit() -> None:
    assert codes(run(STAYS, limit=len(STAYS), reason="epoch limit of 24")) == ["M003"]


def test_a_limit_that_a_schedule_was_planned_for_is_no_cut() -> None:
    facts = replace(run(FALLS, limit=4, reason="epoch limit of 4"), ends_at_limit=True)
    assert codes(facts) == []
    planned = small.run_spec({"train.schedule": "one_cycle"}).train.schedule
    assert planned.ends_at_limit
    assert not small.run_spec().train.schedule.ends_at_limit


def test_a_stop_in_the_last_epoch_allowed_is_a_stop() -> None:
    assert codes(run(STAYS, limit=len(STAYS))) == []


@pytest.mark.parametrize(
    ("status", "code"), [("diverged", "M004"), ("out_of_memory", "M005"), ("failed", "M006")]
)
def test_a_run_that_broke_is_named_with_its_reason(status: str, code: str) -> None:
    found = findings(run([0.5], status=status, reason="what happened"))
    assert [finding.code for finding in found] == [code]
    assert found[0].text == "what happened"


def test_a_run_that_broke_in_its_first_epoch_has_no_history() -> None:
    assert codes(run([], status="diverged")) == ["M004"]


def test_a_model_without_epochs_draws_a_remark_only_if_its_solver_says_so() -> None:
    assert codes(run([], reason="fitted in one go")) == []
    found = findings(run([], reason="fitted in one go; lbfgs failed to converge after 1 iteration"))
    assert [finding.code for finding in found] == ["M002"]
    assert "failed to converge" in found[0].text


def test_planted_pride_is_remarked_and_a_calibrated_model_is_not() -> None:
    chance = np.random.default_rng(0)
    sure = chance.uniform(0.5, 1, 5_000)
    honest = calibration(sure, chance.random(5_000) < sure)
    proud = calibration(sure, chance.random(5_000) < sure - 0.05)
    shy = calibration(sure - 0.1, chance.random(5_000) < sure)
    assert codes(replace(run(STAYS), calibration=honest)) == []
    found = findings(replace(run(STAYS), calibration=proud))
    assert [finding.code for finding in found] == ["M015"]
    assert found[0].text.startswith(f"too sure by {100 * proud.pride:.1f} points in the mean")
    assert f"calibration error {100 * proud.error:.1f} points" in found[0].text
    assert findings(replace(run(STAYS), calibration=shy))[0].text.startswith("too unsure by")


@pytest.mark.parametrize(("momentum", "is_remarked"), [(0.99, True), (0.9, False)])
def test_batch_norm_that_has_hardly_begun_is_remarked(
    momentum: float, is_remarked: bool, tmp_path: Path
) -> None:
    spec = small.run_spec(
        {
            "model": {
                "family": "cnn",
                "params": {"filters": [2], "batch_norm_momentum": momentum},
            },
            "train.epochs": 20,
            "train.batch_size": 30,
        }
    )
    data = small.data()
    worker = Worker(lambda _: data)
    made = worker.work(Task(spec, spec.fingerprint(data.digest), None, math.inf)).record
    assert made is not None
    write_run(made, tmp_path / "run")
    found = facts(Run(tmp_path / "run"))
    updates = made.metrics["updates"]
    assert updates == 20 * -(-len(data.train) // 30)
    assert found.batch_norm_lag == pytest.approx(momentum**updates)
    assert ("M016" in codes(found)) == is_remarked
    without = replace(found, batch_norm_lag=0.0)
    assert "M016" not in codes(without)
