"""A plan fits the set and the time: a smaller one where there is less of it."""

from __future__ import annotations

import pytest

from modiste.search.draft import (
    AMBITIONS,
    Facts,
    draft,
    enough_epochs,
    most_ambitious,
    study_values,
)
from modiste.spec.parts import Estimator, ModelFamily
from modiste.spec.study import StudySpec, check


def facts(num: int = 1_000, side: int = 28, channels: int = 1) -> Facts:
    counts = [num // 10] * 10
    return Facts({"name": "idx", "num_val": num // 5}, (channels, side, side), counts, num // 5)


def num_runs(values) -> int:
    return sum(
        len(stage.get("points", [0])) * stage.get("repeats", 1) for stage in values["stages"][1:]
    )


def seconds(values) -> float:
    """A tenth of a second for an epoch of each run."""
    return 0.1 * values["train"]["epochs"] * num_runs(values)


@pytest.mark.parametrize("side", [8, 11, 16, 28, 32, 48, 64])
@pytest.mark.parametrize("num", [60, 1_000, 20_000, 60_000])
def test_every_plan_makes_sense_for_its_images(side, num):
    for ambition in AMBITIONS:
        values = study_values(facts(num, side), ambition, 20)
        study = StudySpec.parse({"name": "x", **values})
        points = check(study, ("quick",))
        for point in points:
            params = point.specs[0].model.params
            if isinstance(params, ModelFamily):
                assert params.layers((1, side, side), 10)
            else:
                assert isinstance(params, Estimator)
                params.check((1, side, side), 10)
        assert [stage.name for stage in study.stages if stage.is_final] == ["final"]


def test_batch_norm_follows_within_the_few_updates_of_a_small_set():
    values = study_values(facts(300, 28), AMBITIONS[-1], 20)
    updates = 20 * -(-240 // values["train"]["batch_size"])
    points = check(StudySpec.parse({"name": "x", **values}), ("quick",))
    params = [point.specs[0].model.params.to_dict() for point in points]
    momenta = [each["batch_norm_momentum"] for each in params if "batch_norm_momentum" in each]
    assert momenta
    assert all(momentum**updates < 0.01 for momentum in momenta)


def test_more_time_buys_more():
    plans = [draft(facts(), budget, seconds) for budget in (1, 60, 200, 2_000)]
    runs = [num_runs(plan.values) for plan in plans]
    assert runs == sorted(runs)
    assert runs[-1] > runs[0]
    assert [plan.fits for plan in plans] == [False, True, True, True]
    assert plans[-1].is_enough
    for plan in plans[1:]:
        assert plan.seconds == seconds(plan.values)


def test_too_little_time_shortens_the_smallest_plan_and_says_so():
    good = enough_epochs(facts())
    smallest = seconds(study_values(facts(), AMBITIONS[-1], good))
    plan = draft(facts(), smallest / 2, seconds)
    assert plan.fits
    assert not plan.is_enough
    assert plan.values["train"]["epochs"] == good // 2
    least = draft(facts(), 0.001, seconds)
    assert not least.fits
    assert least.values["train"]["epochs"] == round(good / 3)


@pytest.mark.parametrize(("num", "epochs"), [(100, 100), (6_000, 40), (60_000, 16)])
def test_large_sets_take_fewer_epochs(num, epochs):
    assert enough_epochs(facts(num)) == epochs


def test_mirrored_images_are_a_row_of_a_table_and_no_default():
    values = most_ambitious(facts())
    assert "augment" not in values["train"]
    augmentation = next(stage for stage in values["stages"] if stage["name"] == "augmentation")
    rows = {point["label"]: point["train.augment"] for point in augmentation["points"]}
    assert rows["as they are"] == []
    assert rows["mirrored"] == [{"name": "mirror"}]
    assert rows["shifted"] == [{"name": "shift", "pixels": 2}]


def test_what_would_take_hours_without_a_network_is_left_out():
    labels = {
        size: [p["label"] for p in most_ambitious(facts(*size))["stages"][0]["points"]]
        for size in ((1_000, 28), (60_000, 28, 3), (1_000, 4))
    }
    assert labels[1_000, 28] == ["majority class", "logistic regression", "HOG + RBF SVM"]
    assert labels[60_000, 28, 3] == ["majority class", "HOG + linear SVM"]
    assert labels[1_000, 4] == ["majority class", "logistic regression"]
