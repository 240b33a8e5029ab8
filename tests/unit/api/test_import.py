"""A study of another tool as a folder of ours, with its report and its remarks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import modiste
from modiste.errors import SpecError, StoreError
from modiste.evaluate.intervals import standard_error
from modiste.report.imported import NUM_ROWS, tied_with_first, write_imported
from modiste.search.imported import FILE, load_imported
from tests.unit.report.page import Page

SAMPLES = Path(__file__).parents[2] / "samples"


def text_of(folder: Path) -> str:
    return re.sub(" +", " ", (folder / "report.md").read_text("utf-8")).replace("\\", "")


def test_what_is_imported_comes_back_from_its_folder(tmp_path: Path) -> None:
    imported, folder = modiste.import_study(
        SAMPLES / "keras_tuner", out=tmp_path / "k", num_val=80, seeds=2
    )
    assert load_imported(folder) == imported
    assert {path.name for path in folder.iterdir()} == {FILE, "report.html", "report.md"}


@pytest.mark.parametrize("name", ["talos1.csv", "talos1_evaluated.csv", "talos2", "keras_tuner"])
def test_its_report_is_one_page_that_asks_nobody_and_comes_out_the_same(
    tmp_path: Path, name: str
) -> None:
    _, folder = modiste.import_study(SAMPLES / name, out=tmp_path / "i", num_val=72)
    first = (folder / "report.html").read_bytes()
    assert write_imported(folder).read_bytes() == first
    page = Page(first.decode())  # every element is closed where it should be
    assert not re.search(r"""(?:src|href)=["']https?:""", page.source)
    assert "M009" in page.root.text or "M012" in page.root.text


def test_the_number_of_images_gives_errors_and_the_rows_that_may_be_best(tmp_path: Path) -> None:
    imported, folder = modiste.import_study(SAMPLES / "talos1.csv", out=tmp_path, num_val=72)
    tied = tied_with_first(imported)
    assert tied is not None
    assert [row.label for row in tied] == ["round 6", "round 3", "round 5"]
    text = text_of(folder)
    assert f"| round 6 | 16 | 0.3 | **0.7500** | {standard_error(0.75, 72):.4f} |" in text
    assert "round 3 ≈" in text
    assert "2 other rows cannot be told from it" in text
    assert [finding.code for finding in imported.findings()] == ["M007", "M008", "M009"]
    assert "The same in all rows: lr 0.01, batch_size 32, epochs 4." in text


def test_without_it_the_report_says_that_nothing_can_be_told_apart(tmp_path: Path) -> None:
    imported, folder = modiste.import_study(SAMPLES / "talos1.csv", out=tmp_path)
    assert tied_with_first(imported) is None
    assert "nobody stated one" in text_of(folder)
    assert "≈" not in text_of(folder)
    assert "M008" not in [finding.code for finding in imported.findings()]


def test_what_a_person_states_counts_where_the_source_is_silent(tmp_path: Path) -> None:
    imported, _ = modiste.import_study(
        SAMPLES / "keras_tuner", out=tmp_path / "k", scored_on="test", seeds=1
    )
    codes = [finding.code for finding in imported.findings()]
    assert {"M007", "M011"} <= set(codes)
    assert imported.rows[0].evidence.endswith("as was stated, 1 training")
    # Talos says itself that each row is one training.
    imported, _ = modiste.import_study(SAMPLES / "talos1.csv", out=tmp_path / "t", seeds=5)
    assert {row.seeds for row in imported.rows} == {1}


@pytest.mark.parametrize(
    ("source", "metric"),
    [("talos1.csv", "val_loss"), ("talos1_evaluated.csv", "eval_f1score_mean")],
)
def test_a_number_of_images_is_refused_for_what_is_no_accuracy(
    tmp_path: Path, source: str, metric: str
) -> None:
    with pytest.raises(SpecError, match=f"--num-val.*{metric} is none"):
        modiste.import_study(SAMPLES / source, out=tmp_path, num_val=72, metric=metric)
    assert not (tmp_path / FILE).exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{}", "utf-8")
    with pytest.raises(StoreError, match="holds something else"):
        modiste.import_study(SAMPLES / "talos1.csv", out=tmp_path)
    with pytest.raises(StoreError, match=r"holds no imported\.json"):
        load_imported(tmp_path)


def test_a_folder_of_another_version_says_so(tmp_path: Path) -> None:
    _, folder = modiste.import_study(SAMPLES / "talos1.csv", out=tmp_path)
    path = folder / FILE
    path.write_text(path.read_text("utf-8").replace('"schema": 1', '"schema": 2'), "utf-8")
    with pytest.raises(StoreError, match="schema 2, not 1"):
        load_imported(folder)


def test_rows_without_a_figure_stand_last_and_say_why(tmp_path: Path) -> None:
    _, folder = modiste.import_study(SAMPLES / "optuna.db", out=tmp_path, study="mlp")
    lines = [line for line in text_of(folder).splitlines() if line.startswith("| trial")]
    assert len(lines) == 9
    assert lines[0].startswith("| trial 0 |")
    assert lines[3].startswith("| trial 2 (pruned) |")
    assert "trial 8 (unfinished)" in lines[-1]
    assert "Which images the figure was measured on is not known" in text_of(folder)
    assert "on images of which the source says nothing" in text_of(folder)


def test_a_study_of_many_rows_shows_the_first_and_counts_the_rest(tmp_path: Path) -> None:
    lines = ["round_epochs,val_accuracy,rate", *(f"3,0.5,{i}" for i in range(NUM_ROWS + 20))]
    (tmp_path / "a.csv").write_text("\n".join(lines), "utf-8")
    imported, folder = modiste.import_study(tmp_path / "a.csv", out=tmp_path / "i")
    assert len(imported.rows) == NUM_ROWS + 20
    assert "| 20 more rows | in imported.json |" in text_of(folder)


def test_words_of_another_tool_are_no_markup(tmp_path: Path) -> None:
    text = 'round_epochs,val_accuracy,"<b>x</b>"\n3,0.5,"<script>alert(1)</script>"\n3,0.4,y\n'
    (tmp_path / "a.csv").write_text(text, "utf-8")
    _, folder = modiste.import_study(tmp_path / "a.csv", out=tmp_path / "i")
    page = (folder / "report.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
