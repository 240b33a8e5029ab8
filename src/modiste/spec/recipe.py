"""A recipe: one way to train, frozen in a file, that claims an accuracy in a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from modiste.errors import SpecError
from modiste.spec.base import Spec
from modiste.spec.parts import Estimator
from modiste.spec.run import RunSpec


class Recipe(Spec):
    """What a speedrun runs. Its choices were made on validation images, and its file is frozen.

    Attributes:
        title: What it is for, in a line.
        about: What was tried, and why it is so.
        goal: Test accuracy that its runs are to reach, as a mean.
        max_parameters: Of its net, batch norm's moving statistics counted; any number if not given.
        run: One training; seed and division are those of a lap, see `lap`. The weights that count
            are those after its last epoch, averaged where it averages.
        final_num_val: Images kept for validation before the counted look at the test set; one of
            each class is the fewest there can be, and leaves all others to train on.
    """

    title: str = Field(min_length=1)
    about: str = ""
    goal: float = Field(gt=0, lt=1)
    max_parameters: int | None = Field(None, ge=1)
    run: RunSpec
    final_num_val: int = Field(10, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _name_keys_in_full(cls, values: Any) -> Any:
        """Parts that a run chooses by name know their own path only."""
        if not isinstance(values, Mapping) or not isinstance(values.get("run"), Mapping):
            return values
        return {**values, "run": RunSpec.parse(values["run"], "run")}

    @model_validator(mode="after")
    def _ends_where_it_says(self) -> Self:
        if isinstance(self.run.model.params, Estimator):
            raise SpecError(f"run.model.family: {self.run.model.family!r} is no net.")
        for key in ("early_stopping", "max_seconds", "until"):
            if getattr(self.run.train, key) is not None:
                raise SpecError(f"run.train.{key}: a recipe says how many epochs; leave it out.")
        if self.run.data.folds is not None:
            raise SpecError("run.data.folds: a recipe is judged by other images; leave it out.")
        return self

    def lap(self, seed: int, split_seed: int, *, is_final: bool = False) -> RunSpec:
        """One training of it.

        Args:
            seed: Of weights, order, dropout and augmentation.
            split_seed: Of the division into images to train on and to validate on.
            is_final: Whether the test set is to be opened for it: then it trains on all images
                but `final_num_val`.
        """
        divided: dict[str, int | None] = {"split_seed": split_seed}
        if is_final:
            divided |= {"num_val": self.final_num_val, "num_train": None}
        data = self.run.data.model_copy(update=divided)
        return self.run.model_copy(update={"seed": seed, "data": data})
