"""Bad data of a hundred kinds: each has the answer that docs/bad_images.md states, and status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import bad_images as docs
from tests import small
from tests.bad_images import BAD, FILES
from tests.command_line import Answer, Cli
from tests.own_images import CLASSES, picture, png_bytes, write_classes

PAGE = docs.PAGE.read_text("utf-8")


def assert_refused(answer: Answer) -> None:
    assert answer.status == 2, answer.err
    assert "Traceback" not in answer.err
    assert "bug of ours" not in answer.err
    assert "\x1b" not in answer.err + answer.out
    assert "\u202e" not in answer.err + answer.out


def test_the_page_has_every_kind_once_and_no_other() -> None:
    assert len(BAD) >= 60
    kinds = [line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if " | " in line]
    assert [kind for kind in kinds if kind != "kind"] == list(BAD)
    assert PAGE.startswith(docs.HEAD)
    for title, text, _ in docs.GROUPS:
        assert f"## {title}\n\n{text}\n" in PAGE


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD)
def test_each_kind_has_the_answer_that_the_page_states(kind: str, tmp_path: Path, cli: Cli) -> None:
    root = write_classes(tmp_path / "pets")
    where = BAD[kind](root) or root
    answer = cli("data", "scan", where)
    assert_refused(answer)
    said = answer.err.removeprefix("modiste: ").replace(f"{tmp_path}/", "")
    row = f"| {kind} | {docs.words(docs.shortened(said))} |"
    assert row in PAGE.splitlines(), f"run: python -m docs.bad_images\n{row}"


@pytest.mark.parametrize(
    "kind",
    ["plain text", "a link out of the folder", "a class named like a tag", "a path with ../"],
)
def test_init_and_study_answer_the_same_before_anything_is_written(
    kind: str, tmp_path: Path, cli: Cli
) -> None:
    root = write_classes(tmp_path / "pets")
    where = BAD[kind](root) or root
    said = cli("data", "scan", where).err
    answer = cli("init", where, "--out", tmp_path / "pets.yaml")
    assert_refused(answer)
    assert answer.err == said
    name = "csv" if where.suffix == ".csv" else "folder"
    values = small.study(data={"name": name, "path": str(where), "num_val": 3, "test_share": 0.2})
    file = small.write_study(tmp_path / "study.yaml", values)
    answer = cli("study", file, "--out", tmp_path / "out")
    assert_refused(answer)
    assert answer.err == said
    assert not (tmp_path / "pets.yaml").exists()
    assert not list(tmp_path.rglob("modiste-test.json"))
    assert not (tmp_path / "out" / "runs").exists()


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A set of two hundred files, of which two may be left out."""
    return write_classes(tmp_path / "pets", 67)


@pytest.mark.parametrize("kind", ["half a PNG", "a link out of the folder", "a named pipe"])
def test_one_bad_file_among_many_can_be_left_out_and_is_listed(
    kind: str, many: Path, cli: Cli
) -> None:
    FILES[kind](many)
    answer = cli("data", "scan", many)
    assert_refused(answer)
    assert "1 of 202 files cannot be used" in answer.err
    assert "--skip-bad, or data.skip_bad: true" in answer.err
    answer = cli("data", "scan", many, "--skip-bad", "--json")
    assert answer.status == 0, answer.err
    found = answer.json
    assert found["trouble"] is None
    assert sum(map(sum, found["parts"].values())) == 201
    (bad,) = found["bad"]
    assert bad["why"] in docs.PAGE.read_text("utf-8") or "damaged" in bad["why"]
    assert len(bad["sha256"]) == (64 if kind == "half a PNG" else 0)


def test_more_than_one_in_a_hundred_is_too_much_to_leave_out(many: Path, cli: Cli) -> None:
    for number in range(3):
        (many / CLASSES[0] / f"bad{number}.png").write_bytes(b"no image")
    answer = cli("data", "scan", many, "--skip-bad")
    assert_refused(answer)
    assert "More than 1 % of all is too much to leave out." in answer.err
    assert answer.out.count("cannot be used: ant/bad") == 3


def test_what_is_refused_by_name_alone_is_not_opened(tmp_path: Path, cli: Cli) -> None:
    """A pipe would keep its reader waiting for ever; a link out could show a secret."""
    root = write_classes(tmp_path / "pets")
    FILES["a named pipe"](root)
    FILES["a link to /etc/passwd"](root)
    found = cli("data", "scan", root, "--json").json
    assert [bad["sha256"] for bad in found["bad"]] == ["", ""]


def test_duplicates_across_parts_can_be_kept_on_purpose(tmp_path: Path, cli: Cli) -> None:
    root = tmp_path / "pets"
    for start, part in ((0, "train"), (100, "test")):
        write_classes(root / part, start=start)
    (root / "test" / "bee" / "same.png").write_bytes(png_bytes(picture(7)))
    assert_refused(cli("data", "scan", root))
    found = cli("data", "scan", root, "--keep-duplicates", "--json").json
    assert found["trouble"] is None
    assert found["parts"]["train"] == [5, 5, 5]
    assert found["parts"]["test"] == [5, 6, 5]
