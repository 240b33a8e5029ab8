"""The page of words for Keras users says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from modiste.spec.parts import OPTIMIZERS
from modiste.spec.run import RunSpec

PAGE = (Path(__file__).parents[2] / "docs" / "words_from_keras.md").read_text()

SNIPPETS = re.findall(r"`((?:train\.\w+: |model: )?[{\[][^`]*[}\]])`", PAGE)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and line.count("|") == 5
]
CLAIMS = [
    pytest.param(name, preset, field, cell, id=f"{name}-{preset}-{field}")
    for what, keras, torch, fields in ROWS
    for name in OPTIMIZERS.names()
    if OPTIMIZERS.get(name).__name__ in re.findall(r"\w+", what)
    for preset, cell in (("keras", keras), ("torch", torch))
    for field in re.findall(r"`(\w+)`", fields)
    if type(OPTIMIZERS.get(name).preset_defaults[preset].get(field)) is float
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_what_the_page_tells_to_write_can_be_read(snippet: str) -> None:
    key, _, rest = snippet.partition(": ")
    values: dict[str, Any] = {"model": {"family": "mlp"}, "train": {}}
    if key == "model":
        values["model"] = yaml.safe_load(rest)
    elif key.startswith("train."):
        values["train"] = {key.removeprefix("train."): yaml.safe_load(rest)}
    else:
        values["train"] = {"optimizer": yaml.safe_load(snippet)}
    RunSpec.parse(values)


@pytest.mark.parametrize(("name", "preset", "field", "cell"), CLAIMS)
def test_each_number_in_the_table_of_presets_is_the_presets(
    name: str, preset: str, field: str, cell: str
) -> None:
    value = OPTIMIZERS.get(name).preset_defaults[preset][field]
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", cell)]
    assert value in numbers


def test_the_page_was_found_to_say_something() -> None:
    assert len(SNIPPETS) >= 8
    assert len(CLAIMS) >= 30
