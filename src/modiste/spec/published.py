"""Published figures as a file beside a study: which run each belongs to, and what it said."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from modiste.spec.base import Spec

Settings = dict[str, Any]


class Parameters(Spec):
    """As the publication counts them."""

    total: int = Field(ge=0)
    trainable: int | None = Field(None, ge=0)


class PublishedRow(Spec):
    """One published row; what it does not name was not published.

    Attributes:
        name: What the publication calls it.
        settings: Full keys and values of the run it stands for.
        epochs: Epochs it was trained for; `epochs_about` where only that is said.
        learning_rate: Of the last epoch.
    """

    name: str = ""
    settings: Settings = {}
    note: str = ""
    parameters: Parameters | None = None
    epochs: int | None = None
    epochs_about: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = Field(None, ge=0, le=1)
    val_loss: float | None = None
    val_accuracy: float | None = Field(None, ge=0, le=1)
    test_loss: float | None = None
    test_accuracy: float | None = Field(None, ge=0, le=1)
    learning_rate: float | None = None


class PublishedStage(Spec):
    """The rows of one stage.

    Attributes:
        note: What a reader of these figures should know.
        conclusion: What the publication concluded from them, in our words.
        layers: Its layer table: what, output shape, parameters.
    """

    note: str = ""
    conclusion: str = ""
    rows: tuple[PublishedRow, ...] = ()
    layers: tuple[tuple[str, tuple[int, ...], int], ...] = ()


class Unsaid(Spec):
    """Something that the publication leaves open, and what was taken instead."""

    what: str
    taken: str
    keys: tuple[str, ...] = ()


class PublishedSpec(Spec):
    """A file of published figures.

    Attributes:
        source: Whose they are.
        epoch: Which of our epochs they are compared with.
        note: Why that one.
        unsaid: What the publication leaves open.
        stages: By the name of the stage they belong to.
    """

    schema_: Literal[1] = Field(1, alias="schema")
    source: str = ""
    epoch: Literal["best", "last"] = "last"
    note: str = ""
    unsaid: tuple[Unsaid, ...] = ()
    stages: dict[str, PublishedStage] = {}
