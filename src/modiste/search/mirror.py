"""A study as an Optuna database, for whoever wants to look at it with tools for those.

It mirrors the run folders, and nothing here reads it: it can be deleted at any time, and is made
again. Each stage is a study in it, or each combination of values that a search compares. A trial
is running until it is known whether it goes on; then it is complete, pruned where halving left it
behind, or failed.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from modiste.errors import ModisteError, StoreError, first_sentence
from modiste.search.goals import figure
from modiste.search.optuna_points import by_place, distribution
from modiste.search.row import Row
from modiste.search.study import Stage, Study
from modiste.spec.search import Goal
from modiste.spec.space import Domain, identity

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

FILE = "optuna.db"
# Between two looks at the run folders; and so many times as long as the last one took, so that
# looking takes no more than a twentieth of a core.
PAUSE_SECONDS, PAUSE_FACTOR = 2.0, 20.0
# What is left of a study to be written when it ends.
LAST_SECONDS = 60.0
# Before each further try to open a database in which somebody else makes the tables meanwhile.
AGAIN_SECONDS = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class DatabaseStudy:
    """What of a study folder is one study of a database.

    Attributes:
        name: Of the study, the stage, and what is compared.
        goals: What its trials have values of, in order.
        trials: In the order in which they were chosen.
    """

    name: str
    goals: tuple[Goal, ...]
    trials: tuple[FrozenTrial, ...]


# Modules that import one another in a circle are seen half loaded by other threads.
_LOADING = threading.Lock()


def url_of(study_folder: Path) -> str:
    """The database of a study for which no other is named: a SQLite file."""
    return f"sqlite:///{study_folder.resolve() / 'work' / FILE}"


def open_storage(url: str) -> BaseStorage:
    """A database that Optuna can write, made if it is not there.

    Raises:
        StoreError: If it cannot be reached, or is none of Optuna's.
    """
    with _LOADING:
        import optuna
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        found = _made(url)
        # A file that somebody deletes is made again, not written on, so none is kept open. A server
        # is not asked for a connection each time.
        return found if url.startswith("sqlite") else RDBStorage(url)
    except ImportError as error:
        raise StoreError(
            f"{_shown(url)}: {error}. For PostgreSQL: pip install 'modiste[postgresql]', and "
            "begin the URL with postgresql+psycopg://."
        ) from None
    except (SQLAlchemyError, ValueError, RuntimeError) as error:
        raise StoreError(
            f"{_shown(url)}: cannot be used as an Optuna database ({first_sentence(error)}). "
            "Expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME; a file that "
            "is damaged can be deleted, and is made again."
        ) from None


def _made(url: str) -> BaseStorage:
    """A database with its tables, whoever else makes them; no connection outlives its use."""
    import optuna
    from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    def opened() -> BaseStorage:
        return optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": NullPool})

    for seconds in AGAIN_SECONDS:
        try:
            return opened()
        except SQLAlchemyError as error:
            # Of several that make the tables at once all but one are refused, in one of these ways.
            is_late = isinstance(error, IntegrityError | ProgrammingError)
            if not (is_late or "already exists" in str(error)):
                raise
        time.sleep(seconds)
    return opened()


def close(storage: BaseStorage) -> None:
    """Give back its connections; its next use opens new ones."""
    from optuna.storages import RDBStorage

    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def owner_of(study_folder: Path) -> str:
    """A word for the folder of a study on this machine, which no other folder has."""
    place = f"{platform.node()}:{study_folder.resolve()}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def mirror(study: Study, storage: BaseStorage, owner: str = "") -> int:
    """Write what the database lacks; a study in it that says something else is made again.

    Args:
        study: Whose folder is read.
        storage: The database.
        owner: From `owner_of`, for a database that other folders are mirrored into as well.

    Returns:
        How many trials were written or changed.
    """
    return sum(_write(storage, part) for part in parts(study, owner))


def parts(study: Study, owner: str = "") -> Iterator[DatabaseStudy]:
    """A study folder as it would stand in a database; see `mirror`."""
    whole = "-".join([study.name, study.profile, *filter(None, [owner])])
    for stage in study.stages():
        name = f"{whole}/{stage.spec.name}"
        search = stage.spec.searched(study.profile)
        if search is None:
            rows = [((row,), _state((row,), goes_on=False)) for row in stage.chosen]
            keys = dict.fromkeys(key for row in stage.chosen for key in row.settings)
            known = {key: _listed(row.settings.get(key) for row in stage.chosen) for key in keys}
            yield _part(study, name, ("accuracy",), known, rows)
            continue
        for number, group in enumerate(search.groups()):
            full = f"{name}/{identity(group)}" if group else name
            known = {k: _known(found) for k, found in search.space(group).domains.items()}
            yield _part(study, full, search.goals, known, _climbed(stage, number))


def _climbed(stage: Stage, group: int) -> list[tuple[tuple[Row, ...], str]]:
    """The rungs of each trial of a group, and how it stands."""
    trials = [trial for trial in stage.trials if trial.group == group]
    highest: dict[int, int] = {}
    for trial in trials:
        highest[trial.bracket] = max(highest.get(trial.bracket, 0), len(trial.rungs))
    answer = []
    for trial in trials:
        is_up = len(trial.rungs) == highest[trial.bracket]
        goes_on = is_up and not stage.is_decided
        answer.append((trial.rungs, _state(trial.rungs, goes_on=goes_on)))
    return answer


def _state(rungs: Sequence[Row], *, goes_on: bool) -> str:
    row = rungs[-1]
    if not row.is_done:
        return "RUNNING"
    if any(run.metrics["status"] != "finished" for run in row.runs):
        return "FAIL"
    if row.until is None:
        return "COMPLETE"
    return "RUNNING" if goes_on else "PRUNED"


def _part(
    study: Study,
    name: str,
    goals: tuple[Goal, ...],
    known: Mapping[str, BaseDistribution],
    rows: Sequence[tuple[Sequence[Row], str]],
) -> DatabaseStudy:
    return DatabaseStudy(name, goals, tuple(_trial(study, goals, known, *row) for row in rows))


def _trial(
    study: Study,
    goals: tuple[Goal, ...],
    known: Mapping[str, BaseDistribution],
    rungs: Sequence[Row],
    state: str,
) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    row = rungs[-1]
    values = None
    if state == "COMPLETE":
        found = [figure(study, goal, row) for goal in goals]
        values = [value for value in found if value is not None]
        if len(values) < len(goals):  # the time of an image is measured later
            values, state = None, "RUNNING"
    params = {key: _plain(row.settings[key], known[key]) for key in known if key in row.settings}
    return create_trial(
        state=TrialState[state],
        values=values,
        params=params,
        distributions={key: known[key] for key in params},
        user_attrs={"point": row.label, "runs": [name[:16] for name in row.fingerprints]},
        # Optuna has no learning curves of trials with several goals.
        intermediate_values=_curve(rungs) if len(goals) == 1 else {},
    )


def _curve(rungs: Sequence[Row]) -> dict[int, float]:
    """Validation accuracy by epoch, mean of the seeds, as far as all of them have come."""
    done = [row for row in rungs if row.is_done]
    if not done:
        return {}
    histories = [run.history for run in done[-1].runs]
    return {
        int(rows[0]["epoch"]): fmean(row["val_accuracy"] for row in rows)
        for rows in zip(*histories, strict=False)
    }


def _known(found: Domain) -> BaseDistribution:
    """What Optuna knows of a key: a range as it is, all else as a list of its values."""
    return _listed(found.listed) if by_place(found) else distribution(found)


def _listed(values: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution

    return CategoricalDistribution(tuple(dict.fromkeys(map(_scalar, values))))


def _plain(value: object, known: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution

    return _scalar(value) if isinstance(known, CategoricalDistribution) else value


def _scalar(value: object) -> Any:
    """Categories are numbers or words; what is neither is written as JSON."""
    is_scalar = value is None or isinstance(value, bool | int | float | str)
    return value if is_scalar else json.dumps(value)


def _write(storage: BaseStorage, part: DatabaseStudy) -> int:
    from optuna.study import StudyDirection

    best = {"accuracy": StudyDirection.MAXIMIZE}
    directions = [best.get(goal, StudyDirection.MINIMIZE) for goal in part.goals]
    try:
        number = storage.get_study_id_from_name(part.name)
        there = storage.get_all_trials(number, deepcopy=False)
        is_same = storage.get_study_directions(number) == directions
        pairs = zip(there, part.trials, strict=False)
        if not is_same or len(there) > len(part.trials) or any(_differs(*pair) for pair in pairs):
            storage.delete_study(number)
            raise KeyError
    except KeyError:
        number, there = storage.create_new_study(directions, part.name), []
    changed = 0
    for old, new in zip(there, part.trials, strict=False):
        if not old.state.is_finished():
            name = storage.get_trial_id_from_study_id_trial_number(number, old.number)
            changed += _bring_up(storage, name, old, new)
    for new in part.trials[len(there) :]:
        storage.create_new_trial(number, template_trial=new)
        changed += 1
    return changed


def _differs(old: FrozenTrial, new: FrozenTrial) -> bool:
    """Whether a trial is none that could become the new one."""
    is_over = old.state.is_finished()
    return (
        (old.params, old.distributions) != (new.params, new.distributions)  # a grid may grow
        or (is_over and (old.state, old.values) != (new.state, new.values))
        or not new.intermediate_values.items() >= old.intermediate_values.items()
    )


def _bring_up(storage: BaseStorage, name: int, old: FrozenTrial, new: FrozenTrial) -> bool:
    """Write what a running trial lacks."""
    more = new.intermediate_values.items() - old.intermediate_values.items()
    for epoch, value in sorted(more):
        storage.set_trial_intermediate_value(name, epoch, value)
    if new.user_attrs != old.user_attrs:
        for key, value in new.user_attrs.items():
            storage.set_trial_user_attr(name, key, value)
    if new.state != old.state:
        storage.set_trial_state_values(name, new.state, new.values)
    return bool(more) or new.state != old.state


# --- beside a search ------------------------------------------------------------------------------


@contextmanager
def mirrored(study_folder: Path, url: str, note: Callable[[str], None]) -> Iterator[None]:
    """Keep a database up to date, in a process of its own, as long as the context lasts.

    Whoever searches waits for it twice: until the database has answered, and at the end.

    Args:
        study_folder: Of which only the folders are read.
        url: See `open_storage`.
        note: Is told, once, if the database was lost on the way.

    Raises:
        StoreError: If the database cannot be used.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_keep, args=(theirs, study_folder, url), daemon=True)
    child.start()
    theirs.close()
    is_open = False
    try:
        if error := _heard(ours, url):
            raise StoreError(error)
        is_open = True
        yield
    finally:
        if is_open and (error := _ended(ours, url)):
            note(f"{error} The study is whole; the same command writes what the database lacks.")
        ours.close()
        child.join(timeout=2)
        child.kill()
        child.join()


def _ended(connection: Connection, url: str) -> str:
    """Have the child write what is left; returns what went wrong, if anything did."""
    with suppress(OSError):  # it has ended, and may have said why
        connection.send("last")
    if not connection.poll(LAST_SECONDS):
        return f"{_shown(url)}: who writes it did not answer within {LAST_SECONDS:g} s."
    return _heard(connection, url)


def _heard(connection: Connection, url: str) -> str:
    """What the child says: nothing if all is well."""
    try:
        return str(connection.recv())
    except (EOFError, OSError):
        return f"{_shown(url)}: the process that writes it has ended."


def _keep(connection: Connection, study_folder: Path, url: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever searches says when
    try:
        keeper = Keeper(study_folder, url)
        connection.send("")
        while not connection.poll(keeper.pause_seconds):
            keeper.look()
        connection.recv()
        connection.send(keeper.look() and keeper.look())
        keeper.close()
    except ModisteError as error:
        connection.send(str(error))
    except (EOFError, OSError):
        return


class Keeper:
    """Keeps the database of one study up to date.

    Raises:
        ModisteError: If the study cannot be read, or the database not used.
    """

    def __init__(self, study_folder: Path, url: str) -> None:
        self._study, self._url = Study(study_folder), url
        # Its own file goes wherever the folder goes, and nothing else is in it.
        self._owner = "" if url == url_of(study_folder) else owner_of(study_folder)
        self._storage = open_storage(url)
        self.pause_seconds = 0.0

    def look(self) -> str:
        """Write what is new; returns what went wrong, which the next look may find mended."""
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError

        began = time.monotonic()
        try:
            mirror(self._study, self._storage, self._owner)
            return ""
        except ModisteError as error:  # a run that is being set aside
            return str(error)
        except (OptunaError, SQLAlchemyError, KeyError) as error:
            # Deleted, perhaps: made again, to be filled by the next look.
            with suppress(StoreError):
                close(self._storage)
                self._storage = open_storage(self._url)
            return f"{_shown(self._url)}: {first_sentence(error.__cause__ or error)}."
        finally:
            took = time.monotonic() - began
            self.pause_seconds = max(PAUSE_SECONDS, PAUSE_FACTOR * took)

    def close(self) -> None:
        """Give back the connections to the database."""
        close(self._storage)


def _shown(url: str) -> str:
    """A URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return f"--storage {url}"
