"""The page of `modiste serve` in a real browser: by mouse, by keyboard, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser import Tab, browser
from tests.serving import Running, png, running
from tests.shipping import ship

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ANSWERED = "document.getElementById('status').textContent.includes('probability')"
SHOWN = "!document.getElementById('found').hidden"


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = ship(tmp_path_factory.mktemp("page"), {"train.epochs": 30}).folder
    with running(folder, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module", name="chromium")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture(name="page")
def _page(chromium: Tab, server: Running) -> Iterator[Tab]:
    """The page, opened anew at the size of a desk; at the end nothing may have gone wrong in it."""
    chromium.troubles.clear()
    chromium.resize(1100, 800)
    chromium.prefer("light")
    chromium.open(server.address)
    chromium.until("document.querySelectorAll('#samples button').length > 0")
    yield chromium
    chromium.see("1")  # what it had to say until now
    assert chromium.troubles == []


def rows(page: Tab) -> list[tuple[str, float]]:
    found = page.see(
        "[...document.querySelectorAll('#rows tr')].map((row) => "
        "[row.querySelector('th').textContent, Number(row.querySelector('.number').textContent)])"
    )
    return [(name, share) for name, share in found]


def is_answered(page: Tab) -> None:
    """An answer is shown whole: likeliest first, both pictures, what decided in words."""
    page.until(f"{ANSWERED} && {SHOWN}")
    found = rows(page)
    assert len(found) == 10
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)
    assert sum(share for _, share in found) == pytest.approx(1, abs=0.006)
    status = page.see("document.getElementById('status').textContent")
    assert f": {found[0][0]}, probability {found[0][1]:.3f}" in status
    assert page.see("document.getElementById('seen').width") == 28
    assert page.see("document.getElementById('map').width") == 28
    assert "evaluations" in page.see("document.getElementById('decided').textContent")


def test_an_uploaded_image_is_answered(page: Tab, tmp_path: Path) -> None:
    path = tmp_path / "white.png"
    path.write_bytes(png(np.full((60, 90), 255, np.uint8)))
    page.choose("#file", path)
    is_answered(page)
    assert "white.png" in page.see("document.getElementById('status').textContent")
    # The model is shown as it sees: everything white; and it is said to be unlike.
    assert page.see(
        "document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28)"
        ".data.every((level) => level === 255)"
    )
    assert "unlike the training images" in page.see(
        "document.getElementById('warning').textContent"
    )


def test_a_dropped_image_is_answered_wherever_on_the_page_it_falls(page: Tab) -> None:
    page.drop("main", png(np.full((60, 90), 255, np.uint8)), "dropped.png")
    is_answered(page)
    assert "dropped.png" in page.see("document.getElementById('status').textContent")
    assert not page.see("document.getElementById('drop').classList.contains('over')")


def test_a_drawing_is_answered_and_can_be_cleared(page: Tab) -> None:
    page.click("#classify")
    page.until("document.getElementById('status').textContent === 'Nothing was drawn yet.'")
    page.see("document.getElementById('pad').scrollIntoView({block: 'center'})")
    box = page.box("#pad")
    page.drag(*[(box["x"] + x, box["y"] + y) for x, y in [(60, 60), (200, 60), (120, 240)]])
    page.click("#classify")
    is_answered(page)
    page.click("#clear")
    page.click("#classify")
    page.until("document.getElementById('status').textContent === 'Nothing was drawn yet.'")


def test_a_sample_is_answered_with_its_own_class(page: Tab) -> None:
    page.click("#samples li:nth-child(4) button")
    is_answered(page)
    # The golden images are those that the model answers clearly.
    label = page.see("document.querySelector('#samples li:nth-child(4) button').textContent")
    assert f"Sample ({label})" in page.see("document.getElementById('status').textContent")


def test_what_is_no_image_is_refused_in_words(page: Tab, tmp_path: Path) -> None:
    path = tmp_path / "words.png"
    path.write_text("no image")
    page.choose("#file", path)
    page.until("document.getElementById('status').textContent.startsWith('No answer: image 1')")
    assert not page.see(SHOWN)
    page.see("1")
    # The browser logs a refusal of its own accord, as it should; nothing else is wrong.
    assert ["422" in trouble for trouble in page.troubles] == [True]
    page.troubles.clear()


def test_everything_can_be_done_by_keyboard_alone(page: Tab) -> None:
    reached = []
    for _ in range(12):
        page.press("Tab")
        reached.append(page.see("document.activeElement.id || document.activeElement.textContent"))
        if reached[-1] == "pad":
            break
    assert reached[0] == "Skip to the answer"
    assert {"Try it", "Model card", "file", "pad"} <= set(reached)
    assert page.see("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.press(" ")
    page.press("ArrowDown", 8)
    page.press("ArrowRight", 5)
    page.press(" ")
    assert "Pen up, 68 % from the left" in page.see("document.getElementById('pen').textContent")
    page.press("Tab")
    assert page.see("document.activeElement.id") == "classify"
    page.press("Enter")
    is_answered(page)
    page.press("Tab", 2)
    assert page.see("document.activeElement.parentElement.parentElement.id") == "samples"
    page.press(" ")
    page.until("document.getElementById('status').textContent.startsWith('Sample')")
    is_answered(page)


@pytest.mark.parametrize("path", ["", "card"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_words_can_be_read(
    page: Tab, server: Running, path: str, scheme: str
) -> None:
    page.resize(360, 740, is_phone=True)
    page.prefer(scheme)
    page.open(server.address + path)
    if not path:
        page.until("document.querySelectorAll('#samples button').length > 0")
        page.click("#samples button")
        is_answered(page)
        assert page.box("#classify")["height"] >= 44  # as large as a finger
    assert page.see("document.documentElement.scrollWidth") <= 360
    ratios = page.see(CONTRASTS)
    assert len(ratios) > 10
    # WCAG 2.2, 1.4.3 (AA): 4.5 for text of ordinary size.
    assert min(ratios) >= 4.5


def test_the_card_page_holds_the_table_and_the_card(page: Tab, server: Running) -> None:
    page.open(server.address + "card")
    assert page.see("document.querySelectorAll('.matrix td').length") == 100
    assert page.see("[...document.querySelectorAll('h2')].map((head) => head.textContent)")[:2] == [
        *("Which classes it takes for which", "Use")
    ]


def test_with_the_token_in_its_address_the_page_opens_and_forgets_it(
    chromium: Tab, server: Running, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = ship(tmp_path_factory.mktemp("token")).folder
    with running(folder, tmp_path, "--host", "0.0.0.0") as guarded:
        token = guarded.address.partition("?")[2]
        chromium.troubles.clear()
        chromium.open(f"http://127.0.0.1:{guarded.port}/?{token}")
        chromium.until("document.querySelectorAll('#samples button').length > 0")
        assert chromium.see("location.search") == ""
        assert chromium.see("document.cookie") == ""
        chromium.click("#samples button")
        is_answered(chromium)
    assert chromium.troubles == []


# Of every element with words of its own: the contrast of its colour with what lies behind it, by
# WCAG's formula; colours that let through are laid on what is behind them.
CONTRASTS = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((v, k) => v * a + below[k] * (1 - a));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    if ((colour[3] ?? 1) === 1) return colour.slice(0, 3);
    return over(colour, behind(element.parentElement));
  };
  const light = (colour) => colour.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  return [...document.body.querySelectorAll('*')]
    .filter((element) => element.checkVisibility() && element.tagName !== 'CANVAS'
      && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
    .map((element) => {
      const ground = behind(element);
      const [a, b] = [light(over(parse(getComputedStyle(element).color), ground)), light(ground)];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
})()"""
