"""A plan for a data set that nobody has trained on yet: which nets, how long, in the time there is.

Four stages, each a question. What comes without a network? Which size of net? Do changed copies of
the training images help? And, on three seeds, how good is what was chosen? Nothing is taken for
granted that can be measured: a mirrored picture may be as good as another (a cat) or a wrong one
(a letter), and whether it is shows in the table of the third stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modiste.spec.parts import Shape

# A rule of thumb: updates after which nets of this size have learnt most of what they will. Of
# scikit-learn's digits, 1,800 are enough (LOG.md, 2026-11-25), of Fashion-MNIST 3,000 to 6,000.
ENOUGH_UPDATES = 3_000
FEWEST_EPOCHS, MOST_EPOCHS = 15, 100
# Below this share of the epochs that would do, a smaller plan is better than a shorter one.
LEAST_SHARE = 1 / 3
# Batch norm's moving figures follow within tens of updates. Keras's 0.99 takes hundreds, which sets
# of some hundred images do not make: 0.79 of digits in place of 0.98 (LOG.md, 2026-11-26).
BATCH_NORM_MOMENTUM = 0.9
# Numbers of pixels times images, and images, up to which these are fitted in minutes.
MOST_FOR_LOGISTIC, MOST_FOR_RBF = 50_000_000, 15_000
# One class has so many times the images of another: worth a word.
UNBALANCED = 3.0

Seconds = Callable[[dict[str, Any]], float]


@dataclass(frozen=True)
class Facts:
    """What a plan depends on.

    Attributes:
        data: The keys of `data`, as the study file will have them.
        shape_CHW: Of an image.
        counts_K: Images of each class, to train on and to validate on.
        num_val: Of them, to validate on.
    """

    data: dict[str, Any]
    shape_CHW: Shape
    counts_K: Sequence[int]
    num_val: int

    @property
    def num_train(self) -> int:
        return sum(self.counts_K) - self.num_val

    @property
    def side(self) -> int:
        """The shorter one, in pixels."""
        return min(self.shape_CHW[1:])


@dataclass(frozen=True)
class Ambition:
    """How much a plan tries.

    Attributes:
        num_sizes: Of convolutional nets, the smallest first.
        repeats: Seeds of each point that is compared.
        final_repeats: Seeds of what was chosen.
    """

    num_sizes: int
    repeats: int
    final_repeats: int


# From the most to the least; the first that fits into the time is taken.
AMBITIONS = (
    Ambition(3, repeats=3, final_repeats=5),
    Ambition(3, repeats=1, final_repeats=3),
    Ambition(2, repeats=1, final_repeats=3),
    Ambition(1, repeats=1, final_repeats=1),
)


@dataclass(frozen=True)
class Draft:
    """A plan.

    Attributes:
        values: Of a study file, but for name and title.
        seconds: What it takes, at the most that is known; what needs no network is not counted.
        fits: Whether that is in the time that there is.
        is_enough: Whether it trains for as many epochs as would be worth while.
    """

    values: dict[str, Any]
    seconds: float
    fits: bool
    is_enough: bool


def draft(facts: Facts, budget_seconds: float, seconds_of: Seconds) -> Draft:
    """The most ambitious plan that fits into the time.

    Args:
        facts: Of the data set.
        budget_seconds: What there is.
        seconds_of: Tells how long a study with these values takes.
    """
    good = enough_epochs(facts)
    for ambition in AMBITIONS:
        values = study_values(facts, ambition, good)
        seconds = seconds_of(values)
        if seconds <= budget_seconds:
            return Draft(values, seconds, fits=True, is_enough=True)
    # The least ambitious, cut short; time goes with epochs, but for what comes once.
    least = max(3, round(good * LEAST_SHARE))
    epochs = max(least, min(good, int(good * budget_seconds / seconds)))
    values = study_values(facts, AMBITIONS[-1], epochs)
    seconds = seconds_of(values)
    return Draft(values, seconds, fits=seconds <= budget_seconds * 1.1, is_enough=epochs >= good)


def most_ambitious(facts: Facts) -> dict[str, Any]:
    """The plan that has every net of all plans: what is to be measured."""
    return study_values(facts, AMBITIONS[0], enough_epochs(facts))


def enough_epochs(facts: Facts) -> int:
    """After which more would hardly help."""
    updates = -(-facts.num_train // batch_size(facts))
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, -(-ENOUGH_UPDATES // updates)))


def batch_size(facts: Facts) -> int:
    """Images in one update: more where there are more, so that an epoch is tens of updates."""
    return 64 if facts.num_train < 5_000 else 128 if facts.num_train < 30_000 else 256


def study_values(facts: Facts, ambition: Ambition, epochs: int) -> dict[str, Any]:
    """The keys of a study file."""
    return {
        "data": facts.data,
        "train": {
            "epochs": epochs,
            "batch_size": batch_size(facts),
            "optimizer": {"name": "adam", "learning_rate": 0.001},
            "schedule": {
                "name": "reduce_on_plateau",
                "monitor": "val_loss",
                "patience": max(3, epochs // 10),
                "factor": 0.3,
            },
        },
        "stages": [
            {"name": "no-network", "points": _without_network(facts)},
            {
                "name": "nets",
                "points": _nets(facts, ambition),
                **_repeats(ambition.repeats),
            },
            {
                "name": "augmentation",
                "from": ["nets"],
                "points": _augmentations(facts),
                **_repeats(ambition.repeats),
            },
            {
                "name": "final",
                "final": True,
                "export": True,
                "from": ["augmentation"],
                **_repeats(ambition.final_repeats),
            },
        ],
    }


def _repeats(number: int) -> dict[str, Any]:
    return {"repeats": number} if number > 1 else {}


def _without_network(facts: Facts) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = [{"label": "majority class", "model": {"family": "majority"}}]
    channels, height, width = facts.shape_CHW
    if channels * height * width * facts.num_train <= MOST_FOR_LOGISTIC:
        logistic = {"family": "logistic_regression", "params": {"C": 0.1}}
        points.append({"label": "logistic regression", "model": logistic})
    if facts.side >= 8:
        cell = max(2, round(facts.side / 7))
        params: dict[str, Any] = {"features": "hog", "cell": cell}
        params["block"] = min(7, facts.side // cell)
        is_few = facts.num_train <= MOST_FOR_RBF
        params |= {"kernel": "rbf", "C": 3.0} if is_few else {"kernel": "linear", "C": 1.0}
        label = f"HOG + {'RBF' if is_few else 'linear'} SVM"
        points.append({"label": label, "model": {"family": "svm", "params": params}})
    return points


def _nets(facts: Facts, ambition: Ambition) -> list[dict[str, Any]]:
    depth = 2 if facts.side < 12 else 3 if facts.side < 48 else 4
    points = []
    # The largest first: while nobody knows which wins, it stands for what comes after.
    for first in (64, 32, 16)[3 - ambition.num_sizes :]:
        filters = [first * 2**layer for layer in range(depth)]
        params = {
            "filters": filters,
            "dropout": 0.25,
            "batch_norm_momentum": BATCH_NORM_MOMENTUM,
        }
        label = f"CNN {'-'.join(map(str, filters))}"
        points.append({"label": label, "model": {"family": "cnn", "params": params}})
    mlp = {"family": "mlp", "params": {"hidden": [256], "dropout": 0.3}}
    return [*points, {"label": "MLP 256", "model": mlp}]


def _augmentations(facts: Facts) -> list[dict[str, Any]]:
    shift = {"name": "shift", "pixels": max(1, round(facts.side / 14))}
    return [
        {"label": "as they are", "train.augment": []},
        {"label": "shifted", "train.augment": [shift]},
        {"label": "mirrored", "train.augment": [{"name": "mirror"}]},
        {"label": "shifted and mirrored", "train.augment": [shift, {"name": "mirror"}]},
    ]
