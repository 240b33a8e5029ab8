"""Presets fill what is not said, and an equal fingerprint means equal work."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import SpecError
from modiste.models.layers import table
from modiste.spec.base import Spec
from modiste.spec.parts import MODELS, OPTIMIZERS
from modiste.spec.run import RunSpec, versions_here
from modiste.spec.settings import assign
from tests import small

DIGEST = "d" * 64

FULL = small.run_spec(
    {
        **small.CNN,
        "train.optimizer": {"name": "adam", "learning_rate": 0.01},
        "data.folds": 5,
        "data.fold": 2,
        "train.until": 4,
        "data.decode": {"size": [28, 28], "channels": 1},
        "data.test_share": 0.2,
        "train.class_weights": "balanced",
    }
)


# --- presets --------------------------------------------------------------------------------------


def minimal(preset: str, **values: Any) -> RunSpec:
    return RunSpec.parse({"preset": preset, "model": {"family": "cnn"}, **values})


def test_the_preset_fills_what_is_not_said() -> None:
    keras, torch = minimal("keras").to_dict(), minimal("torch").to_dict()
    assert keras["model"]["params"]["initialisation"] == "glorot_uniform"
    assert keras["model"]["params"]["batch_norm_momentum"] == 0.99
    assert keras["model"]["params"]["batch_norm_epsilon"] == 1e-3
    assert keras["train"]["optimizer"]["epsilon"] == 1e-7
    assert torch["model"]["params"]["initialisation"] == "kaiming_uniform"
    assert torch["model"]["params"]["batch_norm_momentum"] == 0.9
    assert torch["model"]["params"]["batch_norm_epsilon"] == 1e-5
    assert torch["train"]["optimizer"]["epsilon"] == 1e-8


def test_keras_is_the_preset_where_none_is_named_and_adam_the_optimizer() -> None:
    spec = RunSpec.parse({"model": {"family": "mlp"}})
    assert spec == RunSpec.parse({"preset": "keras", "model": {"family": "mlp"}})
    assert (spec.train.optimizer.name, spec.train.optimizer.learning_rate) == ("adam", 0.001)
    assert (spec.train.batch_size, spec.train.schedule.name) == (128, "constant")


def test_what_is_said_goes_above_the_preset() -> None:
    params = {"batch_norm_epsilon": 0.5}
    spec = minimal("keras", model={"family": "cnn", "params": params})
    assert spec.to_dict()["model"]["params"]["batch_norm_epsilon"] == 0.5
    assert spec.to_dict()["model"]["params"]["batch_norm_momentum"] == 0.99


@pytest.mark.parametrize("registry", [MODELS, OPTIMIZERS], ids=lambda registry: registry.what)
def test_both_presets_speak_of_keys_that_there_are(registry: Any) -> None:
    for name in registry.names():
        cls = registry.get(name)
        for preset, values in cls.preset_defaults.items():
            assert preset in ("keras", "torch")
            assert set(values) <= set(cls.model_fields)


@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_softmax_is_the_last_layers_alone(family: str) -> None:
    model = {"family": family, "params": {"activation": "softmax"}}
    with pytest.raises(SpecError, match=r"model\.params\.activation: .*relu"):
        small.run_spec({"model": model})


# --- fingerprints ---------------------------------------------------------------------------------

SAME_WORK: list[dict[str, Any]] = [
    {"model": {"family": "mlp"}},
    {"model": {"family": "mlp", "params": {}}},
    {"model": {"params": None, "family": "mlp"}, "train": {}},
    {"model": {"family": "mlp", "params": {"hidden": [], "dropout": 0}}},
    {"model": {"family": "mlp", "params": {"hidden": ()}}, "train": {"optimizer": "adam"}},
    {"model": {"family": "mlp"}, "train": {"optimizer": {"learning_rate": 1e-3, "name": "adam"}}},
    {"model": {"family": "mlp"}, "train": {"optimizer": {"name": "adam", "learning_rate": "1e-3"}}},
    {"model": {"family": "mlp"}, "train": {"schedule": "constant", "augment": None}},
    {"model": {"family": "mlp"}, "train": {"early_stopping": None, "epochs": 300.0}},
    {"model": {"family": "mlp"}, "seed": 0, "threads": 1, "preset": "keras", "device": "cpu"},
    {"model": {"family": "mlp"}, "data": {"name": "fashion-mnist", "num_val": 12_000}},
]


def test_equal_work_has_one_fingerprint_however_it_is_written() -> None:
    prints = {RunSpec.parse(values).fingerprint(DIGEST) for values in SAME_WORK}
    assert len(prints) == 1
    assert all(len(text) == 64 and int(text, 16) >= 0 for text in prints)


@pytest.mark.parametrize("spec", [FULL, small.run_spec()], ids=["cnn", "mlp"])
def test_a_spec_that_was_stored_and_read_is_the_same_work(spec: RunSpec) -> None:
    again = RunSpec.parse(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.fingerprint(DIGEST) == spec.fingerprint(DIGEST)


def leaves(values: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    elif isinstance(values, list) and values:
        for index, value in enumerate(values):
            yield from leaves(value, (*path, index))
    else:
        yield path


NOTHING = object()
OTHER_WORDS = {
    "preset": "torch",
    "device": "cuda",
    "kernels": "fused",
    "precision": "bfloat16",
    "views": "mirror",
    "padding": "valid",
    "pooling": "none",
    "activation": "gelu",
    "initialisation": "he_normal",
    "scaling": "standard",
    "monitor": "train_loss",
    "fill": "zero",
    "sizing": "crop",
    "resize": "box",
    "channels": 3,
    "class_weights": None,
}


def changed(key: Any, value: Any) -> Any:
    """Another value that the same key may have; `NOTHING` if there is none."""
    if key in OTHER_WORDS:
        return OTHER_WORDS[key]
    if isinstance(value, bool):
        return not value
    if key == "num_train":
        return 40
    if key == "max_seconds":
        return 60.0
    if key == "averaging":
        return {"decay": 0.99}
    if key in ("num_layers", "kernel"):  # two lists of filters, one of the known kernels
        return {"num_layers": 2, "kernel": 5}[key]
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 or 0.25
    assert key in ("name", "family"), f"no other value known for {key} = {value!r}"
    return NOTHING


def all_changes() -> dict[str, RunSpec]:
    found = {}
    for path in leaves(FULL.to_dict()):
        values = copy.deepcopy(FULL.to_dict())
        node: Any = values
        for key in path[:-1]:
            node = node[key]
        other = changed(path[-1], node[path[-1]])
        if other is not NOTHING:
            node[path[-1]] = other
            found[".".join(map(str, path))] = RunSpec.parse(values)
    return found


CHANGES = all_changes()


def test_every_field_of_every_part_is_changed_here() -> None:
    def fields(spec: Spec) -> int:
        """How many fields that are no parts themselves, and no names of parts."""
        count = 0
        for name in type(spec).model_fields:
            value = getattr(spec, name)
            parts = value if isinstance(value, tuple) else (value,)
            specs = [part for part in parts if isinstance(part, Spec)]
            if specs:
                count += sum(fields(part) for part in specs)
            elif name not in ("name", "family"):
                count += len(parts) if isinstance(value, tuple) else 1
        return count

    assert len(CHANGES) == fields(FULL)


@pytest.mark.parametrize("key", CHANGES)
def test_a_field_that_changes_numbers_changes_the_fingerprint(key: str) -> None:
    assert CHANGES[key] != FULL
    assert CHANGES[key].fingerprint(DIGEST) != FULL.fingerprint(DIGEST)


def test_no_two_of_all_these_changes_have_one_fingerprint() -> None:
    parts = {
        **{f"optimizer {name}": {"train.optimizer": name} for name in OPTIMIZERS.names()},
        "no schedule": {"train.schedule": "constant"},
        "no stopping": {"train.early_stopping": None},
        "no augmentation": {"train.augment": []},
        "another order of augmentations": {"train.augment": ["shift", "mirror", "erase"]},
        "another family": {"model": {"family": "mlp"}},
        "another data set": {"data.name": "fashion-mnist"},
    }
    others = [RunSpec.parse(assign(FULL.to_dict(), settings)) for settings in parts.values()]
    prints = [spec.fingerprint(DIGEST) for spec in [FULL, *CHANGES.values(), *others]]
    assert len(set(prints)) == len(prints)


# Of runs whose results are committed. Whoever changes one of these makes them worthless.
KEPT = {
    "mlp-final, seed 0": "cdcde9ed808c4976182ea1e5d617acbc9cadbe441a01f00f1297451f1249f46a",
    "mlp-final, seed 1": "62756a58ef2e506668b14d071b07445d4f4c8d3d443785ab36550aebc27f6e4b",
}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_fingerprint_of_a_net_is_what_it_was(seed: int) -> None:
    plateau = {"name": "reduce_on_plateau", "patience": 10, "factor": 0.1, "cooldown": 2}
    spec = RunSpec.parse(
        {
            "data": {"name": "fashion-mnist", "num_val": 12_000},
            "model": {"family": "mlp", "params": {"hidden": [768], "dropout": 0.3}},
            "train": {
                "epochs": 300,
                "batch_size": 256,
                "optimizer": {"name": "adam", "learning_rate": 0.001},
                "early_stopping": {"patience": 20, "restore_best": True},
                "schedule": plateau,
            },
            "seed": seed,
        }
    )
    digest = "583acb7ad300ad3147a357919c59bcab50bbc5c4c6d6361d7af577de95cde06e"
    versions = {"torch": "2.13.0", "numerics_version": 1}
    assert spec.fingerprint(digest, versions) == KEPT[f"mlp-final, seed {seed}"]


def test_every_committed_run_has_the_fingerprint_of_its_spec() -> None:
    results = Path(__file__).parents[3] / "results" / "fashion-mnist"
    study = json.loads((results / "study.json").read_text("utf-8"))
    paths = sorted(results.glob("runs/*/spec.json"))
    assert paths
    for path in paths:
        stored = json.loads(path.read_text("utf-8"))
        spec = RunSpec.parse(stored["spec"])
        found = spec.fingerprint(study["data_digest"], study["versions"])
        assert found == stored["fingerprint"], path


def test_data_torch_and_our_own_arithmetic_are_part_of_the_fingerprint() -> None:
    here = versions_here()
    assert set(here) == {"torch", "numerics_version"}
    found = {
        FULL.fingerprint(DIGEST),
        FULL.fingerprint("e" * 64),
        FULL.fingerprint(DIGEST, {**here, "torch": "0.0"}),
        FULL.fingerprint(DIGEST, {**here, "numerics_version": here["numerics_version"] + 1}),
    }
    assert len(found) == 4
    assert FULL.fingerprint(DIGEST, dict(here)) == FULL.fingerprint(DIGEST)


def test_a_fingerprint_is_the_same_in_another_process() -> None:
    code = (
        "from tests import small; "
        "print(small.run_spec({**small.CNN}).fingerprint('d' * 64), end='')"
    )
    # Python's own hashes differ from process to process; ours must not.
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {small.run_spec(small.CNN).fingerprint(DIGEST)}


# --- specs in general -----------------------------------------------------------------------------


def test_a_spec_cannot_be_changed_afterwards() -> None:
    with pytest.raises(Exception, match="frozen"):
        FULL.seed = 3  # type: ignore[misc]
    with pytest.raises(Exception, match="frozen"):
        FULL.train.optimizer.learning_rate = 1.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": {}}, "model.family: a name is needed. Known: .*cnn, .*mlp"),
        ({"model": {"family": ["mlp"]}}, "model.family"),
        ({"model": {"family": "mlp", "params": [3]}}, "model.params"),
        ({"train": {"optimizer": 3}}, "train.optimizer"),
        ({"train": {"optimizer": None}}, "train.optimizer"),
        ({"train": {"augment": "mirror"}}, "train.augment"),
        ({"train": {"augment": [3]}}, r"train.augment\[0\]"),
        ({"train": {"early_stopping": {}}}, "train.early_stopping.patience: this key is needed"),
        ({"train": None}, "train"),
        ({"data": {"num_val": 0}}, "data.num_val"),
        ({"seed": 1.5}, "seed"),
        ({"threads": 10**9}, "threads"),
        ({"device": "gpu"}, "device: 'gpu' is none of the known words"),
        ({"model": {"family": "cnn", "params": {"filters": []}}}, "model.params.filters"),
        ({"model": {"family": "cnn", "params": {"filters": [9000]}}}, "model.params.filters"),
        ({"model": {"family": "mlp", "params": {"hidden": [10**9]}}}, r"model.params.hidden\[0\]"),
    ],
    ids=str,
)
def test_a_part_that_is_none_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        RunSpec.parse({"model": {"family": "mlp"}, **settings})


@pytest.mark.parametrize("filters", [0, 2.5, [], [0]], ids=str)
def test_a_number_out_of_bounds_is_not_said_to_be_no_list_as_well(filters: Any) -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({"model": {"family": "cnn", "params": {"filters": filters}}})
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(SpecError, match=r"valid integer[^\n]*\n.*should be a list"):
        RunSpec.parse({"model": {"family": "cnn", "params": {"filters": None}}})


@pytest.mark.parametrize("values", [None, 3, "mlp", [], [("model", {})]], ids=str)
def test_a_run_that_is_no_mapping_is_refused(values: Any) -> None:
    with pytest.raises(SpecError, match="expected keys and values"):
        RunSpec.parse(values)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"filters": [4, 8], "num_layers": 3}, "filters lists 2"),
        ({"filters": 8192, "num_layers": 2}, "end at 16,384; the limit is 8,192"),
        ({"filters": 1, "num_layers": 64}, "the limit is 8,192"),
        ({"filters": [2] * 5, "padding": "valid"}, "does not fit into"),
        ({"filters": [2], "kernel": 7, "dilation": 8, "padding": "valid"}, "of 49 pixels"),
    ],
    ids=str,
)
def test_hyperparameters_that_make_no_net_say_why(params: dict[str, Any], said: str) -> None:
    spec = RunSpec.parse({"model": {"family": "cnn", "params": params}})
    with pytest.raises(SpecError, match=said):
        table(spec.model.net.layers((1, 28, 28), 10), (1, 28, 28))
