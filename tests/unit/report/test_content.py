"""What the report says: all of the study, and nothing that its numbers do not carry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from modiste.counts import UNKNOWN
from modiste.evaluate.curse import winners_curse
from modiste.evaluate.intervals import wilson
from modiste.report import write as report
from modiste.report.confirmed import _called
from modiste.report.context import gather
from modiste.report.explained import check_of
from modiste.report.markdown import anchor
from modiste.report.numbers import bound, points
from modiste.runs.ledger import Tally
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from tests.report_fixture import errors_arrays, make_look, make_study
from tests.unit.report.conftest import Written
from tests.unit.report.page import Page

NAMES = ["quick", "full", "empty", "cut_in_part", "hostile"]


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_has_its_place(name: str, every: dict[str, Written]) -> None:
    written = every[name]
    for stage in written.study.spec.stages:
        assert written.page.by_id(f"stage-{stage.name}").tag == "h3"
        title = (stage.title or stage.name).replace("|", r"\|").replace("<", r"\<")
        assert title.split(">")[0] in written.markdown


@pytest.mark.parametrize("name", NAMES)
def test_markdown_has_the_same_tables(name: str, every: dict[str, Written]) -> None:
    written = every[name]
    for figure in written.page.root.all("figure", class_="table"):
        number = figure.all("figcaption")[0].text.split(".")[0]
        block = written.markdown.split(f"**{number}.** ")[1].split("\n\n")[1]
        lines = [line for line in block.splitlines() if line.startswith("|")]
        rows = figure.all("tbody")[0].all("tr")
        assert len(lines) == 2 + len(rows)
        for line, row in zip(lines[2:], rows, strict=True):
            plain = re.sub(r"\\(.)", r"\1", line)
            numbers = re.findall(r"0\.\d{4}", row.text)
            assert re.findall(r"0\.\d{4}", plain) == numbers


def test_a_quick_figure_stands_beside_a_published_one_only_with_what_was_cut(
    quick: Written,
) -> None:
    found = 0
    for figure in quick.page.root.all("figure", class_="table"):
        heads = [th.text for th in figure.all("th")]
        if not any("published" in head for head in heads):
            continue
        rows = [row for row in figure.all("tbody")[0].all("tr") if "‡" in row.text]
        if not rows:
            continue
        found += 1
        assert "epochs instead of 300" in figure.all("figcaption")[0].text
        assert "not comparable" in figure.all("figcaption")[0].text
    assert found >= 6  # the first screen, and the stages with published rows that were run


def test_every_difference_of_a_cut_run_is_marked(quick: Written) -> None:
    for table in quick.page.root.all("table"):
        heads = [th.text for th in table.all("th")]
        if "difference" not in heads:
            continue
        differences = [
            cell
            for row in table.all("tbody")[0].all("tr")
            for cell in row.children
            if re.match(r"[+−]\d", cell.text)
        ]
        assert all(cell.text.endswith("‡") for cell in differences)
        assert all("quiet" in cell.attributes["class"] for cell in differences)


def test_the_full_profile_marks_no_difference(full: Written) -> None:
    (row,) = full.page.table("table-mlp-final")
    assert not any("‡" in cell for cell in row)
    assert "Cut in" not in full.page.by_id("table-mlp-final").text


def test_points_that_the_profile_leaves_out_are_greyed_with_their_published_figure(
    quick: Written,
) -> None:
    rows = quick.page.by_id("table-mlp-capacity").all("tr", class_="muted")
    assert [row.children[0].text for row in rows] == ["model_2_128_64", "model_1_128"]
    assert [row.children[1].text for row in rows] == ["not run in this profile"] * 2
    assert [row.children[2].text for row in rows] == ["0.9018", "0.9008"]


def test_many_points_without_any_figure_are_one_row_and_a_note(quick: Written) -> None:
    last = quick.page.table("table-mlp-grid")[-1]
    assert last == ["19 more points", "not run in this profile"]
    assert "hidden [384, 256, 128], dropout 0.2" in quick.page.by_id("table-mlp-grid").text


def test_a_skipped_stage_says_why(quick: Written, reference: StudySpec) -> None:
    reason = reference.stage("cnn-final").profile("quick").skip
    assert reason
    assert f"Not run in the quick profile: {reason}." in " ".join(quick.page.root.text.split())


def test_a_stage_that_waits_says_for_what(full: Written) -> None:
    text = full.page.root.text
    assert "It waits for the best points of Which shape of MLP? and has no points yet." in text
    assert "the winner of The ten best MLPs again, on fresh seeds and Which optimizer" in text


def test_every_claim_has_its_answer_and_its_tests(full: Written) -> None:
    claims = full.study.published["claims"]
    rows = full.page.table("table-claims")
    assert [row[0] for row in rows] == [claim["id"] for claim in claims]
    assert {row[2] for row in rows} <= {"holds", "fails", "undecided"}
    assert [row[2] for row in rows if row[0] == "c10"] == ["holds"]
    tests = full.page.table("table-claim-tests")
    assert len(tests) == sum(len(claim.get("tests", [])) for claim in claims)
    # The grids of this study were not run: nothing is concluded from them.
    assert {row[-1] for row in tests if row[0] == "c1"} == {"undecided"}


def test_a_test_of_a_claim_compares_what_the_stages_show(full: Written) -> None:
    (row,) = [row for row in full.page.table("table-claim-tests") if "four more than" in row[1]]
    depth = full.study.stage("cnn-depth").rows
    three, four = (row_.mean("last", "val", "accuracy") for row_ in depth[1:3])
    assert row[2:6] == ["1 v 1", "3 v 3", f"{four:.4f}", f"{three:.4f}"]
    assert row[6] == points(four - three)
    assert row[8] == "+0.18"  # 0.92525 less 0.9235


def test_runs_that_were_cut_answer_no_claim(quick: Written) -> None:
    text = quick.page.by_id("claims").text
    assert "runs that were cut say nothing to them" in text
    assert "holds" not in text


def test_a_stage_that_confirms_another_says_what_fresh_seeds_made_of_it(confirmed: Written) -> None:
    grid, again = (confirmed.study.stage(name) for name in ("grid", "again"))
    before = {row.label: row.mean("last", "val", "accuracy") for row in grid.rows}
    ranked = [row.label for row in again.ranked("last")]
    then = fmean(before[row.label] for row in again.rows)
    now = fmean(row.mean("last", "val", "accuracy") for row in again.rows)
    text = " ".join(confirmed.page.root.text.split())
    assert f"these are {then:.4f} in the search and {now:.4f} on fresh seeds" in text
    spread = gather(confirmed.study).stage("again").rows[0].seeds
    found = winners_curse(
        [before[row.label] for row in again.rows],
        [[run.metrics["last"]["val"]["accuracy"] for run in row.runs] for row in again.rows],
        [spread] * 3,
    )
    assert (
        f"search less confirmed is {points(then - now)} points (95 % interval "
        f"{bound(found.low or 0)} to {bound(found.high or 0)}; it covers seeds), paired over "
        "3 points"
    ) in text
    assert f"paired over 3 points{_called(found)}." in text
    first = grid.ranked("last")[0].label
    assert f"is number {ranked.index(first) + 1} of 3 here" in text
    assert "overtuning" in text
    cells = [row[11] for row in confirmed.page.table("table-again")]
    assert cells == [f"{before[label]:.4f}" for label in ranked]


def test_the_first_screen_answers_and_says_what_was_cut(quick: Written) -> None:
    summary = quick.page.by_id("summary")
    (lead,) = summary.all("p", class_="lead")
    assert "best on 200 validation images" in lead.text
    assert "None of these figures repeats a published one" in lead.text
    assert "a smoke test, not a result" in lead.text
    facts = {row.all("dt")[0].text: row.all("dd")[0].text for row in summary.all("div")
             if row.all("dt")}  # fmt: skip
    assert facts["profile"] == "quick"
    assert facts["test set"] == "not opened"
    assert facts["looks at it so far"] == "unknown"
    assert "epochs instead of 300" in facts["what was cut"]


def test_an_empty_study_claims_nothing(empty: Written) -> None:
    (lead,) = empty.page.by_id("summary").all("p", class_="lead")
    assert lead.text == "Nothing has been trained to its end yet, so there is no answer."


def test_a_stage_that_was_cut_alone_takes_nothing_from_the_others(cut_in_part: Written) -> None:
    (lead,) = cut_in_part.page.by_id("summary").all("p", class_="lead")
    assert "Of 1 published row run so far" in lead.text
    assert "stages that were cut are left out" in lead.text
    assert "at most 4 epochs instead of 300" in cut_in_part.page.by_id("table-mlp-capacity").text
    assert "‡" not in cut_in_part.page.by_id("table-mlp-baseline").text


def test_a_run_that_diverged_is_named_and_ranks_last(cut_in_part: Written) -> None:
    table = cut_in_part.page.table("table-mlp-capacity")
    assert table[-1][:2] == ["model_1_128", "diverged"]
    assert "M004" in cut_in_part.page.root.text
    assert "model_1_128 did not end well" in cut_in_part.page.root.text


def facts_of(page: Page) -> dict[str, str]:
    summary = page.by_id("summary")
    names, values = (summary.all(tag) for tag in ("dt", "dd"))
    return dict(zip((n.text for n in names), (v.text for v in values), strict=True))


def test_the_count_of_looks_is_the_ledgers_and_unknown_if_none_was_asked(
    full: Written, cut_in_part: Written, quick: Written
) -> None:
    assert facts_of(full.page)["looks at it so far"] == "4"
    assert facts_of(full.page)["compared with other images"] == "once, no accuracy"
    assert facts_of(full.page)["their ledger"] == "9 entries, head bbbbbbbbbbbb"
    assert facts_of(cut_in_part.page)["looks at it so far"] == "0"
    assert "their ledger" not in facts_of(cut_in_part.page)
    assert facts_of(quick.page)["looks at it so far"] == "unknown"


def test_openings_are_told_apart_and_the_ledger_has_its_head(full: Written) -> None:
    for text in (full.page.root.text, full.markdown):
        assert "The test set was opened once to measure models of this study." in text
        assert "Looks at this test set so far, by its ledger: 4." in text
        assert "Comparisons with other images, which give no accuracy: 1." in text
        assert "b" * 64 in text
    (row,) = full.page.table("table-looks")
    assert row[1:3] == ["the pinned models of the study, once", "cnn-final, mlp-final"]
    assert row[3:] == ["6", "3", "a" * 12]


@pytest.mark.parametrize("has_looks", [True, False])
def test_a_ledger_that_does_not_add_up_is_said_and_no_older_number_stands_in_for_it(
    has_looks: bool, tmp_path: Path
) -> None:
    study = make_study(tmp_path, num_val=200, stages=["mlp-final"])
    if has_looks:
        make_look(study, ["mlp-final"], looks=17)
    trouble = "the ledger does not add up (entries that its head speaks of are not there)"
    written = Written.of(study, Tally(UNKNOWN, UNKNOWN, "c" * 64, 5, trouble=trouble))
    assert facts_of(written.page)["looks at it so far"] == "unknown"
    for text in (written.page.root.text, written.markdown):
        assert f"Test looks unknown: {trouble}." in text
        assert "Looks at this test set so far" not in text


def test_test_figures_come_with_their_interval(full: Written) -> None:
    rows = {row[0]: row for row in full.page.table("table-test")}
    assert set(rows) == {"The study's final MLP", "The study's final CNN"}
    look = json.loads(next((full.study.folder / "final").glob("*/look.json")).read_text())
    correct = [r["last"]["correct"] for r in look["runs"] if r["stage"] == "mlp-final"]
    low, high = wilson(round(sum(correct) / len(correct)), look["runs"][0]["last"]["total"])
    assert rows["The study's final MLP"][4] == f"{low:.4f}–{high:.4f}"
    assert rows["The study's final MLP"][2] == "3"


def test_final_models_are_judged_by_more_than_accuracy(full: Written) -> None:
    rows = {row[0]: row[1:] for row in full.page.table("table-quality-mlp-final")}
    assert set(rows) == {
        "accuracy",
        "right class among the first two",
        "macro F1",
        "cross-entropy, nats",
        "Brier score, 0 to 2",
        "calibration error, 15 bins",
    }
    look = next(iter((full.study.folder / "final").glob("*/look.json")))
    seed_0 = next(
        run for run in json.loads(look.read_text())["runs"] if run["stage"] == "mlp-final"
    )
    low, high = wilson(seed_0["last"]["correct"], seed_0["last"]["total"])
    assert rows["accuracy"][:3] == [
        f"{seed_0['last']['accuracy']:.4f}", f"{low:.4f}–{high:.4f}", "same"]  # fmt: skip
    stored = np.load(look.parent / f"predictions-{seed_0['fingerprint'][:16]}.npz")
    loss = log_loss(stored["labels"], softmax(stored["logits_last_NK"].astype(float), axis=1))
    assert rows["cross-entropy, nats"][0] == f"{loss:.4f}"
    text = full.page.by_id("table-quality-mlp-final").text
    assert "fitted on validation images" in text
    assert "On 5 slices of the test set this one model scores" in full.page.root.text


def test_layer_tables_hold_the_published_counts(full: Written) -> None:
    totals = {
        stage: full.page.table(f"table-layers-{stage}")[-1][2]
        for stage in ("mlp-baseline", "mlp-final", "cnn-depth", "cnn-final")
    }
    assert totals == {
        "mlp-baseline": "7,850",
        "mlp-final": "610,570",
        "cnn-depth": "27,434",
        "cnn-final": "1,562,122",
    }
    for stage in totals:
        text = full.page.by_id(f"table-layers-{stage}").text
        assert "The published table counts the same." in text


def test_a_model_that_was_not_trained_has_its_layer_table_all_the_same(quick: Written) -> None:
    table = quick.page.by_id("table-layers-cnn-final")
    assert "Not trained here." in table.text
    assert quick.page.table("table-layers-cnn-final")[-1][2] == "1,562,122"


def test_assumptions_are_marked(quick: Written) -> None:
    rows = {row[0]: row for row in quick.page.table("table-by-stage")}
    assert "batch_size 128†" in rows["mlp-baseline"][4]
    assert "optimizer adam†" in rows["mlp-baseline"][4]
    assert "†" not in " ".join(rows["mlp-grid"])
    assert "Our assumption" in quick.page.by_id("table-by-stage").text


def test_every_table_of_numbers_carries_its_command(quick: Written) -> None:
    for name in ("summary", "mlp-grid", "confusion-cnn-winner", "classes-mlp-winner"):
        ids = [e.attributes.get("id") for e in quick.page.elements]
        if f"table-{name}" not in ids:
            continue
        (command,) = quick.page.by_id(f"table-{name}").all("p", class_="command")
        assert command.text.startswith("modiste study studies/fashion-mnist.yaml --stages ")
        assert "--profile quick --seed 0 --out " in command.text
    assert "modiste study studies/fashion-mnist.yaml --stages mlp-grid --profile quick" in (
        quick.page.by_id("table-mlp-grid").text
    )


def commands_of(written: Written, table: str) -> list[str]:
    return [line.text for line in written.page.by_id(table).all("p", class_="command")]


def test_the_command_of_a_table_trains_the_repeats_that_its_intervals_rest_on(
    confirmed: Written,
) -> None:
    # No point of the grid is repeated: the spread over seeds is that of the other stage.
    for table in ("table-grid", "table-effects-grid"):
        (command,) = commands_of(confirmed, table)
        assert " --stages grid,again --profile full " in command
    (command,) = commands_of(confirmed, "table-again")
    assert " --stages again --profile full " in command


def test_the_first_table_carries_the_command_that_shows_its_test_figures(full: Written) -> None:
    trained, shown = commands_of(full, "table-summary")
    assert trained.startswith("modiste study studies/fashion-mnist.yaml --stages ")
    assert shown == "modiste evaluate . --stages cnn-final,mlp-final"


def test_figures_of_the_test_set_carry_the_command_of_the_look(full: Written) -> None:
    (command,) = full.page.by_id("table-confusion-mlp-final").all("p", class_="command")
    assert command.text == "modiste evaluate . --stages cnn-final,mlp-final"
    assert "they show what is stored, and open nothing" in full.page.by_id("table-looks").text


def test_no_command_of_a_report_opens_the_test_set(every: dict[str, Written]) -> None:
    for written in every.values():
        for text in (written.page.root.text, written.markdown):
            assert "--final" not in text
            assert "--with-test" not in text


def test_a_layer_table_can_be_made_again_without_any_run(quick: Written) -> None:
    (command,) = quick.page.by_id("table-layers-cnn-final").all("p", class_="command")
    assert command.text == (
        "modiste describe cnn --set num_layers=3 --set filters=128 --set dropout=0.25"
    )


def test_overrides_stand_in_the_commands(cut_in_part: Written) -> None:
    text = cut_in_part.page.by_id("table-mlp-capacity").all("p", class_="command")[0].text
    assert " --set mlp-capacity:train.epochs=4 --out " in text


def test_validation_errors_are_shown_where_the_test_set_was_not_opened(
    tmp_path, hostile: Written
) -> None:
    study = make_study(
        tmp_path, spec=hostile.study.spec, num_val=200, class_names=list("abcdefghij")
    )
    row = study.stages()[0].ranked("last")[0]
    figures = tmp_path / "figures"
    figures.mkdir()
    np.savez(figures / f"errors-{row.runs[0].fingerprint[:16]}.npz", **errors_arrays(5))
    written = Written.of(Study(tmp_path))
    gallery = written.page.by_id("figure-errors-only")
    assert len(gallery.all("img")) == 5
    assert "validation images" in gallery.all("figcaption")[0].text
    assert "The test set was not opened" in written.page.root.text


def test_errors_can_be_sorted_and_say_what_the_other_seeds_answered(full: Written) -> None:
    gallery = full.page.by_id("figure-errors-mlp-final")
    keys = gallery.attributes["data-keys"].split("|")
    assert keys == ["loss", "class pair", "disagreement between seeds"]
    items = gallery.all("li")
    losses = [float(item.attributes["data-key-0"]) for item in items]
    assert losses == sorted(losses, reverse=True)
    for item in items:
        first, second = item.attributes["data-key-1"].split(" / ")
        assert first < second
        assert float(item.attributes["data-key-2"]) in {0.0, 0.5, 1.0}  # two other seeds
        (more,) = item.all("details")
        assert re.search(r"image \d+", more.text)
        assert len(re.findall(r"0\.\d\d|1\.00", more.text)) >= 4


def test_a_damaged_errors_file_is_named(tmp_path, hostile: Written) -> None:
    study = make_study(tmp_path, spec=hostile.study.spec, num_val=200)
    row = study.stages()[0].ranked("last")[0]
    path = tmp_path / "figures" / f"errors-{row.runs[0].fingerprint[:16]}.npz"
    path.parent.mkdir()
    path.write_bytes(b"no archive")
    from modiste.errors import StoreError

    with pytest.raises(StoreError, match=path.name):
        report.write(Study(tmp_path))


@pytest.mark.parametrize("name", ["quick", "full", "cut_in_part"])
def test_every_code_leads_to_its_paragraph(name: str, every: dict[str, Written]) -> None:
    written = every[name]
    remarks = written.page.root.all("div", class_="remarks")
    links = [a for each in remarks for a in each.all("a")]
    codes = {a.text for a in links}
    assert codes >= {"M007"}
    for link in links:
        target = written.page.by_id(link.attributes["href"].removeprefix("#"))
        assert link.text in target.text
        assert check_of(link.text).title in target.text
    headings = {
        anchor(line.lstrip("# ")) for line in written.markdown.splitlines() if line[:1] == "#"
    }
    found = re.findall(r"\*\*\[(M\d{3})\]\(#([\w-]+)\)", written.markdown)
    assert {code for code, _ in found} == codes
    assert {target for _, target in found} <= headings


def test_a_report_without_remarks_explains_none(empty: Written) -> None:
    assert "What the remarks mean" not in empty.markdown


def test_a_remark_about_many_runs_names_a_few_in_markdown_and_all_in_the_page(
    full: Written,
) -> None:
    few = r"(?:  - .*\n){3}  - And (\d+) more, listed in"
    cut = re.findall(rf"\*\*\[(M\d{{3}})\].*?\*\*: (\d+) of \d+ runs\. .*\n{few}", full.markdown)
    assert cut
    shown = {
        (details.all("summary")[0].all("code")[0].text, len(details.all("li")))
        for each in full.page.root.all("div", class_="remarks")
        for details in each.all("details")
    }
    for code, total, more in cut:
        assert int(total) == int(more) + 3
        assert (code, int(total)) in shown
