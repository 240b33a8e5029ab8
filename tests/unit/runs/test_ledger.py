"""The ledger counts every look, and says "unknown" when it does not add up."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modiste.errors import SealError
from modiste.runs import files
from modiste.runs.ledger import EMPTY, Ledger, ledger_folder

DIGEST = "c0ffee" * 10 + "beef"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(DIGEST)


def look(ledger: Ledger, reason: str = "to see") -> str:
    ledger.append("look", {"reason": reason, "runs": ["a"]})
    return ledger.append("result", {"results": [], "total": 10})


def test_a_fresh_ledger_counts_none(ledger: Ledger) -> None:
    assert (ledger.count(), ledger.entries(), ledger.head()) == (0, [], EMPTY)
    assert not ledger.path.exists()


def test_looks_are_counted_and_their_results_are_not(ledger: Ledger) -> None:
    heads = [look(ledger, f"reason {n}") for n in range(3)]
    assert ledger.count() == 3
    assert ledger.head() == heads[-1]
    entries = ledger.entries()
    assert entries is not None
    assert [entry["kind"] for entry in entries] == ["look", "result"] * 3
    assert [e["reason"] for e in entries[::2]] == ["reason 0", "reason 1", "reason 2"]
    assert all(entry["at"].endswith("+00:00") for entry in entries)
    # A new object, as in another process, reads the same.
    assert Ledger(DIGEST, heads).count() == 3


def test_each_data_set_has_a_ledger_of_its_own(ledger: Ledger) -> None:
    look(ledger)
    assert Ledger("ab" * 32).count() == 0


def test_words_of_any_script_and_line_breaks_stay_one_entry(ledger: Ledger) -> None:
    reason = 'für "später"\n{"kind": "look"}\u2028 ✔'
    look(ledger, reason)
    assert ledger.count() == 1
    entries = ledger.entries()
    assert entries is not None
    assert entries[0]["reason"] == reason


def test_a_copy_that_came_with_results_is_taken_over_and_goes_on(
    ledger: Ledger, tmp_path: Path
) -> None:
    look(ledger)
    ledger.copy_to(tmp_path / "results")
    new = Ledger(DIGEST, folder=tmp_path / "another machine")
    new.take_over(tmp_path / "results")
    assert (new.count(), new.head()) == (1, ledger.head())
    look(new, "the next one")
    new.take_over(tmp_path / "results")  # which is behind by now
    assert new.count() == 2
    new.copy_to(tmp_path / "results")
    assert Ledger(DIGEST, [new.head()], tmp_path / "results").count() == 2


def test_nothing_is_taken_over_where_there_is_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.take_over(tmp_path)
    ledger.copy_to(tmp_path)
    assert (ledger.count(), list(tmp_path.iterdir())) == (0, [])


def test_two_ledgers_that_part_are_never_made_one(ledger: Ledger, tmp_path: Path) -> None:
    look(ledger)
    ledger.copy_to(tmp_path)
    look(ledger, "here")
    look(Ledger(DIGEST, folder=tmp_path), "there")
    before = ledger.content()
    for join in (ledger.take_over, ledger.copy_to):
        with pytest.raises(SealError, match="counted apart"):
            join(tmp_path)
    assert ledger.content() == before


# --- what somebody could do to it -----------------------------------------------------------------


def lines(ledger: Ledger) -> list[bytes]:
    return ledger.path.read_bytes().splitlines(keepends=True)


def edit(ledger: Ledger) -> None:
    text = ledger.path.read_bytes()
    ledger.path.write_bytes(text.replace(b"reason 1", b"reason 9"))


def cut_last(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"".join(lines(ledger)[:-2]))


def cut_within(ledger: Ledger) -> None:
    ledger.path.write_bytes(ledger.path.read_bytes()[:-30])


def delete_first(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"".join(lines(ledger)[2:]))


def delete_middle(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"".join(lines(ledger)[:2] + lines(ledger)[4:]))


def reorder(ledger: Ledger) -> None:
    found = lines(ledger)
    ledger.path.write_bytes(b"".join([*found[2:4], *found[:2], *found[4:]]))


def repeat(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"".join([*lines(ledger), lines(ledger)[-1]]))


def empty(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"")


def lose(ledger: Ledger) -> None:
    ledger.path.unlink()


def lose_head(ledger: Ledger) -> None:
    ledger.path.with_suffix(".head.json").unlink()


def change_head(ledger: Ledger) -> None:
    ledger.path.with_suffix(".head.json").write_text(f'{{"head": "{EMPTY}", "count": 0}}')


def break_head(ledger: Ledger) -> None:
    ledger.path.with_suffix(".head.json").write_bytes(b"\xff{")


def rubbish(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"\xff\xfe\n" + ledger.path.read_bytes())


def no_objects(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"[]\n3\n")


@pytest.mark.parametrize(
    "change",
    [
        *[edit, cut_last, cut_within, delete_first, delete_middle, reorder, repeat, empty, lose],
        *[lose_head, change_head, break_head, rubbish, no_objects],
    ],
    ids=lambda change: change.__name__,
)
def test_a_ledger_that_was_changed_reads_unknown(
    change: Callable[[Ledger], None], ledger: Ledger
) -> None:
    for number in range(3):
        look(ledger, f"reason {number}")
    assert ledger.count() == 3
    change(ledger)
    assert ledger.count() is None
    assert ledger.entries() is None


def test_an_edited_ledger_chained_anew_is_told_by_the_heads_in_results(ledger: Ledger) -> None:
    heads = [look(ledger, f"reason {number}") for number in range(3)]
    for path in (ledger.path, ledger.path.with_suffix(".head.json")):
        path.unlink()
    # Somebody deleted all and wrote two looks of the three again, chain and head in order.
    for number in (0, 2):
        look(ledger, f"reason {number}")
    assert ledger.count() == 2
    assert Ledger(DIGEST, heads).count() is None
    assert Ledger(DIGEST, heads[-1:]).count() is None


def test_a_ledger_that_was_deleted_with_its_head_is_told_by_the_heads_in_results(
    ledger: Ledger,
) -> None:
    head = look(ledger)
    for path in (ledger.path, ledger.path.with_suffix(".head.json")):
        path.unlink()
    assert Ledger(DIGEST).count() == 0
    assert Ledger(DIGEST, [head]).count() is None


def test_an_entry_without_its_kind_is_no_crash(ledger: Ledger) -> None:
    line = json.dumps({"previous": EMPTY}).encode()
    ledger.path.parent.mkdir(parents=True)
    ledger.path.write_bytes(line + b"\n")
    head = {"head": hashlib.sha256(line).hexdigest(), "count": 1}
    files.write_json(ledger.path.with_suffix(".head.json"), head)
    assert ledger.count() is None


def test_looks_go_on_being_written_after_a_change_and_stay_unknown(ledger: Ledger) -> None:
    look(ledger, "reason 1")
    edit(ledger)
    look(ledger)
    assert ledger.count() is None


# --- where and when it can be written -------------------------------------------------------------


def test_a_place_that_cannot_be_written_keeps_the_seal_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").write_bytes(b"")
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "plain" / "ledger"))
    with pytest.raises(SealError, match="stays closed") as error:
        Ledger(DIGEST).append("look", {})
    assert "MODISTE_LEDGER" in str(error.value)


def test_a_head_that_cannot_be_written_keeps_the_seal_closed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for before in range(2):
        with monkeypatch.context() as patch:
            patch.setattr("modiste.runs.ledger.write_whole", full)
            with pytest.raises(SealError, match=r"No space left.* stays closed"):
                ledger.append("look", {"reason": "while full"})
        # Nothing was looked at, and the ledger adds up as before.
        assert ledger.count() == before
        look(ledger)
        assert ledger.count() == before + 1


def test_processes_that_look_at_the_same_time_are_all_counted(ledger: Ledger) -> None:
    code = (
        "from modiste.runs.ledger import Ledger\n"
        f"for n in range(20): Ledger({DIGEST!r}).append('look', {{'n': n}})\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert ledger.count() == 40


def test_the_folder_is_the_users_own_unless_a_variable_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger_folder() == tmp_path / ".home" / "ledger"
    monkeypatch.delenv("MODISTE_LEDGER")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert ledger_folder() == tmp_path / "xdg" / "modiste" / "ledger"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ledger_folder() == tmp_path / ".local" / "share" / "modiste" / "ledger"
