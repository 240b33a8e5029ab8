"""A plan is a function of the runs and of what was measured; here both are invented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modiste.search import plan
from modiste.search.kinds import Kind, Pace, kind_of
from modiste.search.plan import (
    Epochs,
    Time,
    disk_of,
    expected_epochs,
    forecast,
    paces_of_finished,
    time_of,
    until_the_end,
)
from modiste.search.survey import AskedStage, Done, PlannedRun, Survey
from tests import small

STOPPING = {"train.early_stopping": {"patience": 2}, "train.epochs": 100}
NUM_TRAIN, NUM_VAL = 90, 30


def trial(name: str, stage: str = "one", done: Done | None = None, **more: Any) -> PlannedRun:
    settings = {**STOPPING, **more.pop("settings", {})}
    spec = small.run_spec(settings, seed=more.pop("seed", 0), threads=more.pop("threads", 1))
    kind = kind_of(spec, (1, 28, 28), 10)
    return PlannedRun(stage, spec, name, NUM_TRAIN, NUM_VAL, 10, kind, done=done, **more)


def done(epochs: int = 10, seconds: float = 100.0, **more: Any) -> Done:
    given = {"is_good": True, "is_from_here": True, "kept_bytes": 0, "weights_bytes": 0}
    return Done(epochs, seconds, **{**given, **more})


def surveyed(*trials: PlannedRun, parts: list[AskedStage] | None = None) -> Survey:
    by_name = {t.fingerprint: t for t in trials}
    stages = dict.fromkeys(t.stage for t in trials)
    found = parts or [
        AskedStage(stage, tuple((t.fingerprint,) for t in trials if t.stage == stage))
        for stage in stages
    ]
    return Survey(tuple(found), by_name)


def kind_in(one: PlannedRun) -> Kind:
    assert one.kind is not None
    return one.kind


# --- epochs ---------------------------------------------------------------------------------------


def epochs_of(first: PlannedRun, *others: PlannedRun) -> Epochs:
    return expected_epochs([first, *others])["a"]


SGD = {"train.optimizer": {"name": "sgd", "learning_rate": 0.1}}


def test_without_early_stopping_a_run_goes_to_its_limit() -> None:
    one = trial("a", settings={"train.early_stopping": None})
    assert epochs_of(one, trial("b", done=done(7))) == (100, "limit")


def test_with_nothing_like_it_a_run_goes_to_its_limit() -> None:
    assert epochs_of(trial("a"), trial("b", settings=small.CNN)) == (100, "limit")


def test_the_same_run_on_another_seed_tells_most() -> None:
    others = trial("b", done=done(20), seed=1), trial("c", done=done(24), seed=2)
    near = trial("d", done=done(90), settings={"model.params.hidden": [13]})
    assert epochs_of(trial("a"), *others, near) == (22, "finished")


def test_a_published_figure_of_the_run_itself_counts_before_others_of_the_stage() -> None:
    near = trial("b", done=done(90), settings={"model.params.hidden": [13]})
    assert epochs_of(trial("a", published_epochs=45), near) == (45, "published")


def test_finished_runs_of_the_stage_count_before_published_ones() -> None:
    near = trial("b", done=done(30), settings={"model.params.hidden": [13]})
    far = trial("c", published_epochs=60, settings={"model.params.hidden": [14]})
    assert epochs_of(trial("a"), near, far) == (30, "finished")


def test_runs_with_the_same_optimizer_count_before_others() -> None:
    adam = trial("b", done=done(30), settings={"model.params.hidden": [13]})
    sgd = trial("c", done=done(80), settings={"model.params.hidden": [13], **SGD})
    assert epochs_of(trial("a", settings=SGD), adam, sgd) == (80, "finished")
    # In another stage as well, and only then any optimizer.
    moved = replace(sgd, stage="two")
    assert epochs_of(trial("a", settings=SGD), adam, moved) == (80, "finished")
    assert epochs_of(trial("a", settings=SGD), adam) == (30, "finished")


def test_nothing_takes_more_than_its_limit() -> None:
    short = {"train.epochs": 15}
    assert epochs_of(trial("a", published_epochs=45, settings=short)) == (15, "limit")
    assert epochs_of(trial("a", settings=short), trial("b", done=done(40))) == (15, "limit")


def test_a_run_that_was_cut_at_a_lower_limit_tells_nothing() -> None:
    cut = trial("b", done=done(8), settings={"train.epochs": 8})
    assert epochs_of(trial("a"), cut) == (100, "limit")
    assert epochs_of(trial("a"), cut, trial("c", seed=1, published_epochs=45)) == (45, "published")
    early = trial("b", done=done(6), settings={"train.epochs": 8})
    assert epochs_of(trial("a"), early) == (6, "finished")


def test_a_run_that_diverged_tells_nothing() -> None:
    assert epochs_of(trial("a"), trial("b", done=done(2, is_good=False))) == (100, "limit")


# --- the time of one run --------------------------------------------------------------------------


def test_a_run_takes_its_updates_its_validation_and_two_inferences_at_the_end() -> None:
    one = trial("a")  # 90 images in batches of 25: four updates
    time = time_of(one, 10, {kind_in(one): Pace(2.0, 0.1)}, [])
    epoch = 4 * 2.0 + 30 * 0.1
    assert time == pytest.approx((10 * epoch + 2 * 120 * 0.1, 100 * epoch + 2 * 120 * 0.1))


def test_a_limit_of_time_is_passed_by_one_epoch_at_most() -> None:
    one = trial("a", settings={"train.max_seconds": 25.0})
    epoch, end = 4 * 2.0 + 30 * 0.1, 2 * 120 * 0.1
    paces = {kind_in(one): Pace(2.0, 0.1)}
    assert time_of(one, 2, paces, []) == pytest.approx((2 * epoch + end, 25.0 + epoch + end))
    assert time_of(one, 10, paces, []) == pytest.approx((25.0 + epoch + end,) * 2)


def test_of_a_kind_of_which_nothing_is_known_nothing_is_told() -> None:
    assert time_of(trial("a"), 10, {}, []) is None


def test_a_model_fitted_in_one_go_takes_as_long_as_others_of_its_family_did() -> None:
    one = replace(trial("a"), kind=None)
    assert time_of(one, 1, {}, [trial("c")]) is None
    others = [replace(trial(n, done=done(0, s)), kind=None) for n, s in (("b", 30.0), ("c", 50.0))]
    assert time_of(one, 1, {}, others) == Time(40.0, 50.0)


def test_finished_runs_tell_the_pace_better_than_a_probe() -> None:
    one, two = trial("a"), trial("b", seed=1, done=done(10, 100.0))
    # Four updates, and 30 images at a third of 25: 4.4 of ten seconds.
    pace = paces_of_finished([one, two])[kind_in(one)]
    assert pace.per_update == pytest.approx(10 / 4.4)
    found = forecast(surveyed(one, two), {kind_in(one): Pace(1000.0, 1000.0)}, 1)
    assert found.pace_from == {"finished": 1}
    # Ten epochs of ten seconds, and the inference at the end.
    assert found.seconds == pytest.approx(100 + 240 * pace.per_image_inferred)


def test_runs_from_another_machine_tell_no_pace() -> None:
    assert paces_of_finished([trial("b", done=done(is_from_here=False))]) == {}
    assert paces_of_finished([trial("b", done=done(epochs=0, seconds=0.0))]) == {}


# --- workers --------------------------------------------------------------------------------------


def sized(name: str, units: int, stage: str = "one", **more: Any) -> PlannedRun:
    """A run whose place in the queue follows from its size."""
    return trial(name, stage, settings={"model.params.hidden": [units]}, **more)


def test_runs_are_packed_onto_the_workers_the_longest_first() -> None:
    trials = [sized("a", 2), sized("b", 9), sized("c", 5)]
    seconds = {"a": 2.0, "b": 9.0, "c": 5.0}
    survey = surveyed(*trials)
    assert until_the_end(survey, seconds, 1) == 16.0
    assert until_the_end(survey, seconds, 2) == 9.0  # 5 and 2 beside 9
    assert until_the_end(survey, seconds, 8) == 9.0  # the longest cannot be cut


def test_a_run_of_two_threads_takes_two_workers() -> None:
    trials = [sized("a", 9, threads=2), sized("b", 5), sized("c", 4)]
    seconds = {"a": 9.0, "b": 5.0, "c": 4.0}
    assert until_the_end(surveyed(*trials), seconds, 2) == 14.0
    assert until_the_end(surveyed(*trials), seconds, 3) == 9.0
    # With one worker it has both threads all the same, and nothing beside it.
    assert until_the_end(surveyed(*trials), seconds, 1) == 18.0


def test_one_that_does_not_fit_lets_none_pass() -> None:
    trials = [sized("a", 9), sized("b", 8, threads=2), sized("c", 1)]
    assert until_the_end(surveyed(*trials), {"a": 9.0, "b": 8.0, "c": 1.0}, 2) == 18.0


def test_a_stage_waits_for_those_that_it_needs() -> None:
    trials = [sized("a", 2), sized("b", 5), sized("c", 9, stage="two"), sized("d", 1, "three")]
    parts = [
        AskedStage("one", (("a",), ("b",))),
        AskedStage("two", (("c",),), needs=("one",)),
        AskedStage("three", (("d",),), needs=("not asked for",)),
    ]
    survey = surveyed(*trials, parts=parts)
    seconds = {"a": 2.0, "b": 5.0, "c": 9.0, "d": 1.0}
    assert until_the_end(survey, seconds, 4) == 14.0
    # Without c, and with nothing left of stage one.
    assert until_the_end(survey, {"d": 1.0}, 4) == 1.0
    assert until_the_end(survey, {}, 4) == 0.0


def test_a_shared_run_need_not_wait_for_the_stage_that_comes_later() -> None:
    parts = [AskedStage("one", (("a",), ("b",))), AskedStage("two", (("b", "c"),), needs=("one",))]
    survey = surveyed(sized("a", 4), sized("b", 3), sized("c", 9, "two"), parts=parts)
    assert until_the_end(survey, {"a": 4.0, "b": 3.0, "c": 9.0}, 2) == 13.0


# --- the whole ------------------------------------------------------------------------------------


def test_each_run_is_counted_once_in_the_first_stage_that_has_it() -> None:
    parts = [
        AskedStage("one", (("a",), ("b",))),
        AskedStage("two", (("b",), ("c",), ("c",)), is_guessed=True),
    ]
    trials = [sized("a", 2, done=done()), sized("b", 3), sized("c", 4, "two")]
    paces = {kind_in(t): Pace(1.0, 0.0) for t in trials}
    found = forecast(surveyed(*trials, parts=parts), paces, 2)
    one, two = found.stages
    assert (one.num_runs, one.num_finished, one.num_todo, one.shared) == (2, 1, 1, {})
    assert (two.num_runs, two.num_finished, two.num_todo, two.shared) == (1, 0, 1, {"one": 1})
    assert (one.is_guessed, two.is_guessed) == (False, True)
    # Ten epochs of four updates, as the finished one; and up to a hundred.
    assert (one.seconds, one.most_seconds) == (40.0, 400.0)
    assert (found.seconds, found.most_seconds) == (40.0, 400.0)
    assert found.epochs_from == {"finished": 2}
    assert found.pace_from == {"measured": 2}


def test_what_nobody_can_time_is_counted_and_named() -> None:
    trials = [sized("a", 2), replace(sized("b", 3), kind=None), trial("c", settings=small.CNN)]
    found = forecast(surveyed(*trials), {kind_in(trials[0]): Pace(1.0, 0.0)}, 2)
    assert found.stages[0].num_unknown == 2
    assert found.stages[0].num_todo == 3
    assert found.epochs_from == {"limit": 1}
    assert found.seconds == 400.0


def test_with_everything_finished_no_time_is_left() -> None:
    found = forecast(surveyed(trial("a", done=done())), {}, 2)
    assert (found.seconds, found.most_seconds) == (0.0, 0.0)
    assert found.pace_from == {}


# --- disk -----------------------------------------------------------------------------------------


def test_the_disk_holds_weights_of_the_best_and_logits_of_all() -> None:
    trials = [sized(name, units) for name, units in (("a", 2), ("b", 3), ("c", 4))]
    weights = [8 * kind_in(t).parameters for t in trials]
    part = AskedStage("one", (("a",), ("b",), ("c",)), keep_weights=1)
    found = disk_of(surveyed(*trials, parts=[part]), num_workers=2, arrays_bytes=1_000_000)
    logits = 3 * (2 * 4 * 10 * NUM_VAL)
    files = 3 * (plan.RUN_BYTES + 100 * plan.EPOCH_BYTES) + plan.REPORT_BYTES
    rest = logits + files + 1_000_000 + plan.POSITION_BYTES * (NUM_TRAIN + NUM_VAL)
    assert found.now == 0
    assert found.end == rest + max(weights)
    # All weights at once, and two checkpoints of five vectors for each of the two largest.
    assert found.peak == rest + sum(weights) + 2 * 5 * (weights[1] + weights[2]) // 2


def test_what_is_finished_takes_what_it_takes() -> None:
    there = done(kept_bytes=7_000, weights_bytes=500)
    dropped = done(kept_bytes=8_000, weights_bytes=0)
    survey = surveyed(sized("a", 2, done=there), sized("b", 3, done=dropped))
    found = disk_of(survey, num_workers=2, arrays_bytes=0)
    fixed = plan.REPORT_BYTES + plan.POSITION_BYTES * (NUM_TRAIN + NUM_VAL)
    assert found.now == 15_500
    assert found.end == found.peak == 15_500 + fixed


def test_a_final_stage_has_its_model_besides() -> None:
    one = sized("a", 2)
    plain = disk_of(surveyed(one), 1, 0)
    final = disk_of(surveyed(one, parts=[AskedStage("one", (("a",),), is_final=True)]), 1, 0)
    assert final.end - plain.end == 4 * kind_in(one).parameters
