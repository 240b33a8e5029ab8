"""What the report says of models that are fitted in one go: no epochs, no false losses."""

from __future__ import annotations

import pytest

from tests.report_fixture import NO_LOOKS, make_look, make_study
from tests.unit.report.conftest import Written


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What needs no network, a linear baseline and a CNN; the test set was opened for the first."""
    folder = tmp_path_factory.mktemp("both")
    stages = ["no-network", "mlp-baseline", "cnn-depth"]
    study = make_study(folder, num_val=200, stages=stages)
    make_look(study, ["no-network"])
    return Written.of(study, NO_LOOKS)


def test_its_table_has_a_row_for_each_model_and_no_column_for_epochs(both: Written) -> None:
    heads = [th.text for th in both.page.by_id("table-no-network").all("th")]
    assert "loss" in heads
    assert "accuracy" in heads
    assert not {"epochs", "final rate", "training, last epoch"} & set(heads)
    names = {row[0].split(" ≈")[0] for row in both.page.table("table-no-network")}
    assert names == {row.label for row in both.study.stage("no-network").rows}
    assert len(names) == 5


def test_a_loss_stands_only_where_scores_are_probabilities(both: Written) -> None:
    losses = {row[0].split(" ≈")[0]: row[2] for row in both.page.table("table-no-network")}
    assert losses["logistic regression"] == "0.4000"
    assert losses["HOG + RBF SVM"] == losses["k nearest neighbours"] == "–"


def test_whose_the_published_figure_is_stands_beside_it(both: Written) -> None:
    table = both.page.by_id("table-no-network").text
    assert "0.9260" in table
    assert "The figures published here have another source" in table
    assert "README of Fashion-MNIST" in table
    assert "README of Fashion-MNIST" in both.page.by_id("table-summary").text
    # And nowhere else: the other figures are the study's.
    assert "README of Fashion-MNIST" not in both.page.by_id("table-mlp-baseline").text


def test_it_has_no_curves_no_layers_and_no_epoch_in_its_words(both: Written) -> None:
    ids = [e.attributes["id"] for e in both.page.elements if "id" in e.attributes]
    assert "figure-cnn-depth" in ids
    assert "figure-no-network" not in ids
    assert "table-layers-no-network" not in ids
    text = both.markdown.split("What needs no network\n")[1].split("\n### ")[0]
    assert "At its last epoch" not in text
    assert "at the last epoch" not in text.split("| point")[0]
    assert "single seed" not in text


def test_the_answer_says_what_a_network_is_ahead_of(both: Written) -> None:
    lead = both.markdown.split("## In short")[1].split("**Table 1.**")[0]
    assert "without a network, " in lead
    assert lead.index("a CNN") < lead.index("without a network, ")


def test_a_look_at_the_test_set_stands_beside_the_published_test_figure(both: Written) -> None:
    rows = [row for row in both.page.table("table-test") if "RBF" in row[0]]
    assert len(rows) == 1
    assert "0.9260" in rows[0]


def test_time_per_epoch_counts_epochs_alone(both: Written) -> None:
    rows = {row[0]: row for row in both.page.table("table-time")}
    assert rows["What needs no network"][2:3] == ["–"]
    assert rows["What needs no network"][-1] == "–"


def test_training_keys_are_fixed_throughout_although_some_models_have_none(both: Written) -> None:
    keys = [row[0] for row in both.page.table("table-fixed")]
    assert "train.early_stopping.patience" in keys
    assert "Keys of train mean nothing" in both.page.by_id("table-fixed").text


def test_a_profile_that_cuts_epochs_does_not_cut_what_has_none(quick: Written) -> None:
    caption = quick.page.by_id("table-no-network").all("figcaption")[0].text
    assert "epochs" not in caption
    assert "4 of 5 points" in caption
