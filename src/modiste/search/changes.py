"""What has changed of a study between two calls, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modiste.errors import SpecError
from modiste.spec.settings import flatten
from modiste.spec.study import StageSpec

if TYPE_CHECKING:
    from modiste.search.study import Study

# Of the keys that have changed these are named, each value with at most so many characters.
MOST_KEYS = 3
LONGEST = 80
# What may change without moving a run, and what is looked at by itself.
_WORDS_OF_STUDY = ("name", "title", "about", "published", "results", "profiles", "stages", "seed")
_WORDS_OF_STAGE = (
    *("name", "title", "about", "assumed", "keep_weights", "final", "export", "profiles"),
)


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
    """What has changed of the stages that lost runs, and what puts these in their place again.

    Where neither they nor what all stages share says anything else, a stage that they begin with
    does. Of a search, another number of trials leaves points out, or where some are cut has others
    go on.
    """
    shared = _differs(_of_study(old), _of_study(new))
    theirs = [item for name in dict.fromkeys(lost) for item in _of_both(old, new, name)]
    others = [stage.name for stage in new.spec.stages if stage.name not in lost]
    keys = shared + theirs or [item for name in others for item in _of_both(old, new, name)]
    named = "; ".join(keys[:MOST_KEYS])
    more = f"; and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    changed = f" Changed: {named}{more}." if keys else ""
    if not any(_is_cut_elsewhere(old, new, name) for name in lost):
        return f"{changed} Put their points back, or keep them as they are:"
    return (
        f"{changed} With `halving`, how many trials compete decides how long each is trained, so "
        "that trials can be added only to brackets that are full: a search that is to grow says "
        "how large these are from the beginning (`halving: {name: successive, first_epochs: 3, "
        "bracket: 9}`). Put `trials` back, or keep the runs as they are:"
    )


def _is_cut_elsewhere(old: Study, new: Study, name: str) -> bool:
    """Whether another number of trials has others of a search go on."""
    one, two = _spec(old, name), _spec(new, name)
    if one is None or two is None:
        return False
    was, search = one.searched(old.profile), two.searched(new.profile)
    if was is None or search is None or search.halving is None:
        return False
    return was.trials_per_value != search.trials_per_value


def _of_both(old: Study, new: Study, name: str) -> list[str]:
    """What differs of a stage; the whole of it, where one has none of that name."""
    one, two = _of_stage(old, name), _of_stage(new, name)
    if one is None or two is None:
        words = ["none" if values is None else "a stage" for values in (one, two)]
        return [f"stages[{name}] ({words[0]} there, {words[1]} now)"]
    return _differs(one, two)


def _of_study(study: Study) -> dict[str, Any]:
    """What decides the runs of all stages, flat."""
    values = study.spec.to_dict()
    kept = {key: value for key, value in values.items() if key not in _WORDS_OF_STUDY}
    found = _flat(kept) | _flat(study.spec.shared(study.profile), f"profiles.{study.profile}")
    found.pop("data.path", None)  # it is about a machine
    return found


def _of_stage(study: Study, name: str) -> dict[str, Any] | None:
    """What decides the runs of one, flat; None, if there is none of that name."""
    spec = _spec(study, name)
    if spec is None:
        return None
    values = {key: value for key, value in spec.to_dict().items() if key not in _WORDS_OF_STAGE}
    where = f"stages[{name}]"
    if search := spec.searched(study.profile):
        searched = search.to_dict()
        # It is called so where nothing is compared, and its profile may say another number.
        values["search"] = {"trials": searched.pop("trials_per_value", None), **searched}
    own = spec.profile(study.profile).to_dict()
    del own["trials"]
    return _flat(values, where) | _flat(own, f"{where}.profiles.{study.profile}")


def _spec(study: Study, name: str) -> StageSpec | None:
    return next((stage for stage in study.spec.stages if stage.name == name), None)


def _flat(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """All under dotted keys but what is empty, which is as good as not there."""
    return {key: value for key, value in flatten(values, where).items() if value != {}}


def _differs(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    """Keys with another value, each with both."""
    return [
        f"{key} ({' there, '.join(_apart(one.get(key), two.get(key)))} now)"
        for key in dict.fromkeys([*one, *two])
        if one.get(key) != two.get(key)
    ]


def _apart(one: Any, two: Any) -> tuple[str, str]:
    """Two values in few words; long ones from shortly before they part."""
    words = ["none" if value in (None, [], ()) else str(value) for value in (one, two)]
    pairs = enumerate(zip(*words, strict=False))
    parts = next((place for place, (a, b) in pairs if a != b), min(map(len, words)))
    parts = max(0, parts - LONGEST // 2) if max(map(len, words)) > LONGEST else 0
    first, second = (
        f"{'...' if parts else ''}{text[parts : parts + LONGEST]}"
        f"{'...' if len(text) > parts + LONGEST else ''}"
        for text in words
    )
    return first, second
