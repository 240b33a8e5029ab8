"""The site is built from docs/ without a warning or a network, and from what the code says."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import modiste
from docs.made import fill, pieces, study_file
from docs.made.docstrings import attribute
from docs.made.markdown import between, table
from modiste.cli.main import app
from modiste.evaluate.finding import FINDINGS
from modiste.evaluate.study_finding import STUDY_FINDINGS
from modiste.spec.base import Spec
from modiste.spec.search import SearchSpec

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SPECS = [
    *study_file.SPECS.values(),
    *(kind.get(name) for kind in study_file.PARTS.values() for name in kind.names()),
]


@pytest.mark.parametrize("cls", SPECS, ids=lambda cls: cls.__name__)
def test_the_docstring_of_a_spec_says_what_each_key_means(cls: type[Spec]) -> None:
    keys = [key for key in cls.model_fields if not study_file.is_elsewhere(cls, key)]
    assert [key for key in keys if not attribute(cls, key)] == []


def test_what_a_search_reads_as_its_keys_is_in_its_table() -> None:
    for name in SearchSpec.read_as_tune:
        assert f"| `{name}` | keys and values |  | " in study_file.text()


def test_a_part_that_is_chosen_where_nobody_does_is_no_part_that_is_needed() -> None:
    rows = [line for line in study_file.text().splitlines() if line.startswith("| `optimizer`")]
    assert [row.split(" | ")[1:3] for row in rows] == [["keys and values", "`adam`"]]


def test_every_piece_made_from_the_code_has_its_place_on_one_page() -> None:
    marks = [
        name
        for path in DOCS.rglob("*.md")
        for name in re.findall(
            r"^<!-- made from the code: (\w+) -->$", path.read_text("utf-8"), re.MULTILINE
        )
    ]
    assert sorted(marks) == sorted(pieces())


def test_every_verb_and_each_of_its_options_is_in_the_reference() -> None:
    text = fill((DOCS / "reference" / "command_line.md").read_text("utf-8"))
    _, *pieces = re.split(r"^## (modiste .+)$", text, flags=re.MULTILINE)
    sections = dict(zip(pieces[::2], pieces[1::2], strict=True))
    verbs = {
        f"modiste {name} {child}".strip(): verb
        for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
        for child, verb in getattr(command, "commands", {"": command}).items()
    }
    assert list(sections) == list(verbs)
    for words, verb in verbs.items():
        options = [
            name for p in verb.params for name in p.opts + p.secondary_opts if name[0] == "-"
        ]
        assert [name for name in options if f"`{name}`" not in sections[words]] == [], words


def test_a_text_takes_the_place_of_what_stands_between_its_marks() -> None:
    page = "a\n<!-- rows: begin -->\nold\n<!-- rows: end -->\nb\n"
    told = between("rows", page, "new")
    assert told == "a\n<!-- rows: begin -->\n\nnew\n\n<!-- rows: end -->\nb\n"
    assert between("rows", told, "new") == told
    for missing in ("begin", "end"):
        with pytest.raises(AssertionError, match=f"no mark rows: {missing}"):
            between("rows", page.replace(missing, "gone"), "new")


def test_a_cell_of_a_table_has_no_border_of_its_own() -> None:
    assert table(["a"], [["b|c"], ["d\\|e"]]) == "| a |\n|---|\n| b\\|c |\n| d\\|e |"


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built in a process of its own: Sphinx changes much of the one that it is in."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-b", "html", "-d", folder / "trees"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, DOCS, folder / "site"],
        capture_output=True,
        text=True,
        check=False,
        # What would go out to fetch something, fails.
        env={"PATH": "", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.mark.slow
def test_every_page_is_in_the_site_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for path in DOCS.rglob("*.md"):
        page = site / path.relative_to(DOCS).with_suffix(".html")
        loaded = re.findall(
            r'<(?:script|img|link|iframe)[^>]*(?:src|href)="([^"]+)"', page.read_text("utf-8")
        )
        assert loaded
        assert [address for address in loaded if "//" in address] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text("utf-8")), style


@pytest.mark.slow
def test_every_finding_has_the_anchor_of_its_code(site: Path) -> None:
    text = (site / "findings.html").read_text("utf-8")
    for code in [*FINDINGS.names(), *STUDY_FINDINGS.names()]:
        assert f'id="{code.lower()}"' in text


@pytest.mark.slow
def test_every_public_name_is_in_the_site_with_its_docstring(site: Path) -> None:
    text = html.unescape(
        re.sub(r"<[^>]+>", "", (site / "reference/python_api.html").read_text("utf-8"))
    )
    words = " ".join(text.split())
    for name in modiste.__all__:
        first = (getattr(modiste, name).__doc__ or "").splitlines()[0]
        assert " ".join(first.replace("`", "").split()) in words, name
