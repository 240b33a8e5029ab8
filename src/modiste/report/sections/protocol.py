"""The protocol: what was fixed, what each stage varies, and what is our assumption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Inline,
    Paragraph,
    Ref,
    Table,
    TableRow,
    Words,
)
from modiste.report.context import Context
from modiste.report.cuts import key_values, show
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import count, listing, plural
from modiste.report.prose import trainings
from modiste.report.section import SECTIONS, Section
from modiste.spec.settings import OF_RUNS, flatten

_MARK = "†"
_HIDDEN = ("seed", "model.family", "data.fold")
# Left out where they say nothing: most studies have no use for them.
_RARE = {
    "data.decode": None,
    "data.test_share": None,
    "data.skip_bad": False,
    "data.keep_duplicates": False,
    "train.class_weights": None,
}
_ABSENT = object()  # the value of a key that some points lack
_MANY = 5  # values of one key that are still written out in a cell

# What some keys mean, for those who do not know ours; others explain themselves.
_MEANING = {
    "preset": "whose defaults, initialisation and update rules hold",
    "threads": "processor threads of one training",
    "device": "kind of processor",
    "kernels": "torch’s own, or faster ones: fused, the same sums; winograd, fewer products",
    "data.name": "data source",
    "data.num_val": "images kept to choose by, of each class its share",
    "data.num_train": "images to train on; none means all that remain",
    "data.split_seed": "seed of the division alone",
    "data.folds": "for cross-validation: folds to hold out in turn; none means no such thing",
    "data.scaling": "unit is x / 255; raw leaves 0 to 255",
    "data.decode.size": "height and width that images are brought to, in pixels",
    "data.decode.channels": "1 is grey, 3 is red, green and blue",
    "data.decode.sizing": "how other sizes are brought to this one",
    "data.decode.background": "under what is transparent, beside what does not fill it",
    "data.decode.resize": "filter, where the size differs",
    "data.test_share": "share of each class that was split off as the test part",
    "data.skip_bad": "whether unreadable files were left out",
    "data.keep_duplicates": "whether pictures may lie in two parts",
    "train.epochs": "the limit; early stopping may end before it",
    "train.batch_size": "images in one update",
    "train.label_smoothing": "share of each label spread over all classes",
    "train.precision": "what images, kernels and activations are rounded to in training",
    "train.augment": "random changes of the training images",
    "train.max_seconds": "ends a training after so long; none means never",
    "train.class_weights": "balanced: each class counts the same in the loss",
    "train.averaging": "whether a moving average of the weights is measured and kept",
    "train.early_stopping.monitor": "what early stopping watches",
    "train.early_stopping.patience": "epochs without progress before the stop",
    "train.early_stopping.min_delta": "a smaller change is no progress",
    "train.early_stopping.restore_best": (
        "whether a run, used by itself, answers with its best epoch’s weights; both epochs are "
        "kept, and what ranks here is said above"
    ),
    "train.schedule.name": "how the learning rate moves",
    "train.schedule.monitor": "what the schedule watches",
    "train.schedule.patience": "epochs without progress before the rate drops",
    "train.schedule.factor": "the rate is multiplied by it",
    "train.schedule.cooldown": "epochs after a drop in which none is counted",
    "train.schedule.min_delta": "a smaller change is no progress",
    "train.schedule.min_learning_rate": "the rate falls no lower",
    "model.params.initialisation": "how kernels and biases start",
    "model.params.views": "the images that an answer is the mean of: one, or its mirror image, too",
    "model.params.activation": "after each hidden layer or convolution",
}


def build(context: Context) -> Sequence[Block]:
    """What held for all stages, then what each stage varies and sets."""
    values = {stage.name: _stage_values(stage) for stage in context.stages if stage.rows}
    if not values:
        return [Paragraph(["No stage has points yet."])]
    fixed = _fixed(list(values.values()))
    blocks: list[Block] = [
        Paragraph(_words(context)),
        _fixed_table(context, fixed),
        _stage_table(context, values, fixed),
    ]
    if context.published.unsaid:
        blocks.append(_unsaid_table(context))
    return blocks


def _words(context: Context) -> list[Inline]:
    study = context.study
    epoch = "last" if study.spec.rank_epoch == "last" else "best"
    words: list[Inline] = [
        (
            f"Every row of the study is a point: settings that describe its runs, one for each "
            f"seed, completely. {_seeds(context)} A stage’s winner has the highest validation "
            f"accuracy at the {epoch} epoch, mean of its seeds; equal counts of right answers go "
            "to fewer parameters, then to the earlier point. "
        )
    ]
    if study.published:
        words += [
            (
                f"The published figures are those of the following source: "
                f"{context.published.source} {context.published.note} "
            )
        ]
        for stage in context.stages:
            other = context.published.stages.get(stage.name)
            if other is not None and other.source:
                place = Ref(f"stage-{stage.name}", stage.title)
                words += ["Those of ", place, f" have another source: {other.source} "]
        if any(stage.stage.spec.assumed for stage in context.stages):
            words += [
                f"Where the publication is silent, {_MARK} marks what is our assumption (",
                Ref("table-by-stage"),
                ").",
            ]
    return words


def _seeds(context: Context) -> str:
    """Which seeds there are; points of the same seed meet the same images in the same order."""
    rows = [
        row.row
        for stage in context.stages
        if not stage.stage.spec.confirm
        for row in stage.rows
        if row.row.is_chosen
    ]
    firsts = sorted({row.specs[0].seed for row in rows}) or [context.study.seed]
    one = f"seed {firsts[0]}, so that rows are paired"
    many = f"seeds that they say, {firsts[0]} to {firsts[-1]}, and rows of one seed are paired"
    words = (
        f"Points are trained with {one if len(firsts) == 1 else many}: the same images in the "
        "same order meet different models"
    )
    confirming = sorted(
        {
            spec.seed
            for stage in context.stages
            if stage.stage.spec.confirm
            for row in stage.rows
            for spec in row.row.specs
        }
    )
    repeats = max((stage.cut.repeats for stage in context.stages if stage.cut
                   and not stage.stage.spec.confirm), default=1)  # fmt: skip
    first = str(firsts[0]) if len(firsts) == 1 else "their first"
    if repeats > 1:
        words += f"; points that are repeated, with up to {repeats} seeds from {first} on"
    if confirming:
        words += (
            f"; points that are confirmed, with fresh seeds, {confirming[0]} to {confirming[-1]}"
        )
    return f"{words}."


def _has_own_seeds(stage: StageFacts) -> bool:
    """Whether points say a seed; those of a confirming stage have theirs from what is confirmed."""
    return not stage.stage.spec.confirm and any("seed" in row.row.settings for row in stage.rows)


def _stage_values(stage: StageFacts) -> dict[str, list[Any]]:
    """Every key with the different values it takes in a stage, in the order of its points.

    A key that some points lack has one value more; those that train nothing lack none of ``train``.
    """
    each = [key_values(row.row.specs[0]) for row in _rows(stage)]
    trained = [values for values in each if "train.epochs" in values]
    answer: dict[str, list[Any]] = {}
    for key in dict.fromkeys(key for values in each for key in values):
        found = answer.setdefault(key, [])
        for values in trained if key.startswith("train.") else each:
            value = values.get(key, _ABSENT)
            if value not in found:
                found.append(value)
    return answer


def _rows(stage: StageFacts) -> list[RowFacts]:
    """The points that are run; of a stage that is not run, all."""
    return [row for row in stage.rows if row.row.is_chosen] or list(stage.rows)


def _fixed(stages: Sequence[Mapping[str, list[Any]]]) -> dict[str, Any]:
    """Keys that have one value in all stages; those of ``train``, in all that train anything."""
    answer: dict[str, Any] = {}
    trained = [stage for stage in stages if "train.epochs" in stage]
    for key in dict.fromkeys(key for stage in (*trained, *stages) for key in stage):
        among = trained if key.startswith("train.") else stages
        values = [stage.get(key, []) for stage in among]
        is_said = key not in _RARE or values[0] != [_RARE[key]]
        is_one = all(v == values[0] and len(v) == 1 for v in values)
        if key not in _HIDDEN and is_one and is_said:
            answer[key] = values[0][0]
    return answer


def _fixed_table(context: Context, fixed: Mapping[str, Any]) -> Table:
    rows = [
        TableRow([Cell(key), Cell(show(value)), Cell(_MEANING.get(key, ""))])
        for key, value in fixed.items()
    ]
    notes = _full_epochs(context) if "train.epochs" in fixed else []
    if any(not row.is_net for stage in context.stages for row in stage.rows):
        notes.append(["Keys of train mean nothing to models that are fitted in one go."])
    return Table(
        "table-fixed",
        ["Fixed throughout: settings that every run of this study shares."],
        [
            Column("key", is_number=False),
            Column("value", is_number=False),
            Column("what it is", is_number=False),
        ],
        rows,
        notes=notes,
    )


def _full_epochs(context: Context) -> list[Words]:
    """Limits of training in the full profile, where they are not the one that all have here."""
    cuts = [stage.cut for stage in context.stages if stage.cut and stage.has_nets]
    changed = [cut.changed.get("train.epochs") for cut in cuts if cut.num_run]
    pairs = [pair for pair in changed if pair]
    if not pairs:
        return []
    texts = {text for full, _ in pairs for text in full.split(" or ")}
    full = " or ".join(sorted(texts, key=lambda text: (len(text), text)))
    rows = [row.row for stage in context.stages for row in stage.rows]
    # What a point sets itself may be, in the full profile, the limit here.
    is_own = any("train.epochs" in row.settings for row in rows)
    where = "The" if len(texts) == 1 and all(changed) and not is_own else "Where that differs, the"
    return [[f"{where} full profile allows {full} epochs; {pairs[0][1]} were allowed here."]]


def _stage_table(
    context: Context, values: Mapping[str, Mapping[str, list[Any]]], fixed: Mapping[str, Any]
) -> Table:
    rows = [
        _stage_row(context, stage, values.get(stage.name, {}), fixed) for stage in context.stages
    ]
    notes: list[Words] = []
    if any(stage.stage.spec.assumed for stage in context.stages):
        notes.append([f"{_MARK} Our assumption: the published study does not state it."])
    return Table(
        "table-by-stage",
        ["Stage by stage: what is varied over its points, and what is set for all of them."],
        [
            Column("stage", is_number=False),
            Column("points"),
            Column("seeds"),
            Column("varied", is_number=False),
            Column("set", is_number=False),
        ],
        rows,
        notes=notes,
    )


def _stage_row(
    context: Context,
    stage: StageFacts,
    values: Mapping[str, list[Any]],
    fixed: Mapping[str, Any],
) -> TableRow:
    if not values:
        waits = listing(list(stage.stage.waits_for))
        cells = [Cell(stage.name), Cell("–"), Cell("–"), Cell(f"waits for {waits}"), Cell("")]
        return TableRow(cells, is_muted=True)
    said = _said(context, stage)
    families = list(dict.fromkeys(row.family for row in _rows(stage)))
    found = _found(_rows(stage), said, stage)
    varied = [_listed(key, texts) for key, texts in found.items() if len(texts) > 1]
    if len(families) > 1:
        varied, found = _by_family(stage, said, families)
    single = [
        f"{_short(key)} {texts[0]}"
        for key, texts in found.items()
        if len(texts) == 1 and (not _is_fixed(key, values, fixed) or _MARK in texts[0])
    ]
    chosen, total = len([row for row in stage.rows if row.row.is_chosen]), len(stage.rows)
    seeds = stage.cut.repeats if stage.cut else 1
    return TableRow(
        [
            Cell(stage.name, note="skipped" if stage.stage.skipped else ""),
            Cell(count(total) if chosen == total else f"{chosen} of {total}", chosen),
            Cell(trainings(stage, seeds) if stage.is_folded else count(seeds), seeds),
            Cell("; ".join(varied) or "nothing"),
            Cell("; ".join([*([] if len(families) > 1 else families), *single])),
        ],
        is_muted=not chosen,
    )


def _found(rows: Sequence[RowFacts], said: set[str], stage: StageFacts) -> dict[str, list[str]]:
    """What the points set, as text by key, each with the different values that it takes."""
    found: dict[str, list[str]] = {}
    each = [key_values(row.row.specs[0]) for row in rows]
    optional = _optional(each)
    for values in each:
        for key, text in _parts(values, said, stage, optional).items():
            texts = found.setdefault(key, [])
            if text not in texts:
                texts.append(text)
    return found


def _optional(each: Sequence[Mapping[str, Any]]) -> set[str]:
    """Parts that some points have, and others do without: there, nothing stands in their place."""
    parts = {key.rpartition(".")[0] for values in each for key in values}
    return {key for values in each for key in parts & values.keys() if values[key] is None}


def _by_family(
    stage: StageFacts, said: set[str], families: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Of a stage of several kinds of model: what each kind varies, and what all of them share.

    A key may mean another thing to another kind, so their values are not listed together.
    """
    parts = {
        family: _found([row for row in _rows(stage) if row.family == family], said, stage)
        for family in families
    }
    first, *others = parts.values()
    shared = {
        key: texts
        for key, texts in first.items()
        if len(texts) == 1 and all(other.get(key) == texts for other in others)
    }
    varied = []
    for family, found in parts.items():
        own = [_listed(key, texts) for key, texts in found.items() if key not in shared]
        varied.append(f"{family} ({'; '.join(own)})" if own else family)
    return [", ".join(varied)], shared


def _said(context: Context, stage: StageFacts) -> set[str]:
    """Keys that the study file, a profile, an override or a winner taken over gives a value.

    What is confirmed stands on what the stage says that chose it.
    """
    spec, own = context.study.spec, stage.stage.spec
    profile = context.study.profile
    origin = spec.confirmed_by(own) or own
    answer: set[str] = set()
    for part in (spec, origin):
        answer |= flatten({"data": part.data, "model": part.model, "train": part.train}).keys()
        answer |= {key for key in OF_RUNS if getattr(part, key) is not None}
    settings = [row.row.settings for row in stage.rows]
    settings.append(spec.shared(profile))
    settings += [one.profile(profile).set for one in (origin, own)]
    settings.append(stage.stage.inherited)
    names = ("", origin.name, own.name)
    settings += [{o.key: o.value} for o in context.study.overrides if o.stage in names]
    for values in settings:
        answer |= flatten(values).keys()
    return answer


def _parts(
    values: Mapping[str, Any], said: set[str], stage: StageFacts, optional: set[str]
) -> dict[str, str]:
    """What a point sets, as text by key; a part chosen by name is one entry, as in the file.

    So is one that other points do without.
    """
    assumed = stage.stage.spec.assumed
    told = said | _meant(values, said, optional)
    answer: dict[str, str] = {}
    hidden = set(_HIDDEN) - ({"seed"} if _has_own_seeds(stage) else set())
    for key, value in values.items():
        if key in hidden or not (key in told or _is_assumed(key, assumed)):
            continue
        mark = _MARK if _is_assumed(key, assumed) else ""
        part, _, last = key.rpartition(".")
        if part in optional:
            before = f"{answer[part]}, " if part in answer else ""
            answer[part] = f"{before}{last} {show(value)}{mark}"
        elif f"{part}.name" not in values or part == "data":
            answer[key] = f"{show(value)}{mark}"
        elif last == "name":
            answer[part] = f"{show(value)}{mark}"
        elif key in said and value is not False:
            answer[part] += f", {last} {show(value)}{mark}" if value is not True else f", {last}"
    return answer


def _meant(values: Mapping[str, Any], said: set[str], optional: set[str]) -> set[str]:
    """Keys of a point that are told although the study does not say them.

    What of a part is said belongs to the one that is meant, even where that is the default.
    """
    names = {f"{part}.name" for key in said for part in (key, key.rpartition(".")[0])}
    unsaid = optional - {key.rpartition(".")[0] for key in said}
    return names | optional | {key for key in values if key.rpartition(".")[0] in unsaid}


def _is_fixed(key: str, values: Mapping[str, Any], fixed: Mapping[str, Any]) -> bool:
    """Whether a key, or every key of a part, stands in the table of what is fixed."""
    inside = [name for name in values if name == key or name.startswith(f"{key}.")]
    return all(name in fixed for name in inside)


def _listed(key: str, texts: Sequence[str]) -> str:
    if len(texts) > _MANY:
        mark = _MARK if any(_MARK in text for text in texts) else ""
        return f"{_short(key)}{mark} ({plural(len(texts), 'value')})"
    joint = " | " if any("," in text and "[" not in text for text in texts) else ", "
    return f"{_short(key)} {joint.join(texts)}"


def _is_assumed(key: str, assumed: Sequence[str]) -> bool:
    """An assumed part covers its keys: ``train.optimizer`` covers ``train.optimizer.name``."""
    return any(key == name or key.startswith(f"{name}.") for name in assumed)


def _short(key: str) -> str:
    """The key without the part that its readers know."""
    return key.removeprefix("model.params.").removeprefix("train.").removeprefix("data.")


def _unsaid_table(context: Context) -> Table:
    return Table(
        "table-unsaid",
        ["What the publication leaves open, and what was taken here."],
        [
            Column("left open", is_number=False),
            Column("taken", is_number=False),
            Column("keys", is_number=False),
        ],
        [
            TableRow([Cell(item.what), Cell(item.taken), Cell(", ".join(item.keys))])
            for item in context.published.unsaid
        ],
    )


SECTIONS.add("protocol", Section("Protocol", 20, build))
