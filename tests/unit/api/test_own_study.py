"""A study of images of one's own: what is written down before, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

import modiste
from modiste.api.opening import open_study
from modiste.api.study import run_study
from modiste.data.own import apart
from modiste.data.own.division import divide, seal
from modiste.data.own.stock import take_stock
from modiste.data.own.walk import list_folder
from modiste.errors import DataError, ModisteError, ResumeError, SpecError, StoreError
from modiste.runs.files import read_json
from modiste.search.study import Study
from modiste.spec.run import DataSpec
from modiste.spec.study import StudySpec
from tests.driving import Watched
from tests.own_images import picture, png_bytes, write_classes

STUDY = {
    "name": "pets",
    "data": {"name": "folder", "path": "pets", "test_share": 0.2, "num_val": 9},
    "train": {"epochs": 1, "batch_size": 16},
    "stages": [{"name": "first", "points": [{"model": {"family": "majority"}}]}],
}
SPEC = DataSpec.parse({"name": "folder", "test_share": 0.2, "num_val": 9})


@pytest.fixture(autouse=True)
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set with no test part, and a study of it that a person has written."""
    monkeypatch.chdir(tmp_path)
    write(STUDY)
    return write_classes(tmp_path / "pets", 15)


def write(study: dict[str, Any], name: str = "pets.yaml") -> None:
    Path(name).write_text(yaml.safe_dump(study), encoding="utf-8")


def fails(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def run(name: str = "pets.yaml", **given: Any) -> tuple[Study, list[str]]:
    notes = Watched()
    study, is_finished = run_study(name, num_workers="here", watcher=notes, **given)
    assert is_finished
    return study, notes.notes


def test_a_test_part_that_is_split_off_is_written_down_before_anything_is_trained(
    pets: Path,
) -> None:
    study, notes = run()
    record = apart.load(pets)
    assert record is not None
    assert (len(record.sealed), len(record.others)) == (9, 36)
    assert record.share == 0.2
    assert notes[0].startswith("Which images are the sealed test part stands in pets/modiste-test")
    facts = read_json(study.folder / "data.json")
    assert facts["test"]["sealed_at"] == record.sealed_at
    # And once: the next study finds it.
    assert run(out="again")[1] == []
    assert apart.load(pets) == record


def test_another_share_or_other_images_move_nothing_from_one_side_to_the_other(pets: Path) -> None:
    run()
    record = apart.load(pets)
    write({**STUDY, "data": {**STUDY["data"], "test_share": 0.5}}, "half.yaml")
    with pytest.raises(SpecError, match=r"the test part was split off with 0\.2"):
        run("half.yaml", out="half")
    (pets / "ant" / "new.png").write_bytes(png_bytes(picture(300)))
    with pytest.raises(DataError, match=r"1 image\(s\) came after the test part was split off"):
        run(out="more")
    assert apart.load(pets) == record


def test_where_it_cannot_be_written_that_is_said(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "write_whole", fails)
    _, notes = run()
    assert "could not be written beside them (Permission denied)" in notes[0]
    assert apart.load(pets) is None


def test_a_plan_writes_nothing_beside_the_images(pets: Path) -> None:
    modiste.plan_study("pets.yaml", probe_seconds=0)
    assert apart.load(pets) is None


def test_whoever_seals_it_meanwhile_is_not_written_over(pets: Path) -> None:
    found = divide(take_stock(list_folder(pets)), SPEC)
    run()
    record = apart.load(pets)
    with pytest.raises(DataError, match="somebody else has sealed the test part meanwhile"):
        seal(found, 0.2)
    assert apart.load(pets) == record


def test_what_came_later_and_cannot_be_sealed_is_said(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    (pets / "ant" / "new.png").write_bytes(png_bytes(picture(300)))
    found = divide(take_stock(list_folder(pets)), SPEC, is_growing=True)
    monkeypatch.setattr(apart, "write_whole", fails)
    with pytest.raises(StoreError, match=r"pets/modiste-test\.json: Permission denied"):
        seal(found, 0.2)


def test_a_class_that_has_another_name_now_is_noticed(pets: Path) -> None:
    study, _ = run()
    before = (study.folder / "data.json").read_bytes()
    (pets / "ant").rename(pets / "Ameise")
    with pytest.raises(ResumeError, match=r"ant is Ameise now\. Give them their names back"):
        run()
    assert (study.folder / "data.json").read_bytes() == before
    run(out="elsewhere")
    (pets / "Ameise").rename(pets / "ant")
    run()


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_path_in_a_dictionary_is_seen_from_the_working_directory(
    is_absolute: bool, pets: Path, tmp_path: Path
) -> None:
    place = pets if is_absolute else Path("pets")
    values = {**STUDY, "data": {**STUDY["data"], "path": place}}
    study, _ = run_study(values, out="deep/study", num_workers="here")
    assert study.data_place == pets
    written = yaml.safe_load(Path("deep/study/pets.yaml").read_text("utf-8"))
    assert written["data"]["path"] == str(pets)


def test_a_path_that_leads_nowhere_is_named_as_it_was_looked_for(pets: Path) -> None:
    pets.rename("dogs")
    with pytest.raises(DataError) as error:
        run()
    assert str(error.value).startswith("pets.yaml: data.path: pets: no such file or folder")
    assert str(Path("pets").absolute()) in str(error.value)
    assert not Path("runs").exists()
    run(data_folder="dogs")
    write({**STUDY, "data": {**STUDY["data"], "path": "x" * 300}})
    with pytest.raises(DataError, match="cannot be read"):
        run()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("first.train.epochs=5", "Of that stage it is first:train.epochs=..."),
        ("first.final=true", "first: no such key"),
        ("first:final=true", "such as final, stands in its file alone"),
        ("stages=3", "such as stages, stands in its file alone"),
        ("first:train.epoch=5", "Did you mean 'epochs'?"),
        ("trian.epochs=5", "trian: no such key"),
        ("firts:train.epochs=5", "Did you mean 'first'?"),
    ],
)
def test_a_setting_that_reaches_nothing_is_told_what_would(setting: str, said: str) -> None:
    with pytest.raises(ModisteError) as error:
        run(settings=[setting])
    assert said in str(error.value)


def test_what_is_asked_for_is_opened_and_not_run(tmp_path: Path) -> None:
    opened = open_study(
        "pets.yaml",
        profile="quick",
        out=None,
        seed=None,
        stages=["first"],
        settings=(),
        only=(),
        data_folder=None,
        is_written=False,
    )
    assert isinstance(opened.study.spec, StudySpec)
    assert opened.stages == ["first"]
    assert not (tmp_path / "runs").exists()


def test_the_report_lists_what_was_left_out_by_name_with_its_reason(
    pets: Path, tmp_path: Path
) -> None:
    write_classes(pets, 40)
    (pets / "ant" / "no|image.png").write_bytes(b"no image")
    write({**STUDY, "data": {**STUDY["data"], "skip_bad": True}})
    study, _ = run_study("pets.yaml", out=tmp_path / "out", num_workers="here")
    text = (study.folder / "report.md").read_text("utf-8")
    assert "Left out, because they cannot be used." in text
    (row,) = (line for line in text.splitlines() if line.startswith("| ant/no"))
    digest = hashlib.sha256(b"no image").hexdigest()
    assert row.endswith(f" | {digest[:16]} |")
    assert "ant/no\\|image.png" in row
    assert len(row.replace("\\|", "").split("|")) == 5
    assert digest[:16] in (study.folder / "report.html").read_text("utf-8")
