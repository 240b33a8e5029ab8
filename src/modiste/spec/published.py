"""Published figures as a file beside a study: which run each belongs to, and what it said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from modiste.errors import SpecError, did_you_mean
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


class Choice(Spec):
    """A point that the publication took, and the one that it might have taken as well.

    Attributes:
        taken, over: Full keys and values of each.
    """

    taken: Settings
    over: Settings


class PublishedStage(Spec):
    """The rows of one stage.

    Attributes:
        source: Whose they are, where they are not those of the whole file.
        note: What a reader of these figures should know.
        conclusion: What the publication concluded from them, in our words.
        layers: Its layer table: what, output shape, parameters.
        choice: Between two points, which a report answers as a computed one.
    """

    source: str = ""
    note: str = ""
    conclusion: str = ""
    rows: tuple[PublishedRow, ...] = ()
    layers: tuple[tuple[str, tuple[int, ...], int], ...] = ()
    choice: Choice | None = None


class Unsaid(Spec):
    """Something that the publication leaves open, and what was taken instead."""

    what: str
    taken: str
    keys: tuple[str, ...] = ()


class Group(Spec):
    """Some points of a study.

    Attributes:
        name: What they are called in a sentence.
        stages: The first of these that has such points, finished, gives them.
        where: Full keys and values; a point that agrees with any of these belongs to the group.
    """

    name: str
    stages: tuple[str, ...] = Field(min_length=1)
    where: tuple[Settings, ...] = Field(({},), min_length=1)


class ClaimTest(Spec):
    """What a claim says of two groups of points, in one figure.

    Attributes:
        figure: ``val_accuracy``, ``val_loss``, ``train_accuracy``, ``train_loss``, ``gap`` (of
            training less validation accuracy), ``epochs``, ``best_epoch``, ``seconds_per_epoch``,
            or ``train_loss@N``, as it was seen in epoch N.
        expect: Of the first group against the second.
        margin: What still counts as the same, in the units of the figure.
        decides: Whether the claim stands or falls with it; others are shown beside.
    """

    figure: str = Field(
        pattern=r"^(val_accuracy|val_loss|train_accuracy|train_loss|gap|epochs|best_epoch"
        r"|seconds_per_epoch|train_loss@[1-9][0-9]*)$"
    )
    one: Group
    expect: Literal["more", "less", "same", "not_less", "not_more"]
    two: Group
    margin: float = Field(0.0, ge=0)
    decides: bool = True


class Claim(Spec):
    """A conclusion of the publication, in our words, and how it can be answered.

    Attributes:
        id: Short, such as ``c1``.
        says: The claim.
        note: What a reader should know of it.
        tests: What it says of our runs.
        because: Why it holds, where that is a matter of arithmetic and not of runs.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    says: str
    note: str = ""
    tests: tuple[ClaimTest, ...] = ()
    because: str = ""

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        if bool(self.because) == bool(self.tests):
            raise SpecError(f"{self.id}: give either `tests` or `because`, a reason.")
        return self


class PublishedSpec(Spec):
    """A file of published figures.

    Attributes:
        source: Whose they are.
        epoch: Which of our epochs they are compared with.
        note: Why that one.
        unsaid: What the publication leaves open.
        stages: By the name of the stage they belong to.
        claims: What the publication concluded from them.
    """

    schema_: Literal[1] = Field(1, alias="schema")
    source: str = ""
    epoch: Literal["best", "last"] = "last"
    note: str = ""
    unsaid: tuple[Unsaid, ...] = ()
    stages: dict[str, PublishedStage] = {}
    claims: tuple[Claim, ...] = ()

    def check_claims(self, known: Sequence[str], where: str) -> None:
        """See that claims are about stages that there are.

        Args:
            known: Names of the stages of the study.
            where: Of this file, for messages.

        Raises:
            SpecError: If there is none of a name; the message holds the key and the nearest name.
        """
        for i, claim in enumerate(self.claims):
            for j, test in enumerate(claim.tests):
                for side, group in (("one", test.one), ("two", test.two)):
                    for k, name in enumerate(group.stages):
                        if name not in known:
                            raise SpecError(
                                f"{where}.claims[{i}].tests[{j}].{side}.stages[{k}]: no stage is "
                                f"named {name!r}.{did_you_mean(name, known)}"
                            )
