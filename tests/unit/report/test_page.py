"""The HTML: sound, closed to the world, readable by everybody."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re

import pytest

from modiste.report import write as report
from modiste.search.study import Study
from tests.unit.report.conftest import HOSTILE, Written
from tests.unit.report.page import Page

NAMES = ["quick", "full", "empty", "cut_in_part", "hostile"]


@pytest.fixture(params=NAMES, name="page")
def _page(request: pytest.FixtureRequest, every: dict[str, Written]) -> Page:
    return every[request.param].page


def test_it_loads_nothing_from_anywhere(page: Page) -> None:
    loads = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
    for element in page.elements:
        for name in loads:
            value = element.attributes.get(name, "#")
            assert value.startswith(("#", "data:image/png;base64,")), (element.tag, value)
        assert element.tag not in ("link", "iframe", "object", "embed", "base", "form")
    assert "@import" not in page.style
    assert re.findall(r"url\((?!#)", page.source) == []


def test_its_policy_forbids_the_network_and_every_script_but_its_own(page: Page) -> None:
    (policy,) = (
        e.attributes["content"]
        for e in page.elements
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    (script,) = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "connect-src" not in policy  # so `default-src` holds


def test_no_element_carries_code(page: Page) -> None:
    assert [e for e in page.elements if any(name.startswith("on") for name in e.attributes)] == []


def test_it_is_far_below_five_megabytes(page: Page) -> None:
    assert len(page.source.encode()) < 2_000_000


def test_headings_go_down_one_level_at_a_time(page: Page) -> None:
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_id_is_there_once_and_every_pointer_has_its_end(page: Page) -> None:
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    wanted = {e.attributes["href"][1:] for e in page.elements if e.tag in ("a", "use")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", page.source))
    wanted |= {e.attributes[n] for e in page.elements for n in ("aria-labelledby",)
               if n in e.attributes}  # fmt: skip
    assert wanted <= set(ids)


def test_tables_have_captions_and_headings_for_rows_and_columns(page: Page) -> None:
    for figure in page.root.all("figure", class_="table"):
        assert figure.all("figcaption")[0].text.startswith("Table ")
        (table,) = figure.all("table")
        assert all(th.attributes["scope"] in ("col", "colgroup", "row") for th in table.all("th"))
        rows = table.all("tbody")[0].all("tr")
        assert all(row.children[0].attributes.get("scope") == "row" for row in rows)


def test_every_row_of_a_table_fills_every_column(page: Page) -> None:
    for table in page.root.all("table"):
        heads = table.all("thead")[0].all("th")
        columns = sum(1 for th in heads if th.attributes["scope"] == "col")
        for row in table.all("tbody")[0].all("tr"):
            assert sum(int(c.attributes.get("colspan", "1")) for c in row.children) == columns


def test_what_cells_sort_by_does_not_hang_on_the_processor(page: Page) -> None:
    # A sum's last bits do: 0.9076012767802416 on one is 0.9076012767802417 on another.
    values = [e.attributes["data-value"] for e in page.elements if "data-value" in e.attributes]
    assert values or not page.root.all("table")
    for value in values:
        assert value.lstrip("-").isdigit() or value == f"{float(value):.10g}", value


def test_pictures_say_what_they_show(page: Page) -> None:
    assert all(e.attributes.get("alt") for e in page.elements if e.tag == "img")
    drawings = [e for e in page.elements if e.attributes.get("role") == "img"]
    assert all(len(e.attributes["aria-label"]) > 20 for e in drawings)
    for figure in page.root.all("figure"):
        assert figure.all("figcaption")


def test_it_names_its_language_and_offers_a_way_past_its_head(page: Page) -> None:
    (html,) = page.root.all("html")
    assert html.attributes["lang"] == "en"
    (skip,) = page.root.all("a", class_="skip")
    assert page.by_id(skip.attributes["href"][1:]).tag == "main"


def test_wide_things_scroll_in_boxes_that_the_keyboard_reaches(page: Page) -> None:
    boxes = [e for e in page.elements if "scroll" in e.attributes.get("class", "").split()]
    assert all(box.attributes.get("tabindex") == "0" for box in boxes)
    assert len([b for b in boxes if b.all("table")]) == len(page.root.all("table"))


def test_hostile_names_stay_names(hostile: Written) -> None:
    scripts = hostile.page.root.all("script")
    assert len(scripts) == 1
    assert "alert" not in scripts[0].text
    # In title, heading, paragraph, table, legend and Markdown, as they were given.
    assert HOSTILE in hostile.page.by_id("stage-only").text
    assert any(HOSTILE in row[0] for row in hostile.page.table("table-only"))
    assert HOSTILE not in hostile.markdown
    assert r"\<script\>" in hostile.markdown
    widths = {
        line.replace(r"\|", "").count("|")
        for line in hostile.markdown.split("**Table 4.**")[1].split("\n\n")[1].splitlines()
    }
    assert len(widths) == 1  # a pipe in a name makes no new column


# --- Colours ----------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(one: str, two: str, share: float) -> str:
    pairs = ((int(one[i : i + 2], 16), int(two[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.fixture(params=["light", "dark"], name="colours")
def _colours(request: pytest.FixtureRequest, empty: Written) -> dict[str, str]:
    style = empty.page.style
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    return found[0] if request.param == "light" else {**found[0], **found[1]}


@pytest.mark.parametrize("name", ["ink", "quiet", "accent"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
def test_text_can_be_read(colours: dict[str, str], name: str, ground: str) -> None:
    assert contrast(colours[name], colours[ground]) >= 4.5


@pytest.mark.parametrize("number", range(1, 7))
def test_lines_can_be_seen(colours: dict[str, str], number: int) -> None:
    assert contrast(colours[f"series-{number}"], colours["paper"]) >= 3


def test_numbers_can_be_read_in_the_darkest_cell(colours: dict[str, str]) -> None:
    darkest = mixed(colours["heat-colour"], colours["paper"], 0.6)
    assert contrast(colours["ink"], darkest) >= 4.5


def test_drawings_know_no_colours_but_the_pages(quick: Written) -> None:
    for panel in quick.page.root.all("div", class_="panel"):
        for element in panel.all("path") + panel.all("text") + panel.all("use"):
            assert not re.search(r"#[0-9a-f]{6}", element.attributes.get("style", ""))


def test_paper_is_always_light(empty: Written) -> None:
    dark = re.findall(r"@media ([^{]*prefers-color-scheme: dark[^{]*)\{", empty.page.style)
    assert dark == ["screen and (prefers-color-scheme: dark) "]


# --- The same again ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quick", "full"])
def test_the_same_folder_gives_the_same_bytes(name: str, every: dict[str, Written]) -> None:
    folder = every[name].study.folder
    before = [(folder / f"report.{kind}").read_bytes() for kind in ("html", "md")]
    report.write(Study(folder), every[name].tally)
    assert before == [(folder / f"report.{kind}").read_bytes() for kind in ("html", "md")]
