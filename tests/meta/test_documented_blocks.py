"""Every code block of the README and of docs/ says how it is tried; YAML and JSON make sense."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from modiste.spec.recipe import Recipe
from modiste.spec.run import DataSpec, RunSpec
from modiste.spec.study import StudySpec
from tests.documented import NEEDS, PAGES, ROOT, RUN, Block, blocks, hidden, needs, own_test

KINDS = {"quick", "shrunk", "file"}
BLOCKS = [
    pytest.param(path, block, id=f"{path.relative_to(ROOT)}:{block.line}")
    for path in PAGES
    for block in blocks(path.read_text("utf-8"))
]


@pytest.mark.parametrize(("path", "block"), BLOCKS)
def test_every_block_says_how_it_is_tried(path: Path, block: Block) -> None:
    assert block.language, "name a language; `text` where nothing is run"
    if test := own_test(path.read_text("utf-8")):
        assert path.name in (ROOT / test).read_text("utf-8")
    elif block.language in RUN:
        assert block.kind in KINDS, (
            "put <!-- test: quick --> or <!-- test: shrunk; ... --> above it"
        )
        assert (block.kind == "shrunk") == bool(block.changes)
    block.tried()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_bracket_stands_in_a_command_without_quotes(path: Path) -> None:
    # zsh, the shell of macOS, takes [ for the beginning of a pattern and runs nothing.
    text = path.read_text("utf-8")
    found = re.findall(r"^.*--(?:set|only) [^'\s]*\[.*$", text, re.MULTILINE)
    assert [line for line in found if "[STAGE:]" not in line] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_hides_in_a_block_that_is_not_seen(path: Path) -> None:
    text = path.read_text("utf-8")
    assert hidden(text) == []
    assert re.findall(r"^(?: {4}|\t)(?:modiste|make|python|pip|curl) .*$", text, re.MULTILINE) == []
    assert set(needs(text)) <= set(NEEDS)


@pytest.mark.parametrize(
    ("path", "block"), [each for each in BLOCKS if each.values[1].language == "yaml"]
)
def test_yaml_is_a_study_or_a_part_of_one(path: Path, block: Block) -> None:
    values: Any = yaml.safe_load(block.text)
    if "stages" in values:
        StudySpec.parse(values)
        return
    if "run" in values:
        Recipe.parse(values)
        return
    assert set(values) <= {"data", "model", "train"}
    DataSpec.parse({"name": "folder", **values.pop("data", {})}, "data")
    RunSpec.parse({"model": {"family": "mlp"}, **values})


@pytest.mark.parametrize(
    ("path", "block"), [each for each in BLOCKS if each.values[1].language == "json"]
)
def test_json_is_json(path: Path, block: Block) -> None:
    json.loads(block.text)


def test_the_blocks_of_a_page_are_found_with_what_is_said_of_them() -> None:
    text = "a\n\n<!-- test: shrunk; `b` => `c d`; `e` => `f` -->\n```sh\nb e\n```\n\n"
    text += "```{toctree}\nx\n```\n```text\ny\n```\n"
    first, second = blocks(text)
    assert (first.language, first.kind, first.line) == ("sh", "shrunk", 3)
    assert first.tried() == "c d f\n"
    assert (second.language, second.how) == ("text", "")
    (bare,) = blocks("```\nmodiste plan x.yaml\n```\n")
    with pytest.raises(AssertionError, match="name a language"):
        test_every_block_says_how_it_is_tried(ROOT / "README.md", bare)
    unseen = [
        "- a list:\n  ```sh\n  ls\n  ```",
        "~~~sh\nls\n~~~",
        "> ```sh\n> ls\n> ```",
        "```sh\nls",
    ]
    assert [len(hidden(f"{text}{more}\n")) for more in unseen] == [2, 2, 2, 1]
    with pytest.raises(AssertionError, match="is to be replaced and is not there"):
        Block("sh", "b", first.how, 1).tried()
