"""The model card: what the model is, how far it can be believed, and where it ends.

Markdown with a YAML head, as the Hugging Face hub reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from modiste.artifact import folder as folders
from modiste.data.decode import SIZING_WORDS
from modiste.evaluate.summary import FEWEST_WRONG
from modiste.runs.ledger import Looked

Rows = Sequence[Sequence[str]]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
# A card shall stay readable; a thousand classes have their figures in certificate.json.
_MOST_CLASSES = 100
_FEW_WRONG = (
    f"(-) in place of an interval: fewer than {FEWEST_WRONG} answers are wrong, or a right class "
    "was given a probability of 0, and these images cannot tell how far others would move the mean."
)


@dataclass(frozen=True)
class Facts:
    """All that a card is made of.

    Attributes:
        title: What to call the model.
        config: `config.json`.
        certificate: What was measured, without hashes.
        num_train: Training images.
        is_val_given: The set came with its validation part.
        sizes: Bytes of the files that hold the model, by name.
        golden: In words, where the golden images come from.
        licence: As its maker stated it; ``unknown`` if not.
    """

    title: str
    config: Mapping[str, Any]
    certificate: Mapping[str, Any]
    num_train: int
    is_val_given: bool
    sizes: Mapping[str, int]
    golden: str
    licence: str


def card(facts: Facts) -> str:
    """The whole of `README.md`."""
    parts = (
        _head(facts),
        f"# {escape(facts.title)}",
        _what(facts),
        _use(facts),
        _data(facts),
        _figures(facts),
        _calibration(facts),
        _test(facts),
        _proof(facts),
        _unlike(facts),
        _speed(facts),
        _limits(facts),
        _licence(facts),
    )
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Text in which nothing is read as Markdown or HTML.

    Example:
        >>> escape("a|b <i>")
        'a\\|b \\<i\\>'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _head(facts: Facts) -> str:
    config, figures = facts.config, facts.certificate["figures"]
    accuracy = {
        "type": "accuracy",
        "name": "validation accuracy",
        "value": round(figures["accuracy"]["value"], 4),
    }
    data = folders.data_name(config)
    result = {
        "task": {"type": "image-classification"},
        # The hub takes no spaces and no accents in a type.
        "dataset": {
            "type": re.sub(r"[^A-Za-z0-9_.-]+", "-", data),
            "name": data,
            "split": "validation",
        },
        "metrics": [accuracy],
    }
    head = {
        "license": facts.licence,
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "onnx", "modiste", str(config["model"]["family"])],
        # Of the hub: a set of your own is not the one that has its name there.
        **({"datasets": [data]} if data == config["spec"]["data"]["name"] else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": facts.title, "results": [result]}],
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---"


def _what(facts: Facts) -> str:
    config = facts.config
    height, width, channels = config["input_shape"]
    colour = "grey" if channels == 1 else "in colour"
    names = ", ".join(map(escape, config["class_names"][:_MOST_CLASSES]))
    more = ", ..." if len(config["class_names"]) > _MOST_CLASSES else ""
    return (
        f"A net of the family `{config['model']['family']}` with "
        f"{config['parameters']['total']:,} parameters, which sorts images of {height} x {width} "
        f"pixels, {colour}, into {len(config['class_names'])} classes: {names}{more}."
    )


def _use(facts: Facts) -> str:
    config = facts.config
    rule = config["decode"]
    height, width = rule["size_HW"]
    red, green, blue = rule["background"]
    colour = "made grey (ITU-R 601-2)" if rule["channels"] == 1 else "made RGB"
    mode = "L" if rule["channels"] == 1 else "RGB"
    return f"""## Use

    modiste verify .                       # is it whole, safe, and does it answer here as there?
    modiste predict . IMAGE.png FOLDER     # loads no PyTorch: pip install 'modiste[export]'

Without modiste, with an image that is {height} x {width} pixels already:

```python
import numpy as np, onnxruntime, PIL.Image

session = onnxruntime.InferenceSession("model.onnx")
image = np.asarray(PIL.Image.open("golden/000.png").convert("{mode}"))
images = image.reshape(1, {height}, {width}, {rule["channels"]})  # uint8, N x H x W x C
(probabilities,) = session.run(None, {{"images": images}})
```

The graph (ONNX opset {facts.certificate["opset"]}) holds the scaling of pixels, the temperature and
softmax. Before it: the rotation in the EXIF data is applied, what is transparent is laid on
({red}, {green}, {blue}), the image is {colour}, and one of another size is brought to
{height} x {width}: {SIZING_WORDS[rule.get("sizing", "stretch")]} ({rule["resize"]})."""


def _data(facts: Facts) -> str:
    config, certificate = facts.config, facts.certificate
    spec = config["spec"]
    data, num_val = spec["data"], certificate["figures"]["images"]
    how = (
        "the validation part that the set came with"
        if facts.is_val_given
        else f"split seed {data['split_seed']}, the same share of every class"
    )
    division = f"{facts.num_train:,} images to fit, {num_val:,} to stop and to choose by ({how})"
    rows = [
        ("data", f"{escape(folders.data_name(config))}, digest `{config['data_digest'][:16]}`"),
        ("division", division),
        ("training", f"one, seed {spec['seed']}; weights of the {config['epoch']} epoch"),
        ("fingerprint of the run", f"`{config['fingerprint']}`"),
        ("exported by", _versions(certificate["made"])),
    ]
    return f"## Data and protocol\n\n{_table(('', ''), rows)}"


def _versions(made: Mapping[str, Any]) -> str:
    names = ("modiste", "torch", "onnx", "onnxruntime")
    packages = ", ".join(f"{name} {made['packages'][name]}" for name in names)
    return f"{packages}; commit {made['git_commit'] or 'unknown'}; {made['at']}"


def _figures(facts: Facts) -> str:
    figures = facts.certificate["figures"]
    words = {"accuracy": "accuracy", "top_two": "right class among two", "macro_f1": "macro F1"}
    rows = [(text, *_value(figures[name])) for name, text in words.items()]
    text = (
        f"## Figures\n\nOn the {figures['images']:,} validation images, with 95 % intervals for "
        "the choice of images. One training: how much another seed moves them is not in the "
        "intervals. These images may have chosen when to stop and which model to ship, so the "
        f"figures lean to the bright side.\n\n{_table(('figure', 'value', '95 % interval'), rows)}"
    )
    names = facts.config["class_names"]
    if len(names) > _MOST_CLASSES:
        return f"{text}\n\nThe share found of each class is in `{folders.CERTIFICATE}`."
    recalls = [
        (escape(name), f"{row['images']:,}", *_value(row))
        for name, row in zip(names, figures["recall"], strict=True)
    ]
    head = ("class", "images", "share of them found", "95 % interval")
    return f"{text}\n\n{_table(head, recalls)}"


def _calibration(facts: Facts) -> str:
    figures = facts.certificate["figures"]
    said = (
        f"Logits are divided by {figures['temperature']:g}, fitted on the validation images; no "
        "answer changes by it. What it is worth was measured on images that had no part in fitting "
        "it, each half by the other's."
    )
    if figures["temperature"] == 1:
        said = (
            "Logits are not divided by a temperature: the validation images are too few to fit "
            "one, or were all answered rightly, or tell none but 1."
        )
    words = {"calibration_error": "calibration error (ECE)", "loss": "loss, nats", "brier": "Brier"}
    rows = []
    for name, text in words.items():
        before, after = figures["before_temperature"][name], figures["after_temperature"][name]
        rows.append((text, " (".join(_value(before)) + ")", " (".join(_value(after)) + ")"))
    text = f"## Calibration\n\n{said}\n\n{_table(('', 'before (95 % interval)', 'after'), rows)}"
    if any("(-)" in cell for row in rows for cell in row):
        text += f"\n\n{_FEW_WRONG}"
    return text


def _test(facts: Facts) -> str:
    known = Looked.of(facts.certificate["test"])
    tally, measured = known.tally, known.measured
    looks = f"{tally.words} The ledger is that of whoever exported this"
    looks += f"; entries: {tally.num_entries}; head: `{tally.head}`."
    if measured is None:
        return f"## Test set\n\nIt was not opened for this model. {looks}"
    low, high = measured["interval"]
    return (
        f"## Test set\n\nAccuracy {measured['accuracy']:.4f} ({low:.4f} to {high:.4f}) on "
        f"{measured['total']:,} images. Stated reason of that look: "
        f"{escape(str(measured['reason']))}. {looks}"
    )


def _proof(facts: Facts) -> str:
    parity = facts.certificate["parity"]
    text = (
        f"## Proof\n\n`model.onnx` was asked beside PyTorch on all {parity['images']:,} validation "
        f"images: {parity['flips']} other answers, largest difference of a probability "
        f"{parity['largest_difference']:.1e}. The same is asked again wherever `modiste verify` "
        f"runs, of the images in `golden/` ({facts.golden})."
    )
    small = facts.certificate.get("int8")
    if small is None:
        return text
    change = small["accuracy_change"]
    low, high = change["interval"]
    return (
        f"{text}\n\n`model-int8.onnx` is not the same model: {small['flips']:,} of "
        f"{small['images']:,} answers differ, largest difference "
        f"{small['largest_difference']:.2g}, accuracy {change['mean']:+.4f} (95 % "
        f"interval {low:+.4f} to {high:+.4f})."
    )


def _unlike(facts: Facts) -> str:
    rule, shares = facts.config["typical"], facts.certificate["unlike"]
    rows = [(name, f"{low:g} to {high:g}") for name, (low, high) in rule["ranges"].items()]
    return (
        "## Images unlike the training images\n\n`modiste predict` warns of an image outside of "
        "one of these ranges, in which nearly all training images lie (levels of 0 to 255; mean of "
        "the outermost pixels, mean and standard deviation of all, mean difference of neighbours):"
        f"\n\n{_table(('', 'training images'), rows)}\n\nIt warned of "
        f"{_percent(shares['validation'])} of the validation images, "
        f"{_percent(shares['inverted'])} of the same inverted, and {_percent(shares['noise'])} of "
        "noise. No warning is no promise: an image inside all ranges may still show something of "
        "none of the classes."
    )


def _speed(facts: Facts) -> str:
    rows = []
    for name, num_bytes in facts.sizes.items():
        found = facts.certificate["latency"].get(name)
        times = ("", "")
        if found:
            times = (f"{found['single_ms']['median']:g} ms", f"{found['batch_ms_per_image']:g} ms")
        rows.append((f"`{name}`", f"{num_bytes / 1e3:,.0f} kB", *times))
    (batch_size,) = {found["batch_size"] for found in facts.certificate["latency"].values()}
    head = ("", "size", "one image", f"each of {batch_size}")
    made = facts.certificate["made"]
    return (
        f"## Size and speed\n\n{_table(head, rows)}\n\nMedian times of onnxruntime on one thread "
        f"of {escape(made['cpu'])}, decoding not counted."
    )


def _limits(facts: Facts) -> str:
    return """## Limits

- It knows its classes and no other: every image gets one of them.
- The figures hold for images drawn as the validation images were. Others (photographs instead of
  drawings, another camera, another country) were not measured.
- Probabilities are calibrated on the same kind of images, and on no other.
- One training, one split. Differences of a few tenths of a point may be the seed's."""


def _licence(facts: Facts) -> str:
    if facts.licence == "unknown":
        return "## Licence\n\nNone was stated. Ask whoever exported it before you use it."
    return (
        f"## Licence\n\n{escape(facts.licence)}, as stated by whoever exported it. The data have a "
        "licence of their own."
    )


def _value(figure: Mapping[str, Any]) -> tuple[str, str]:
    if figure["value"] is None:
        return "-", "-"
    if figure["interval"] is None:
        return f"{figure['value']:.4f}", "-"
    low, high = figure["interval"]
    return f"{figure['value']:.4f}", f"{low:.4f} to {high:.4f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(head: Sequence[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
