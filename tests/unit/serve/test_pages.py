"""Pages that load nothing from elsewhere and show foreign words as words."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files

import pytest
from fastapi import FastAPI

from modiste.serve.answers import Served
from modiste.serve.pages import FILES, card_page
from tests.serving import ask

PAGE = files("modiste.serve") / "page"
SOURCES = ["index.html", "card.html", "page.css", "page.js", "icon.svg"]


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_comes_from_elsewhere_and_nothing_is_inline(name: str) -> None:
    text = (PAGE / name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text.replace("// ", ""))
    assert not re.search(r"<style|style=|<script(?! src)|\bon\w+=|javascript:|innerHTML", text)


@pytest.mark.parametrize("address", FILES)
def test_every_file_is_answered_with_its_kind(app: FastAPI, address: str) -> None:
    reply = ask(app, "GET", address)
    assert reply.status == 200
    assert reply.content == (PAGE / FILES[address]).read_bytes()
    kinds = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg"}
    assert reply.headers["content-type"].startswith(kinds[FILES[address].rpartition(".")[2]])


def test_the_card_page_shows_card_and_confusions(app: FastAPI, served: Served) -> None:
    text = ask(app, "GET", "/card").content.decode()
    assert "<title>Model card: mlp on small squares</title>" in text
    assert "<h1>mlp on small squares</h1>" in text
    assert "<h2>Calibration</h2>" in text
    assert "license:" not in text  # the head is for the hub
    counts = [int(n) for n in re.findall(r'<td class="(?:right|wrong) s\d">(\d+)</td>', text)]
    confusion = served.certificate["figures"]["confusion"]
    assert counts == [n for row in confusion for n in row]
    assert sum(counts) == served.certificate["figures"]["images"]


def test_an_export_without_confusions_says_so(served: Served) -> None:
    figures = {k: v for k, v in served.certificate["figures"].items() if k != "confusion"}
    for bad in ({}, {"confusion": [[1, 2]]}, {"confusion": "x"}, {"confusion": [["a"]]}):
        changed = replace(served, certificate={"figures": {**figures, **bad}})
        assert "holds no table of confusions" in card_page(changed)


@pytest.mark.parametrize("images", ["many", [3], None, {}])
def test_a_number_of_images_that_is_none_is_left_out(served: Served, images: object) -> None:
    figures = {**served.certificate["figures"], "images": images}
    text = card_page(replace(served, certificate={"figures": figures}))
    assert "Of the validation images: a row for each" in text


def test_hostile_words_in_a_card_stay_words(served: Served) -> None:
    hostile = "# <img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) ![b](http://evil/x.png)\n"
    names = ("<script>alert(1)</script>", *served.artifact.class_names[1:])
    config = {**served.artifact.config, "data_name": "</title><script>alert(1)</script>"}
    artifact = replace(served.artifact, class_names=names, config=config)
    text = card_page(replace(served, card=hostile, artifact=artifact))
    assert "<img" not in text
    assert "<script" not in text
    assert 'href="javascript' not in text
    assert "&lt;script&gt;" in text
