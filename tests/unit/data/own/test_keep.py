"""What was decoded once comes out of the cache, and nothing that is not whole does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modiste.data.load import map_arrays, save_arrays
from modiste.data.own import stock
from modiste.data.source import open_source
from modiste.spec.run import DataSpec
from tests.own_images import picture, png_bytes, write_classes, write_parts

SPEC = DataSpec.parse({"name": "folder", "decode": {"size": [8, 8], "channels": 1}})


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each image that is decoded."""
    found: list[int] = []
    real = stock._examined

    def counted(content, rule):
        found.append(1)
        return real(content, rule)

    monkeypatch.setattr(stock, "_examined", counted)
    return found


def test_a_second_time_nothing_is_decoded_and_the_images_are_the_same(tmp_path, decodings):
    root = write_classes(tmp_path / "pets")
    first = open_source(SPEC, root).load_train()
    assert len(decodings) == 30  # looked at, and brought to the rule
    again = open_source(SPEC, root).load_train()
    assert len(decodings) == 30
    assert again.digest == first.digest
    assert isinstance(again.images_NCHW, np.memmap)


def test_another_rule_or_another_image_is_decoded_anew(tmp_path, decodings):
    root = write_classes(tmp_path / "pets")
    open_source(SPEC, root).load_train()
    decodings.clear()
    wider = SPEC.decode.model_copy(update={"size": (8, 9)})
    open_source(SPEC.model_copy(update={"decode": wider}), root).load_train()
    assert len(decodings) == 15  # brought to the other size; what they are like is known
    decodings.clear()
    (root / "ant" / "0.png").write_bytes(png_bytes(picture(99)))
    images = open_source(SPEC, root).load_train()
    assert picture(99).tobytes() in {pixels.tobytes() for pixels in images.images_NCHW}


@pytest.mark.parametrize("spoil", ["cut", "changed", "emptied", "deleted"])
def test_a_cache_that_is_not_whole_is_made_again(spoil, tmp_path, monkeypatch):
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "cache"))
    root = write_classes(tmp_path / "pets")
    first = open_source(SPEC, root).load_train().digest
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        content = bytearray(path.read_bytes())
        if spoil == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif spoil == "changed":
            content[-9] ^= 1
            path.write_bytes(content)
        elif spoil == "emptied":
            path.write_bytes(b"")
        else:
            path.unlink()
    assert open_source(SPEC, root).load_train().digest == first


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    (tmp_path / "plain").write_bytes(b"")
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "plain" / "below"))
    assert len(open_source(SPEC, write_classes(tmp_path / "pets")).load_train()) == 15


def test_an_image_that_changes_while_it_is_read_is_named(tmp_path, monkeypatch):
    root: Path = write_classes(tmp_path / "pets")
    source = open_source(SPEC, root)
    source.facts()
    (root / "bee" / "2.png").write_bytes(png_bytes(picture(99)))
    with pytest.raises(Exception, match=r"bee/2\.png: was changed while it was read"):
        source.load_train()


def test_workers_map_what_the_driver_saved_with_its_given_validation_part(tmp_path):
    images = open_source(SPEC, write_parts(tmp_path / "pets")).load_train()
    save_arrays(images, tmp_path / "arrays")
    mapped = map_arrays(tmp_path / "arrays")
    assert mapped.digest == images.digest
    assert mapped.class_names == images.class_names
    assert (mapped.num_given_val, mapped.name) == (15, "pets")
