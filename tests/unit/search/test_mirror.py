"""The Optuna database says what the run folders say, and can be lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from modiste.errors import StoreError
from modiste.search.mirror import Keeper, close, mirror, mirrored, open_storage, owner_of, url_of
from modiste.search.study import Study
from tests import small
from tests.driving import Script, drive, make

# Without the driver nothing gets as far as a connection; CI has none.
HAS_DRIVER = find_spec("psycopg") is not None
UNREACHABLE = "connection" if HAS_DRIVER else r"pip install 'modiste\[postgresql\]'"

SEARCH: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 4, "batch_size": 30, "optimizer": {"name": "sgd"}},
    stages=[
        {
            "name": "search",
            "search": {
                "method": "random",
                "trials_per_value": 6,
                "compare": {"model.params.dropout": [0.0, 0.5]},
                "tune": {
                    "train.optimizer.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
                    "model.params.hidden": [[4], [5], [6]],
                },
                "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
            },
        },
        {
            "name": "grid",
            "model": {"params": {"hidden": [8, 8]}},
            "grid": {"train.optimizer.learning_rate": [0.01, 1e30]},
        },
    ],
)
NAMES = {
    'tiny-full/search/{"model.params.dropout": 0.0}',
    'tiny-full/search/{"model.params.dropout": 0.5}',
    "tiny-full/grid",
}


def trials(url: str) -> dict[str, list[FrozenTrial]]:
    storage = open_storage(url)
    try:
        return {
            name: optuna.load_study(study_name=name, storage=storage).trials
            for name in optuna.get_all_study_names(storage)
        }
    finally:
        close(storage)


def told(found: dict[str, list[FrozenTrial]]) -> dict[str, list[Any]]:
    """All but the times."""
    return {
        name: [(t.state, t.values, t.params, t.user_attrs, t.intermediate_values) for t in some]
        for name, some in found.items()
    }


def test_a_database_follows_a_search_and_ends_where_one_that_is_made_at_the_end_does(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", SEARCH)
    keeper = Keeper(study.folder, url_of(study.folder))
    assert keeper.look() == ""
    for num_tasks in (5, 20, 60, 10**6):
        drive(study, should_stop=lambda n=num_tasks: len(script.tasks) > n)  # type: ignore[misc]
        assert keeper.look() == ""
    found = trials(url_of(study.folder))
    assert set(found) == NAMES
    for name in NAMES - {"tiny-full/grid"}:
        states = Counter(trial.state for trial in found[name])
        assert states == {TrialState.COMPLETE: 1, TrialState.PRUNED: 5}
        best = max(found[name], key=lambda trial: len(trial.intermediate_values))
        assert list(best.intermediate_values) == [1, 2, 3, 4]
        assert best.value == best.intermediate_values[4]
        assert best.params["model.params.hidden"] in ("[4]", "[5]", "[6]")
    assert [t.state for t in found["tiny-full/grid"]] == [TrialState.COMPLETE, TrialState.FAIL]
    row = study.stage("grid").rows[0]
    assert found["tiny-full/grid"][0].value == row.mean("last", "val", "accuracy")

    anew = f"sqlite:///{tmp_path / 'anew.db'}"
    assert mirror(Study(study.folder), open_storage(anew)) == 14
    assert told(trials(anew)) == told(found)
    assert mirror(Study(study.folder), open_storage(anew)) == 0


def test_a_database_that_is_deleted_or_changed_is_made_again(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", SEARCH)
    assert drive(study)
    url = url_of(study.folder)
    keeper = Keeper(study.folder, url)
    keeper.look()
    wanted = told(trials(url))
    # While somebody has it open.
    (study.folder / "work" / "optuna.db").unlink()
    assert "optuna.db" in keeper.look()
    assert keeper.look() == ""
    assert told(trials(url)) == wanted
    # Somebody's own trial, which no run stands for.
    other = optuna.load_study(study_name="tiny-full/grid", storage=open_storage(url))
    other.add_trial(optuna.trial.create_trial(value=1.0))
    assert keeper.look() == ""
    assert told(trials(url)) == wanted


def test_a_grid_that_grows_makes_its_study_anew(tmp_path: Path, script: Script) -> None:
    values = small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 1, "batch_size": 30, "optimizer": {"name": "sgd"}},
        stages=[{"name": "grid", "grid": {"train.optimizer.learning_rate": [0.01, 0.1]}}],
    )
    study = make(tmp_path / "study", values)
    assert drive(study)
    storage = open_storage(url_of(study.folder))
    assert mirror(study, storage) == 2
    values["stages"][0]["grid"]["train.optimizer.learning_rate"].append(0.2)
    more = make(tmp_path / "study", values)
    assert drive(more)
    keeper = Keeper(more.folder, url_of(more.folder))
    assert keeper.look() == ""
    (found,) = trials(url_of(more.folder)).values()
    assert [t.params["train.optimizer.learning_rate"] for t in found] == [0.01, 0.1, 0.2]
    assert {t.distributions["train.optimizer.learning_rate"].choices for t in found} == {  # type: ignore[attr-defined]
        (0.01, 0.1, 0.2)
    }
    assert mirror(more, storage) == 0


def test_two_folders_with_one_study_each_keep_theirs_in_a_shared_database(
    tmp_path: Path, script: Script
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one, two = (make(tmp_path / name, SEARCH) for name in ("one", "two"))
    assert drive(one)
    for study in (one, two, one, two):
        assert Keeper(study.folder, url).look() == ""
    owners = [owner_of(study.folder) for study in (one, two)]
    found = trials(url)
    # The searches of the second have chosen nothing; its grid waits.
    assert {name for name in found if owners[0] in name} == {
        name.replace("tiny-full", f"tiny-full-{owners[0]}") for name in NAMES
    }
    for name in NAMES:
        mine, theirs = (found[name.replace("full", f"full-{owner}")] for owner in owners)
        assert all(t.state.is_finished() for t in mine)
        assert not any(t.state.is_finished() for t in theirs)
    assert mirror(one, open_storage(url), owners[0]) == 0


@pytest.mark.slow  # child processes
@pytest.mark.parametrize(
    ("what", "said"),
    [
        (signal.SIGKILL, "lost.db: the process that writes it has ended."),
        (signal.SIGSTOP, "lost.db: who writes it did not answer within 0.5 s."),
    ],
    ids=["killed", "stuck"],
)
def test_a_writer_that_is_lost_is_said_at_the_end_of_the_search(
    what: signal.Signals, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modiste.search.mirror.LAST_SECONDS", 0.5)
    study = make(tmp_path / "study", SEARCH)
    notes: list[str] = []
    with mirrored(study.folder, f"sqlite:///{tmp_path / 'lost.db'}", notes.append):
        (child,) = multiprocessing.active_children()
        assert child.pid is not None
        os.kill(child.pid, what)
        if what == signal.SIGKILL:
            child.join()
        assert notes == []
    (note,) = notes
    assert said in note
    assert "The study is whole" in note
    assert multiprocessing.active_children() == []


@pytest.mark.slow  # a child process
def test_a_database_that_cannot_be_had_is_no_lost_one(tmp_path: Path) -> None:
    study = make(tmp_path / "study", SEARCH)
    notes: list[str] = []
    with (
        pytest.raises(StoreError, match="cannot be used"),
        mirrored(study.folder, "mysqul://here", notes.append),
    ):
        raise AssertionError("never begun")
    assert notes == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all.db", "cannot be used as an Optuna database"),
        ("mysqul://here", "cannot be used as an Optuna database"),
        ("optuna.db", "Expected sqlite:///FILE or postgresql"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/x", UNREACHABLE),
    ],
)
def test_a_database_that_cannot_be_had_is_said_in_one_line(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as error:
        open_storage(url)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
