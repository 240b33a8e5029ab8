"""Recipes are read, checked and told apart by their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from modiste.errors import SpecError
from modiste.recipes.files import every_recipe, open_recipe
from modiste.spec.recipe import Recipe
from tests import small

RECIPE: dict[str, Any] = {"title": "tiny", "goal": 0.5, "final_num_val": 10, "run": small.RUN}


def write(path: Path, **more: Any) -> Path:
    path.write_text(yaml.safe_dump({**RECIPE, **more}), encoding="utf-8")
    return path


def test_all_that_come_with_modiste_can_be_read() -> None:
    files = list(every_recipe())
    assert {"mlp", "cnn"} <= {file.name for file in files}
    for file in files:
        assert open_recipe(file.name) == file
        assert file.recipe.run.data.name == "fashion-mnist"


def test_seeds_follow_from_the_file_and_from_nothing_else(tmp_path: Path) -> None:
    one = open_recipe(str(write(tmp_path / "one.yaml")))
    assert open_recipe(str(write(tmp_path / "copy.yaml"))).seeds(4) == one.seeds(4)
    assert one.seeds(2) == one.seeds(4)[:2]
    assert len(set(one.seeds(4))) == 4
    changed = open_recipe(str(write(tmp_path / "changed.yaml", about="A comma, more.")))
    assert not set(changed.seeds(4)) & set(one.seeds(4))


def test_a_final_lap_trains_on_all_but_the_fewest() -> None:
    recipe = Recipe.parse(RECIPE)
    lap, final = recipe.lap(3, 1), recipe.lap(3, 0, is_final=True)
    assert (lap.seed, lap.data.split_seed, lap.data.num_val) == (3, 1, small.NUM_VAL)
    assert (final.seed, final.data.split_seed, final.data.num_val) == (3, 0, 10)
    assert lap.train == final.train == recipe.run.train
    few = Recipe.parse({**RECIPE, "run": {**small.RUN, "data": {"name": "idx", "num_train": 50}}})
    assert few.lap(3, 1).data.num_train == 50
    assert few.lap(3, 0, is_final=True).data.num_train is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"goal": 91}, "goal: input should be less than 1"),
        ({"epochs": 3}, "epochs: no such key"),
        ({"run": {**small.RUN, "model": {"family": "knn"}}}, "run.model.family: 'knn' is no net"),
        (
            {"run": {**small.RUN, "train": {"early_stopping": {"patience": 3}}}},
            "run.train.early_stopping: a recipe says how many epochs",
        ),
        (
            {"run": {**small.RUN, "train": {"max_seconds": 3}}},
            "run.train.max_seconds: a recipe says how many epochs",
        ),
        (
            {"run": {**small.RUN, "model": {"family": "mlp", "params": {"hiden": [3]}}}},
            "run.model.params.hiden: no such key. Did you mean 'hidden'",
        ),
        (
            {"run": {**small.RUN, "train": {"epochs": 5, "until": 3}}},
            "run.train.until: a recipe says how many epochs",
        ),
        (
            {"run": {**small.RUN, "data": {"name": "idx", "folds": 3}}},
            "run.data.folds: a recipe is judged by other images",
        ),
        (
            {"run": {**small.RUN, "train": {"optimiser": "adam"}}},
            "run.train.optimiser: no such key. Did you mean 'optimizer'",
        ),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, change: Any, words: str) -> None:
    path = write(tmp_path / "bad.yaml", **change)
    with pytest.raises(SpecError) as error:
        open_recipe(str(path))
    assert str(error.value).startswith(f"{path}: {words}")


def test_a_name_that_is_none_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"mlpp: no recipe has this name.*Did you mean 'mlp'"):
        open_recipe("mlpp")
