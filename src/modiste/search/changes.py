"""What has changed of a study between two calls, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modiste.errors import SpecError
from modiste.search import trial_log

if TYPE_CHECKING:
    from modiste.search.study import Study


def differences(there: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
    """What may not change between two calls and did, with its old and its new value."""

    def facts(study: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": study.get("spec", {}).get("name"),
            **{key: study.get(key) for key in ("profile", "seed", "data_digest", "overrides")},
            **{f"versions.{key}": item for key, item in study.get("versions", {}).items()},
        }

    one, two = facts(there), facts(value)
    return [
        f"{key} ({_short(one.get(key))} there, {_short(two.get(key))} now)"
        for key in dict.fromkeys([*one, *two])
        if one.get(key) != two.get(key)
    ]


def _short(value: Any) -> str:
    """A value in a line of text: a digest by its beginning, overrides as they are typed."""
    if isinstance(value, list):
        words = [f"{o['stage']}:{o['key']}" if o["stage"] else o["key"] for o in value]
        pairs = [f"{name}={o['value']}" for name, o in zip(words, value, strict=True)]
        return " ".join(pairs) or "none"
    return f"{value[:12]}..." if isinstance(value, str) and len(value) == 64 else str(value)


def counted(stages: Sequence[str]) -> str:
    """How often each stage is named, in words."""
    return ", ".join(f"{count} of {name}" for name, count in Counter(stages).items())


def without_place(old: Study, new: Study) -> list[str]:
    """For each finished run of a study that no row of the changed one stands for, its stage.

    A stage that waits for another's winner has no rows yet: its runs may find their place. Of a
    file that makes no sense with the winners it has found, nobody can say what has a place: it is
    mended.
    """
    stages = new.stages()
    try:
        before = old.stages()
    except SpecError:
        return []
    waits = {stage.spec.name for stage in stages if stage.waits_for}
    kept = {
        name for stage in stages for row in (*stage.rows, *stage.lower) for name in row.fingerprints
    }
    lost = {
        run.fingerprint: stage.spec.name
        for stage in before
        for row in (*stage.rows, *stage.lower)
        for run in row.runs
        if run.fingerprint not in kept and stage.spec.name not in waits
    }
    return list(lost.values())


def moved(old: Study, new: Study, lost: Sequence[str]) -> str:
    """What has changed of the searches that lost runs, and what puts these in their place again.

    Other keys move the points of a search; another number of trials leaves points out, or where
    some are cut has others go on.
    """
    keys, is_halved = [], False
    before = {spec.name: spec.searched(old.profile) for spec in old.spec.stages}
    for spec in new.spec.stages:
        if spec.name not in lost:
            continue
        was, search = before[spec.name], spec.searched(new.profile)
        where = f"stages[{spec.name}]"
        keys += [f"{where}.{key}" for key in trial_log.differences(new.folder, spec.name, search)]
        if was and search and was.trials_per_value != search.trials_per_value:
            numbers = f"{was.trials_per_value} there, {search.trials_per_value} now"
            keys.append(f"{where}.search.trials ({numbers})")
            is_halved = is_halved or search.halving is not None
    changed = f" Changed: {', '.join(keys)}." if keys else ""
    if not is_halved:
        return f"{changed} Put their points back, or keep them as they are:"
    return (
        f"{changed} With `halving`, how many trials compete decides how long each is trained, so "
        "that trials can be added only to brackets that are full: a search that is to grow says "
        "how large these are from the beginning (`halving: {name: successive, first_epochs: 3, "
        "bracket: 9}`). Put `trials` back, or keep the runs as they are:"
    )
