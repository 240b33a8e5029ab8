"""What a sceptical reader asks of the words: what is counted, what is covered, whose it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modiste.evaluate.intervals import Interval
from modiste.report import answer, folds, markdown, prose
from modiste.report.blocks import Paragraph, Ref, Remark, Remarks, SectionText
from modiste.report.confusions import _found
from modiste.report.context import gather
from modiste.report.html import Head
from modiste.report.write import _head
from modiste.runs import files
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from tests.report_fixture import make_study
from tests.unit.report.conftest import Written


def lead_of(written: Written) -> str:
    return written.markdown.split("## In short")[1].split("**Table 1.**")[0]


def test_points_models_and_runs_are_told_apart_and_add_up(full: Written) -> None:
    context = gather(full.study)
    done = [row for stage in context.stages for row in stage.stage.chosen if row.is_done]
    models = {json.dumps({**row.specs[0].to_dict(), "seed": 0}) for row in done}
    runs = {name for row in done for name in row.fingerprints}
    assert len(done) > len(models) < len(runs)  # or this says nothing
    text = lead_of(full)
    assert f"Of {len(models)} models finished so far" in text
    assert f"{len(done)} of " in text
    assert f"here are {len(runs)} runs" in text
    assert f"so {len(done)} whole points are {len(models)} models" in text
    assert f"{len(runs)} runs" in full.markdown.split("## In short")[0]


def test_a_point_with_more_seeds_in_another_stage_is_no_other_model(tmp_path: Path) -> None:
    spec = StudySpec.parse(
        {
            "name": "shared",
            "data": {"num_val": 200},
            "model": {"family": "mlp"},
            "stages": [
                {"name": "grid", "grid": {"model.params.hidden": [[16], [64]]}},
                {"name": "thrice", "model": {"params": {"hidden": [16]}}, "repeats": 3},
                {"name": "fresh", "confirm": {"stage": "grid", "top": 1, "seeds": 2}},
            ],
        }
    )
    context = gather(make_study(tmp_path, spec=spec, num_val=200))
    (text,) = answer.caveats(context)
    assert text.endswith(
        "here are 6 runs; some points have the same settings, seeds aside, so 4 whole points are "
        "2 models."
    )


def test_recalls_that_print_alike_are_called_equal() -> None:
    names = ["cat", "dog", "cow"]
    assert _found(names, {0: 0.9, 1: 0.9, 2: 0.9}) == (
        "Every class is found equally often (0.9000 of its images)."
    )
    assert _found(names, {0: 0.8, 2: 0.9}) == (
        "cat is found least often (0.8000 of its images), cow most often (0.9000)."
    )
    assert _found(names, {1: 0.9}) == (
        "dog is the only class there, and 0.9000 of its images are found."
    )


def test_how_often_a_fold_chose_a_point_is_said_as_one_says_it() -> None:
    row: Any = SimpleNamespace(mean=lambda *_: 0.9)
    found = folds.Nested([0.9, 0.91, 0.9], Interval(0.85, 0.95), {"narrow": 1, "wide": 3})
    assert folds._words(row, found, "last").endswith("Chosen: narrow once, wide 3 times.")


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ([0.9167, 0.91, 0.9], "A has the highest {}, 0.9167{}; C has the lowest, 0.9000. "),
        (
            [0.91668, 0.91667, 0.91666],
            "A has the highest {}, 0.9167{}; C has the lowest, less than 0.01 points below. ",
        ),
        ([0.9167] * 3, "All 3 points have the same {}, 0.9167; A{}, stands first. "),
        ([0.9167] * 2, "Both points have the same {}, 0.9167; A{}, stands first. "),
    ],
)
def test_rows_with_the_same_accuracy_have_no_highest_and_no_lowest(
    accuracies: list[float], words: str
) -> None:
    def row(label: str, accuracy: float) -> Any:
        return SimpleNamespace(
            label=label,
            interval=None,
            is_folded=False,
            parameters=10,
            standing=None,
            mean=lambda epoch, part, figure: accuracy if figure == "accuracy" else 0.3,
            values=lambda *_: [0.3],
        )

    rows = [row(label, accuracy) for label, accuracy in zip("ABC", accuracies, strict=False)]
    context: Any = SimpleNamespace(epoch="last")
    stage: Any = SimpleNamespace(has_nets=True, may_be_best=[])
    found = prose._many(context, stage, rows)
    assert "".join(getattr(part, "text", str(part)) for part in found) == words.format(
        "validation accuracy at the last epoch", " (no interval), with 10 parameters"
    )


LEAD = re.compile(r"points behind \(95 % interval (\S+) to ([^\s),]+)(, images only)?\)")


def test_a_lead_over_the_best_of_another_kind_counts_seeds_where_they_are_known(
    full: Written,
) -> None:
    text = lead_of(full)
    found = LEAD.search(text)
    assert found is not None
    low, high, images_only = found.groups()
    assert float(low) < float(high)
    assert images_only is None
    assert re.search(r"with an accuracy of \*\*0\.\d+\*\* \(95 % interval \S+ to \S+\)", text)
    assert "picked, each as the best of its kind, by the very images they are scored on" in text


def test_a_lead_covers_images_only_where_no_seed_was_repeated_and_says_so(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_val=200, stages=["no-network", "mlp-capacity"])
    found = LEAD.search(lead_of(Written.of(study)))
    assert found is not None
    assert found[3] == ", images only"


def test_a_validation_accuracy_has_the_same_interval_wherever_it_stands(full: Written) -> None:
    summary = {row[0]: row for row in full.page.table("table-summary")}
    heads = [th.text for th in full.page.by_id("table-summary").all("th")]
    assert heads.count("95 % interval") == 2
    (own,) = full.page.table("table-mlp-final")
    assert own[10] == summary["The study's final MLP"][7]


def test_stages_without_a_figure_are_not_called_final_models(full: Written) -> None:
    caption = full.page.by_id("table-summary").all("figcaption")[0].text
    assert "models that the study ends with, and whatever else has a published" in caption


def test_a_stage_with_some_seeds_of_a_point_does_not_say_that_nothing_finished(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path, num_val=200, stages=["mlp-capacity"])
    text = Written.of(study).markdown.split("What scaling the pixels does\n")[1].split("###")[0]
    # One of its runs is a row of the capacity stage.
    assert "No point has all its seeds yet; 1 of 6 runs are there." in text
    assert "Nothing of it has finished yet" not in text


def test_many_points_that_are_still_to_run_are_no_table_of_empty_rows(full: Written) -> None:
    ids = [e.attributes.get("id") for e in full.page.elements]
    assert "table-cnn-augmented" not in ids
    text = full.page.by_id("stages").text
    assert "Points, none of which has been run yet: 8-16-32-64, mirror; " in text
    rows = [row[0] for row in full.page.table("table-cnn-grid")]
    assert rows[-1] == "9 more points"
    assert "Not finished yet and not published: " in full.page.by_id("table-cnn-grid").text


def test_every_fixed_key_is_explained(full: Written) -> None:
    rows = {row[0]: row[2] for row in full.page.table("table-fixed")}
    assert {"data.num_train", "train.precision", "train.averaging"} <= set(rows)
    assert not [key for key, meaning in rows.items() if not meaning]
    assert "both epochs are kept" in rows["train.early_stopping.restore_best"]


def test_a_stage_of_several_kinds_says_which_key_is_whose(full: Written) -> None:
    (row,) = [row for row in full.page.table("table-by-stage") if row[0] == "no-network"]
    assert row[3] == (
        "majority, logistic_regression (C 0.1), knn (neighbours 5; weights distance), "
        "svm (features hog; kernel linear, rbf; C 1, 3; gamma scale, 2)"
    )
    assert row[4] == "scaling unit"


def test_which_seeds_there_are_is_said(full: Written, confirmed: Written) -> None:
    text = full.page.by_id("protocol").text
    assert "trained with seed 0" in text
    assert "points that are repeated, with up to 3 seeds from 0 on" in text
    text = confirmed.page.by_id("protocol").text
    assert "points that are confirmed, with fresh seeds, 101 to 102" in text


def test_a_byline_names_one_commit_and_counts_the_others(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_val=200, stages=["mlp-capacity"])
    runs = [row.runs[0] for row in study.stage("mlp-capacity").rows]
    for run, commit in zip(runs, ("aaaa", "bbbb", "cccc", "bbbb", None), strict=True):
        content = {
            name: files.read_checked(run.folder, name)
            for name in files.read_json(run.folder / "manifest.json")["files"]
        }
        environment = {**run.environment, "git_commit": commit}
        content["environment.json"] = files.to_json(environment)
        for path in run.folder.iterdir():
            path.unlink()
        run.folder.rmdir()
        files.write_folder(run.folder, content)
    byline = _head(gather(Study(tmp_path))).byline
    assert byline.endswith("commit bbbb and 2 more")


# --- Markdown ---------------------------------------------------------------------------------


def rendered(*blocks: object) -> str:
    section = SectionText("Here", "here", "1", blocks)  # type: ignore[arg-type]
    return markdown.render(Head("Title", "Kicker", "Byline"), [section])


def test_a_remark_on_many_runs_is_a_list_with_a_line_for_each() -> None:
    about = [("one", "it rose"), ("two", "it rose, too")]
    text = rendered(Remarks([Remark("M001", "overfits", "Do less.", 7, about)]))
    assert (
        "- **M001 overfits**: 2 of 7 runs. Do less.\n  - one: it rose.\n  - two: it rose, too.\n"
        in text
    )


def test_a_remark_on_all_rows_says_it_once() -> None:
    text = rendered(Remarks([Remark("M007", "single seed", "Repeat.", 0, [("all rows", "once")])]))
    assert "- **M007 single seed**: once. Repeat.\n" in text
    assert "all rows" not in text


def test_a_pointer_by_title_can_be_told_from_the_sentence_around_it() -> None:
    text = rendered(Paragraph(["It waits for ", Ref("here", "How many? (a|b)"), " and no more."]))
    assert r"It waits for *How many? (a\|b)* and no more." in text


@pytest.mark.parametrize("name", ["quick", "full", "cut_in_part"])
def test_no_paragraph_of_a_remark_is_a_wall_of_text(name: str, every: dict[str, Written]) -> None:
    lines = [
        line for line in every[name].markdown.splitlines() if line.lstrip().startswith("- **[M")
    ]
    assert lines
    assert max(map(len, lines)) < 700


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"train.optimizer.learning_rate": [0.01, 0.02]}, "learning_rate 0.01"),
        ({"train.optimizer.name": ["adam", "sgd"]}, "optimizer adam, sgd"),
    ],
    ids=["of the default optimizer", "the optimizer"],
)
def test_what_a_study_varies_of_a_part_that_it_does_not_name_is_said(
    tmp_path: Path, grid: dict[str, Any], said: str
) -> None:
    stages = [{"name": "one", "model": {"family": "mlp"}, "grid": grid}]
    spec = StudySpec.parse({"name": "plain", "stages": stages})
    study = make_study(tmp_path / "study", spec=spec, num_val=200)
    (row,) = [row for row in Written.of(study).page.table("table-by-stage") if row[0] == "one"]
    assert said in row[3]
