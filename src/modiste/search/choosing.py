"""The next points of the searches of a study: chosen from what has come out so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from modiste.runs.run import Epoch, Run
from modiste.search import trial_log
from modiste.search.asked import Asked
from modiste.search.climbing import Trial
from modiste.search.goals import goal_values
from modiste.search.row import Row
from modiste.search.study import Stage, Study
from modiste.spec.search import SearchSpec, Told
from modiste.spec.settings import Settings
from modiste.spec.space import identity

# Of points that are not trained yet, so many are chosen where no result is waited for, and some at
# a time: each time they are all written down.
AHEAD, AT_A_TIME = 64, 16


def choose(study: Study, stage: Stage, asked: Asked) -> bool:
    """Write down the points that can be chosen by now.

    Args:
        study: Where it is written.
        stage: One of its stages, as it stands; one that does not search has nothing to choose.
        asked: Which points are run; others are not waited for.

    Returns:
        Whether there was any, so that the stage is to be read again.
    """
    search = stage.spec.searched(study.profile)
    if search is None or not stage.num_to_come or stage.is_closed:
        return False
    chosen = [list(points) for points in stage.listed]
    before = [len(points) for points in chosen]
    for number, group in enumerate(search.groups()):
        if stage.spec.is_chosen(study.profile, group):
            trials = [trial for trial in stage.trials if trial.group == number]
            waiting = sum(
                not trial.rungs[0].is_done
                and asked.includes(stage.spec.name, trial.rungs[0].specs[0])
                for trial in trials
            )
            points = chosen[number]
            chosen[number] = _extended(study, search, group, points, trials, waiting)
    if before == [len(points) for points in chosen]:
        return False
    trial_log.write(study.folder, stage.spec.name, search, stage.inherited, chosen)
    return True


def _extended(
    study: Study,
    search: SearchSpec,
    group: Settings,
    points: Sequence[Settings],
    trials: Sequence[Trial],
    idle: int,
) -> list[Settings]:
    """The points of a group, and those that follow from what came of them.

    So many of the trials that it has are `idle`: nothing has come of them yet.
    """
    answer, space = list(points), search.space(group)
    tried: set[str] = set()
    num_trials = search.num_trials(group)
    learns = search.method.num_needed(num_trials) > 0
    told = told_of(study, search, trials) if learns else []
    brackets = search.brackets(group)
    stops = {bracket.stop for bracket in brackets}
    ahead = AHEAD if idle <= AHEAD - AT_A_TIME else 0
    while len(answer) < num_trials:
        needed = search.method.num_needed(len(answer))
        may_pause = len(answer) in stops or search.halving is None
        if needed > len(told) or (not needed and idle >= ahead and may_pause):
            break
        tried = tried or set(map(identity, answer))  # nearly always there is nothing to choose
        point = search.method.propose(space, len(answer), tried, told[:needed])
        answer.append(point)
        tried.add(identity(point))
        idle += 1
    return answer


def told_of(study: Study, search: SearchSpec, trials: Sequence[Trial]) -> list[Told]:
    """What a method is told of a group: of each trial, in order, up to one that has not ended.

    A trial counts with what it had reached after the shortest of all first rungs, as all others
    do: one that was trained for longer would seem better for that alone.
    """
    told = []
    shortest = min((t.rungs[0].until or math.inf for t in trials), default=math.inf)
    for trial in trials:
        row = trial.rungs[0]
        if not row.is_done:
            break
        point = {key: value for key, value in row.settings.items() if key in search.tune}
        values = goal_values(study, search.goals, row)
        if values is not None and (row.until or math.inf) > shortest:
            values = (_early(row, int(shortest), study.spec.rank_epoch), *values[1:])
        told.append(Told(point, values))
    return told


def _early(row: Row, epochs: int, epoch: Epoch) -> float:
    """Validation accuracy of a longer training, had it been cut after so many epochs.

    What is fitted in one go has no epochs; it counts as it is.

    Args:
        row: Whose runs were trained for longer.
        epochs: How many count.
        epoch: Of these, the last one, or the one of the lowest validation loss.
    """

    def cut(run: Run) -> float:
        if not run.history:
            return float(run.metrics[epoch]["val"]["accuracy"])
        seen = run.history[:epochs]
        at = seen[-1] if epoch == "last" else min(seen, key=lambda line: line["val_loss"])
        return float(at["val_accuracy"])

    return fmean(cut(run) for run in row.runs)
