"""Results as tables: what a line says, and the forms that others read."""

from __future__ import annotations

import copy
import csv
import io
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from modiste.api.reading import compare_studies, show
from modiste.errors import InstallError, SpecError, StoreError
from modiste.evaluate.rank_agreement import rank_agreement
from modiste.runs.files import read_json
from modiste.search.study import Study
from modiste.search.table import Table
from modiste.search.timeline import Timeline, lanes, read
from modiste.search.versus import versus
from tests import small
from tests.driving import Script, drive, make

RATE = "train.optimizer.learning_rate"
VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 4, "batch_size": 30, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    stages=[
        {
            "name": "halved",
            "search": {
                "tune": {"model.params.hidden": [[4], [6], [8]], RATE: [0.01, 0.003]},
                "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
            },
        },
        {"name": "again", "confirm": {"top": 2, "seeds": 2}},
        {
            "name": "broken",
            "train": {"optimizer": {"name": "sgd"}},
            "points": [{"label": "too fast", "model.params.hidden": [6], RATE: 1e25}],
        },
    ],
)


@pytest.fixture
def study(tmp_path: Path, script: Script) -> Study:
    made = make(tmp_path / "study", VALUES)
    assert drive(made, slice_seconds=math.inf)
    return Study.open(made.folder)


# --- the leaderboard ------------------------------------------------------------------------------


def test_rows_stand_by_how_far_they_got_and_then_by_accuracy(study: Study) -> None:
    table = study.table("halved")
    assert [row["rank"] for row in table] == [1, 2, 3, 4, 5, 6]
    assert [row["status"] for row in table] == [
        "finished",
        *["cut after epoch 2"] * 2,
        *["cut after epoch 1"] * 3,
    ]
    for lines in (table[1:3], table[3:]):
        accuracies = [row["val_accuracy"] for row in lines]
        assert accuracies == sorted(accuracies, reverse=True)
    best = study.stages()[0].ranked("last")[0]
    first = table[0]
    assert first["val_accuracy"] == best.mean("last", "val", "accuracy")
    assert first["fingerprint"] == best.fingerprints[0]
    assert first["epochs"] == 4
    assert first["low"] < first["val_accuracy"] < first["high"]
    assert (first["parameters"], first["flops"]) == (
        best.runs[0].layers["parameters"]["total"],
        best.runs[0].layers["flops_forward"],
    )
    # Rows of another length are not compared with the first one.
    assert [row["may_be_best"] for row in table] == [True] + [False] * 5
    assert {key: first[key] for key in best.settings} == best.settings


def test_seeds_are_averaged_and_each_can_be_seen(study: Study) -> None:
    means, each = study.table("again"), study.table("again", each_seed=True)
    assert [row["seeds"] for row in means] == [2, 2]
    assert [row["seed"] for row in each] == [101, 102, 101, 102]
    for row in means:
        own = [line["val_accuracy"] for line in each if line["point"] == row["point"]]
        assert row["val_accuracy"] == pytest.approx(sum(own) / 2)
        assert row["deviation"] == pytest.approx(abs(own[0] - own[1]) / math.sqrt(2))
    assert {line["fingerprint"] for line in each} >= {row["fingerprint"] for row in means}


def test_what_broke_says_so_and_has_no_figures(study: Study) -> None:
    (row,) = study.table("broken")
    assert row["status"] == "diverged"
    assert row["val_accuracy"] is row["low"] is row["epochs"] is None
    with pytest.raises(SpecError, match="Did you mean 'halved'"):
        study.table("halvd")


def test_all_stages_stand_in_one_table_with_one_set_of_columns(study: Study) -> None:
    table = study.table()
    assert list(dict.fromkeys(row["stage"] for row in table)) == ["halved", "again", "broken"]
    assert all(list(row) == table.columns for row in table)


def test_a_search_with_several_goals_says_which_rows_no_other_one_beats(
    tmp_path: Path, script: Script
) -> None:
    search = {
        "tune": {"model.params.hidden": [[2], [4], [8], [16]], RATE: [0.003, 0.03]},
        "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
        "goals": ["accuracy", "parameters"],
    }
    one = {"name": "one", "points": [{"label": "a", "model.params.hidden": [6]}]}
    stages = [{"name": "front", "search": search}, one]
    made = make(tmp_path / "study", {**VALUES, "stages": stages})
    assert made.table("front").columns[:4] == ["stage", "rank", "may_be_best", "on_front"]
    assert "on_front" not in made.table("one").columns
    assert drive(made, slice_seconds=math.inf)
    table = made.table("front")
    whole = [row for row in table if row["status"] == "finished"]
    assert 1 < len(whole) < len(table)

    def beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
        mine = (one["val_accuracy"], -one["parameters"])
        theirs = (other["val_accuracy"], -other["parameters"])
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))

    for row in table:
        wanted = row in whole and not any(beats(other, row) for other in whole)
        assert row["on_front"] is wanted
    assert [row.get("on_front") for row in made.table()][-1] is None
    assert "on_front" not in made.table("front", each_seed=True).columns
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    assert [line["on_front"] == "True" for line in lines] == [row["on_front"] for row in table]
    stored = read_json(made.folder / "stages" / "front.json")
    assert stored["front"] == [row["point"] for row in table if row["on_front"]]
    assert stored["winner"] == stored["front"][0]
    assert "front" not in read_json(made.folder / "stages" / "one.json")


def test_what_is_not_finished_comes_last(tmp_path: Path, script: Script) -> None:
    made = make(tmp_path / "study", VALUES)
    drive(made, slice_seconds=math.inf, should_stop=lambda: len(script.tasks) > 3)
    table = made.table("halved")
    assert [row["rank"] for row in table][-1] is None
    assert table[-1]["status"] == "not finished"


# --- its forms ------------------------------------------------------------------------------------

AWKWARD = Table(
    [
        {"point": "a|b_c, 50 %", "val_accuracy": 0.91191666, "parameters": 610570, "note": None},
        {"point": 'say "x"', "val_accuracy": None, "parameters": 7, "note": True},
    ]
)


def test_csv_holds_numbers_in_full_and_reads_back() -> None:
    lines = list(csv.DictReader(io.StringIO(AWKWARD.csv())))
    assert lines[0]["point"] == "a|b_c, 50 %"
    assert float(lines[0]["val_accuracy"]) == 0.91191666
    assert lines[1]["val_accuracy"] == ""
    assert lines[1]["point"] == 'say "x"'


def test_markdown_and_latex_escape_what_would_break_them() -> None:
    markdown = AWKWARD.markdown().splitlines()
    assert markdown[1] == "| --- | ---: | ---: | --- |"
    assert markdown[2] == r"| a\|b_c, 50 % | 0.9119 | 610570 |  |"
    latex = AWKWARD.latex()
    assert r"a|b\_c, 50 \% & 0.9119 & 610570 &  \\" in latex
    assert latex.startswith("\\begin{tabular}{lrrl}\n\\toprule\npoint & val\\_accuracy")
    assert latex.endswith("\\bottomrule\n\\end{tabular}\n")


def test_a_table_without_rows_is_no_text_in_any_form() -> None:
    assert Table().csv() == Table().markdown() == Table().latex() == ""


def test_latex_is_given_signs_that_it_knows() -> None:
    rows = Table([{"point": "a ≈ 5 µm ± 1 °", "±": "3 × 4 ≤ 12 − x"}, {"point": "b – … —", "±": 1}])
    latex = rows.latex()
    assert r"a $\approx$ 5 $\mu$m $\pm$ 1 $^\circ$ & 3 $\times$ 4 $\leq$ 12 $-$ x \\" in latex
    assert r"b -- \dots{} --- & 1 \\" in latex
    assert latex.isascii()


def test_a_table_prints_short_and_stays_a_list() -> None:
    long = {"point": "c", "val_accuracy": 0.5, "fingerprint": "0123456789abcdef" * 4, "empty": None}
    lines = repr(Table([*AWKWARD, long])).splitlines()
    assert lines[0].split() == ["point", "val_accuracy", "parameters", "note", "fingerprint"]
    assert lines[2].split("  ")[0] == "a|b_c, 50 %"
    assert "0.9119" in lines[2]
    assert lines[4].split() == ["c", "0.5000", "0123456789abcdef"]
    assert isinstance(AWKWARD, list)
    assert AWKWARD[0]["val_accuracy"] == 0.91191666
    many = Table([{"point": "x", "rank": rank} for rank in range(70)])
    assert repr(many).splitlines()[-1] == "... and 10 more rows"
    assert copy.deepcopy(many) == many
    html = Table([{"point": "<b>", "loss": 0.25}])._repr_html_()
    assert "&lt;b&gt;" in html
    assert '<td style="text-align:right">0.2500</td>' in html
    assert repr(Table()) == "a table without rows"
    some = many[1:3]
    assert (type(some), some[0]["rank"], many[-1]["rank"]) == (Table, 1, 69)
    assert Table([], ["point"])[:1].columns == ["point"]
    assert "0 rows" in Table()._repr_html_()


@pytest.mark.parametrize("each_seed", [False, True])
def test_a_stage_without_rows_has_the_columns_of_one_that_has_some(
    tmp_path: Path, script: Script, *, each_seed: bool
) -> None:
    made = make(tmp_path / "study", small.STUDY)
    waiting = made.table("final", each_seed=each_seed)
    assert len(waiting) == 0
    assert waiting.to_frame().columns.tolist() == waiting.columns
    assert waiting.csv() == ""
    assert drive(made)
    names = made.table("final", each_seed=each_seed).columns
    assert [name for name in names if "." not in name] == waiting.columns


def test_a_table_is_json_as_it_is_and_a_data_frame_where_there_is_pandas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert json.loads(json.dumps(AWKWARD)) == AWKWARD
    monkeypatch.setitem(sys.modules, "pandas", None)
    for make_frame in (AWKWARD.to_frame, AWKWARD.to_pandas):
        with pytest.raises(InstallError, match="pip install pandas"):
            make_frame()


def test_a_leaderboard_is_a_data_frame_with_its_columns_and_values(study: Study) -> None:
    table = study.table()
    frame = table.to_frame()
    assert frame.columns.tolist() == table.columns
    assert frame["stage"].tolist() == [row["stage"] for row in table]
    known = [row["val_accuracy"] for row in table if row["val_accuracy"] is not None]
    assert frame["val_accuracy"].dropna().tolist() == known
    assert len(frame) == len(table)
    assert frame["val_accuracy"].dtype == float
    assert frame.equals(table.to_pandas())


# --- one run --------------------------------------------------------------------------------------


def test_a_run_is_shown_with_the_state_of_its_files(study: Study) -> None:
    row = study.stages()[0].ranked("last")[0]
    found = show(row.runs[0].folder)
    assert found["status"] == "finished"
    assert found["figures"]["last"]["val"]["accuracy"] == row.mean("last", "val", "accuracy")
    assert {file["state"] for file in found["files"].values()} == {"whole"}
    assert json.dumps(found)
    history = row.runs[0].folder / "history.csv"
    content = history.read_bytes()
    history.write_bytes(content[:-1] + b"7")
    with pytest.raises(StoreError, match=r"history\.csv"):
        show(row.runs[0].folder)
    history.write_bytes(content)
    (row.runs[0].folder / "model.safetensors").write_bytes(b"x")
    changed = show(row.runs[0].folder)["files"]["model.safetensors"]
    assert changed["state"] == "changed"
    assert "SHA-256" in changed["why"]


def test_a_beginning_is_shown_as_what_it_is(study: Study) -> None:
    found = show(study.stages()[0].lower[0].runs[0].folder)
    assert found["reason"] == "stopped after epoch 1 of 4 planned"
    assert found["spec"]["train"]["until"] == 1
    assert set(found["figures"]["last"]) == {"epoch", "val"}


# --- two studies ----------------------------------------------------------------------------------


def test_two_studies_are_put_side_by_side(study: Study, tmp_path: Path) -> None:
    other = make(tmp_path / "other", VALUES, seed=5)
    assert drive(other, slice_seconds=math.inf)
    found = compare_studies(study.folder, other.folder)
    assert found["differs"] == {"seed": [0, 5]}
    halved = found["stages"][0]
    assert halved["name"] == "halved"
    assert json.dumps(found)
    for stage in found["stages"]:
        for point in stage["points"]:
            one, two = point["val_accuracy"]
            assert point["difference"] == pytest.approx(one - two)
            assert point["low"] <= point["difference"] <= point["high"]
            assert point["same_runs"] == 0
    assert found["stages"][2]["points"] == []


def test_other_images_put_a_difference_in_doubt_though_seeds_are_known(
    study: Study, tmp_path: Path
) -> None:
    other = make(tmp_path / "other", {**VALUES, "data": {**VALUES["data"], "split_seed": 9}})
    assert drive(other, slice_seconds=math.inf)
    (again,) = [stage for stage in versus(study, other).stages if stage.name == "again"]
    assert again.pairs
    for found in (pair.contrast for pair in again.pairs):
        assert found.seed_error is not None
        assert found.image_error is not None
        # Of one run with 30 images on either side; several that hang together are surer. What an
        # image says on one seed alone is in the seeds' part; half an image of each side never is.
        most = [p * (1 - p) / 29 for p in (found.one, found.two)]
        assert found.image_error**2 + 1e-12 >= 2 * 0.5**2 / 30**2
        assert found.image_error**2 <= sum(most) + 1e-12
        assert 0.3 * sum(most) <= found.image_error**2 + found.seed_error**2


def test_a_study_beside_itself_is_the_same(study: Study) -> None:
    found = compare_studies(study.folder, study.folder)
    assert found["differs"] == {}
    (first, *_) = found["stages"][1]["points"]
    assert first["difference"] == 0
    assert first["low"] is None  # the same runs: there is nothing to doubt
    assert first["same_runs"] == 2


def test_rankings_that_agree_have_a_tau_of_one() -> None:
    figures = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    same, reverse = rank_agreement(figures, figures), rank_agreement(figures, figures[::-1])
    assert same is not None
    assert reverse is not None
    assert (same.tau, reverse.tau) == (1.0, -1.0)
    # In no resample does a pair disagree: that says nothing of other points.
    assert [same.low, same.high, reverse.low, reverse.high] == [None] * 4
    assert same.num_points == 7
    assert rank_agreement([0.1, 0.1], [0.1, 0.2]) is None
    few = rank_agreement([1, 2, 3], [1, 3, 2])
    assert few is not None
    assert few.low is None


# --- when it was worked on ------------------------------------------------------------------------


def test_every_sitting_is_written_down_and_a_torn_line_passed_over(study: Study) -> None:
    sittings = read(study.folder)
    runs = list((study.folder / "runs").iterdir())
    assert {sitting.run for sitting in sittings} == {path.name for path in runs}
    assert all(s.begun <= s.ended and s.ending == "finished" for s in sittings)
    path = study.folder / "timeline.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert len(read(study.folder)) == len(sittings) - 1
    Timeline(study.folder).end("unknown", "s", "p", 1, "finished")
    assert len(read(study.folder)) == len(sittings) - 1


def test_lanes_hold_one_sitting_at_a_time(study: Study) -> None:
    sittings = read(study.folder)
    by_lane: dict[int, list[Any]] = {}
    for sitting, lane in zip(sittings, lanes(sittings), strict=True):
        by_lane.setdefault(lane, []).append(sitting)
    for line in by_lane.values():
        line.sort(key=lambda s: s.begun)
        assert all(a.ended <= b.begun for a, b in itertools.pairwise(line))
