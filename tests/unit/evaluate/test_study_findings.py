"""What each check of a table's rows sees, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from modiste.evaluate.study_finding import (
    Chosen,
    Entry,
    Leaks,
    Opened,
    Space,
    StudyFacts,
    study_findings,
)


def entry(label: str, figure: float, settings: dict[str, Any] | None = None, **more: Any) -> Entry:
    given: dict[str, Any] = {"seeds": 3, "total": 10_000, **more}
    return Entry(label, settings or {}, figure, **given)


def texts(entries: list[Entry], **more: Any) -> dict[str, str]:
    return {f.code: f.text for f in study_findings(StudyFacts(entries, **more))}


def test_a_clear_winner_of_several_seeds_draws_no_remark() -> None:
    rows = [
        entry("a", 0.93, {"rate": 2}),
        entry("b", 0.90, {"rate": 1}),
        entry("c", 0.8, {"rate": 3}),
    ]
    assert texts(rows) == {}
    assert texts([]) == {}


def test_rows_that_were_trained_once_are_said_to_be() -> None:
    once = [entry("a", 0.93, seeds=1), entry("b", 0.90, seeds=1)]
    assert texts(once) == {"M007": "each of the 2 rows was trained once"}
    assert texts(once[:1]) == {"M007": "a was trained once"}
    mixed = [once[0], entry("b", 0.90, seeds=3)]
    assert texts(mixed) == {"M007": "1 of the 2 rows were trained once, the first among them"}


def test_one_seed_draws_no_remark_where_the_choice_is_confirmed_or_nothing_is_known() -> None:
    assert texts([entry("a", 0.93, seeds=1)], is_confirmed=True) == {}
    assert texts([entry("a", 0.93, seeds=None)]) == {}
    # The first row is what a reader takes home; it was trained three times.
    assert texts([entry("a", 0.93), entry("b", 0.90, seeds=1)]) == {}


def test_a_lead_below_its_standard_error_is_said_to_be_noise() -> None:
    # One standard error of two accuracies of 0.9 on 10,000 images is 0.42 points.
    near = [entry("a", 0.9030), entry("b", 0.9000)]
    assert texts(near)["M008"] == (
        "a leads b by 0.30 points of validation accuracy; one standard error of that difference "
        "is 0.42 points (images)"
    )
    both = texts(near, lead_covers="images and seeds")["M008"]
    assert both.endswith("is 0.42 points (images and seeds)")
    level = [entry("a", 0.9), entry("b", 0.9)]
    assert texts(level)["M008"].startswith("a and b have the same validation accuracy;")
    assert texts([entry("a", 0.9050), entry("b", 0.9000)]) == {}


def test_rows_that_are_level_without_any_error_are_no_lead_either() -> None:
    level = [entry("a", 0.9, total=100), entry("b", 0.9, total=100, lead_error=0.0)]
    assert texts(level)["M008"] == "a and b have the same validation accuracy"
    # A lead with no error at all is one.
    assert texts([entry("a", 1.0), entry("b", 0.9, lead_error=0.0)]) == {}


def test_rows_without_an_error_on_a_hundred_images_are_not_certain_to_be_so() -> None:
    level = [entry("a", 1.0, total=100), entry("b", 1.0, total=100)]
    assert texts(level)["M008"] == (
        "a and b have the same validation accuracy; one standard error of that difference is 0.71 "
        "points (images)"
    )


def test_a_paired_error_counts_before_that_of_two_samples() -> None:
    assert texts([entry("a", 0.9030), entry("b", 0.9000, lead_error=0.0010)]) == {}
    assert "M008" in texts([entry("a", 0.9050), entry("b", 0.9000, lead_error=0.0100)])


def test_a_lead_is_not_judged_where_no_number_of_images_is_known() -> None:
    assert texts([entry("a", 0.9030, total=None), entry("b", 0.9000, total=None)]) == {}


def rows(*values: Any) -> list[Entry]:
    """The first value is the best."""
    return [entry(str(v), 0.9 - 0.05 * i, {"key": v}) for i, v in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((3, 1, 2), "key 3 is the largest of 3 values"),
        ((0.1, 0.2, 0.3), "key 0.1 is the least of 3 values"),
        (([768], [512], [256]), "key 768 is the largest of 3 values"),
        ((2, 1, 3), None),
        ((3, 1, 3, 1), None),  # of two values one is always the larger
        ((0, 1, 2), None),  # it can go no lower
        ((True, False, True), None),
        (("c", "a", "b"), None),
        (([512, 256], [256, 128], [128, 64]), None),
    ],
)
def test_a_best_value_at_the_border_of_those_tried_is_named(values: Any, said: str | None) -> None:
    assert texts(rows(*values)).get("M009") == said


@pytest.mark.parametrize("key", ["seed", "set.seed", "threads", "data.split_seed", "data.fold"])
def test_a_seed_or_a_number_of_threads_has_no_border(key: str) -> None:
    tried = [entry(str(n), 0.9 - 0.05 * n, {key: 3 - n, "rate": 3 - n}) for n in range(3)]
    said = "rate 3 is the largest of 3 values"
    assert texts(tried)["M009"] == said
    assert texts(tried, space={key: Space(low=0, high=3)})["M009"] == said


@pytest.mark.parametrize(
    ("value", "space", "said"),
    [
        (0.096, Space(low=0.001, high=0.1), "upper end of 0.001 to 0.1"),
        (0.08, Space(low=0.001, high=0.1), None),
        (0.08, Space(low=0.001, high=0.1, log=True), "upper end of 0.001 to 0.1, on a logarithmic"),
        (0.0011, Space(low=0.001, high=0.1, log=True), "lower end of 0.001 to 0.1"),
        (0.0, Space(low=0.0, high=0.5), None),
        (0.49, Space(low=0.0, high=0.5), "upper end of 0 to 0.5"),
        (1.0, Space(low=1.0, high=1.0), None),
        (16, Space(values=(4, 8, 16)), "key 16 is the largest of 3 values"),
        # All that was tried lies at the border, but more was allowed.
        (16, Space(values=(4, 8, 16, 32)), None),
    ],
)
def test_a_range_that_is_known_counts_before_what_was_tried(
    value: float, space: Space, said: str | None
) -> None:
    found = texts(rows(value, 1e-9), space={"key": space}).get("M009", "")
    assert (said in found) if said else found == ""


def test_several_keys_at_a_border_are_named_together() -> None:
    both = [entry(str(i), 0.9 - 0.1 * i, {"a": 3 - i, "b": i + 1}) for i in range(3)]
    assert texts(both)["M009"] == "a 3 is the largest of 3 values; b 1 is the least of 3 values"


def test_numbers_of_a_part_are_compared_among_parts_of_its_name() -> None:
    def optimizer(name: str, rate: float) -> dict[str, Any]:
        return {"train.optimizer": {"name": name, "learning_rate": rate}}

    sgd = [optimizer("sgd", rate) for rate in (0.3, 0.1, 0.03)]
    found = [entry(str(i), 0.9 - 0.1 * i, each) for i, each in enumerate(sgd)]
    said = "train.optimizer sgd learning_rate 0.3 is the largest of 3 values"
    assert texts(found)["M009"] == said
    adam = [entry(str(rate), 0.2, optimizer("adam", rate)) for rate in (1.0, 0.001)]
    assert texts([*found, *adam])["M009"] == said
    assert "M009" not in texts([found[0], *adam])


def test_a_figure_that_chose_its_own_epoch_is_named() -> None:
    assert "val_acc of the epoch" in texts(rows(1, 2), epoch="best", figure="val_acc")["M010"]
    assert "M010" not in texts(rows(1, 2), epoch="last")


@pytest.mark.parametrize("figure", ["test_accuracy", "accuracy_test", "Test accuracy", "acc-test"])
def test_a_choice_by_test_images_is_told_by_its_name(figure: str) -> None:
    assert "measured on test images" in texts(rows(1, 2), figure=figure)["M011"]


@pytest.mark.parametrize("figure", ["latest_accuracy", "val_contest", "accuracy", "tested"])
def test_words_that_only_hold_the_letters_are_no_test_set(figure: str) -> None:
    assert "M011" not in texts(rows(1, 2), figure=figure)


def test_a_test_set_is_also_told_by_a_person_or_by_a_figure_beside() -> None:
    assert "M011" in texts(rows(1, 2), scored_on="test")
    found = texts(rows(1, 2), also=["loss", "test_acc"])["M011"]
    assert found == "2 rows carry test_acc, so the test set was asked before a choice"


def test_folds_of_one_training_are_named() -> None:
    found = texts(rows(1, 2), refolded=["eval_f1score_mean"])["M012"]
    assert found.startswith("eval_f1score_mean: one trained model")


def test_rows_that_were_trained_after_a_look_at_the_test_set_are_counted() -> None:
    rows = [entry("a", 0.93), entry("b", 0.90)]
    opened = Opened("2026-01-02T03:04:05+00:00", "mlp-final", 1)
    assert texts(rows, opened=opened) == {
        "M011": "1 of 2 rows were trained after the test set had been opened for mlp-final "
        "(2026-01-02T03:04:05+00:00), so its figures were known when these rows were chosen between"
    }
    assert texts(rows[:1], opened=opened) == {}  # nothing to choose between


@pytest.mark.parametrize(
    ("num_after", "begins"),
    [(0, "some rows may have been trained after"), (1, "1 of 2 rows were trained after")],
)
def test_rows_whose_records_have_no_date_are_not_taken_for_early_ones(
    num_after: int, begins: str
) -> None:
    rows = [entry("a", 0.93), entry("b", 0.90)]
    opened = Opened("2026-01-02T03:04:05+00:00", "mlp-final", num_after, 1)
    found = texts(rows, opened=opened)["M011"]
    assert found.startswith(begins)
    assert found.endswith("of 1 the record does not say when it ended")


def test_a_choice_that_fresh_seeds_put_behind_another_is_overtuned_only_beyond_chance() -> None:
    behind = Chosen("a", 0.92, 0.91, "b", 0.004, may_be_best=False)
    assert texts([], chosen=behind) == {
        "M013": "a stood first in the search with 0.9200; on fresh seeds it has 0.9100, 0.40 "
        "points behind b, which is more than chance explains"
    }
    assert texts([], chosen=Chosen("a", 0.92, 0.91, "b", 0.004, may_be_best=True)) == {}
    assert texts([], chosen=Chosen("a", 0.92, 0.91, "a", 0.0, may_be_best=True)) == {}


def test_a_leak_is_named_with_what_it_is_worth_where_that_is_known() -> None:
    assert texts([], leaks=Leaks(0, 100, "an exact")) == {}
    assert texts([], leaks=Leaks(1, 200, "an exact"))["M014"] == (
        "1 of 200 validation image has an exact duplicate among the training images (0.50 %)"
    )
    known = Leaks(76, 12_000, "an exact, mirrored or near", 0.0005)
    assert texts([], leaks=known)["M014"] == (
        "76 of 12,000 validation images have an exact, mirrored or near duplicate among the "
        "training images (0.63 %); without them no accuracy moves by more than 0.05 points"
    )
