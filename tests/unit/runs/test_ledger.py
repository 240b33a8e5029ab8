"""The ledger counts every look, and says "unknown" when it does not add up."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modiste.atomic import write_whole
from modiste.counts import UNKNOWN
from modiste.errors import SealError
from modiste.runs import files
from modiste.runs.chain import BROKEN, EMPTY, JOINED, Entry
from modiste.runs.ledger import Ledger, Tally, ledger_folder

DIGEST = "c0ffee" * 10 + "beef"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(DIGEST)


def look(ledger: Ledger, reason: str = "to see") -> str:
    ledger.append("look", {"reason": reason, "runs": ["a"]})
    return ledger.append("result", {"results": [], "total": 10})


def known(ledger: Ledger) -> list[Entry]:
    """Its entries, which must add up."""
    entries = ledger.entries()
    assert entries != UNKNOWN
    return entries


def test_a_fresh_ledger_counts_none(ledger: Ledger) -> None:
    assert (ledger.count(), ledger.entries(), ledger.chain().head) == (0, [], EMPTY)
    assert not ledger.path.exists()


def test_looks_are_counted_and_their_results_are_not(ledger: Ledger) -> None:
    heads = [look(ledger, f"reason {n}") for n in range(3)]
    assert ledger.count() == 3
    assert ledger.chain().head == heads[-1]
    entries = known(ledger)
    assert [entry["kind"] for entry in entries] == ["look", "result"] * 3
    assert [e["reason"] for e in entries[::2]] == ["reason 0", "reason 1", "reason 2"]
    assert all(entry["at"].endswith("+00:00") for entry in entries)
    # A new object, as in another process, reads the same.
    assert Ledger(DIGEST, heads).count() == 3


def test_each_data_set_has_a_ledger_of_its_own(ledger: Ledger) -> None:
    look(ledger)
    assert Ledger("ab" * 32).count() == 0


def test_words_of_any_script_and_line_breaks_stay_one_entry(ledger: Ledger) -> None:
    # The last one is no text: a byte that a shell handed over.
    reason = 'für "später"\n{"kind": "look"}\u2028 ✔\udcfc'
    look(ledger, reason)
    assert ledger.count() == 1
    entries = known(ledger)
    assert entries[0]["reason"] == reason


def test_a_copy_that_came_with_results_is_taken_over_and_goes_on(
    ledger: Ledger, tmp_path: Path
) -> None:
    look(ledger)
    ledger.copy_to(tmp_path / "results")
    new = Ledger(DIGEST, folder=tmp_path / "another machine")
    new.take_over(tmp_path / "results")
    assert (new.count(), new.chain().head) == (1, ledger.chain().head)
    look(new, "the next one")
    new.take_over(tmp_path / "results")  # which is behind by now
    assert new.count() == 2
    new.copy_to(tmp_path / "results")
    assert Ledger(DIGEST, [new.chain().head], tmp_path / "results").count() == 2


def test_nothing_is_taken_over_where_there_is_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.take_over(tmp_path)
    ledger.copy_to(tmp_path)
    assert (ledger.count(), list(tmp_path.iterdir())) == (0, [])


def test_ledgers_that_were_counted_apart_become_one_that_holds_the_looks_of_both(
    ledger: Ledger, tmp_path: Path
) -> None:
    look(ledger, "before they part")
    ledger.copy_to(tmp_path)
    there = Ledger(DIGEST, folder=tmp_path)
    heads = [look(ledger, "here"), look(there, "there"), look(there, "there again")]
    ledger.take_over(tmp_path)
    assert ledger.count() == 4
    assert Ledger(DIGEST, heads).count() == 4, "what stands in results of either is in it"
    reasons = {entry["reason"] for entry in known(ledger) if entry["kind"] == "look"}
    assert reasons == {"before they part", "here", "there", "there again"}
    assert [entry["kind"] for entry in known(ledger)].count(JOINED) == 1
    # The copy follows, and both go on as one.
    ledger.copy_to(tmp_path)
    assert there.chain() == ledger.chain()
    look(ledger, "together")
    ledger.copy_to(tmp_path)
    assert there.count() == 5
    assert [entry["kind"] for entry in known(there)].count(JOINED) == 1


def test_ledgers_of_many_machines_keep_every_look_whoever_takes_over_whom(tmp_path: Path) -> None:
    machines = [Ledger(DIGEST, folder=tmp_path / str(number)) for number in range(4)]
    chance = random.Random(0)
    looks = 0
    for step in range(120):
        one, other = chance.sample(machines, 2)
        if chance.random() < 0.3:
            look(one, f"look {step}")
            looks += 1
        elif chance.random() < 0.5:
            one.take_over(other.path.parent)
        else:
            one.copy_to(other.path.parent)
        assert all(machine.count() != UNKNOWN for machine in machines)
    for other in machines[1:]:
        machines[0].take_over(other.path.parent)
    assert machines[0].count() == looks
    for other in machines[1:]:
        machines[0].copy_to(other.path.parent)
        assert other.chain() == machines[0].chain()


@pytest.mark.parametrize("change", ["drop", "edit"])
def test_a_look_that_was_counted_apart_cannot_be_taken_out_again(
    change: str, ledger: Ledger, tmp_path: Path
) -> None:
    look(ledger, "here")
    look(Ledger(DIGEST, folder=tmp_path), "there")
    ledger.take_over(tmp_path)
    found = lines(ledger)
    number = next(n for n, line in enumerate(found) if b'"there"' in line)
    found[number : number + 1] = [] if change == "drop" else [found[number].replace(b"re", b"ra")]
    ledger.path.write_bytes(b"".join(found))
    assert ledger.count() == UNKNOWN


# --- what somebody could do to it -----------------------------------------------------------------


def lines(ledger: Ledger) -> list[bytes]:
    return ledger.path.read_bytes().splitlines(keepends=True)


def edit(ledger: Ledger) -> None:
    text = ledger.path.read_bytes()
    ledger.path.write_bytes(text.replace(b"reason 1", b"reason 9"))


def edit_last(ledger: Ledger) -> None:
    ledger.path.write_bytes(ledger.path.read_bytes()[:-30] + b"0" * 27 + b'"}\n')


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
    ledger.path.with_suffix(".head.json").write_text('{"head": "0ff", "count": 2}')


def break_head(ledger: Ledger) -> None:
    ledger.path.with_suffix(".head.json").write_bytes(b"\xff{")


def rubbish(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"\xff\xfe\n" + ledger.path.read_bytes())


def no_objects(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"[]\n3\n")


CHANGES = [
    *[edit, edit_last, cut_last, cut_within, delete_first, delete_middle, reorder, repeat],
    *[empty, lose, lose_head, change_head, break_head, rubbish, no_objects],
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_ledger_that_was_changed_reads_unknown(
    change: Callable[[Ledger], None], ledger: Ledger
) -> None:
    for number in range(3):
        look(ledger, f"reason {number}")
    assert ledger.count() == 3
    change(ledger)
    assert ledger.count() == UNKNOWN
    assert ledger.entries() == UNKNOWN
    said = ledger.tally()
    assert (said.looks, said.comparisons) == (UNKNOWN, UNKNOWN)
    assert said.trouble


def test_an_edited_ledger_chained_anew_is_told_by_the_heads_in_results(ledger: Ledger) -> None:
    heads = [look(ledger, f"reason {number}") for number in range(3)]
    for path in (ledger.path, ledger.path.with_suffix(".head.json")):
        path.unlink()
    # Somebody deleted all and wrote two looks of the three again, chain and head in order.
    for number in (0, 2):
        look(ledger, f"reason {number}")
    assert ledger.count() == 2
    assert Ledger(DIGEST, heads).count() == UNKNOWN
    assert Ledger(DIGEST, heads[-1:]).count() == UNKNOWN


def test_a_ledger_that_was_deleted_with_its_head_is_told_by_the_heads_in_results(
    ledger: Ledger,
) -> None:
    head = look(ledger)
    for path in (ledger.path, ledger.path.with_suffix(".head.json")):
        path.unlink()
    assert Ledger(DIGEST).count() == 0
    assert Ledger(DIGEST, [head]).count() == UNKNOWN


def test_an_entry_without_its_kind_is_no_crash(ledger: Ledger) -> None:
    line = json.dumps({"previous": EMPTY}).encode()
    ledger.path.parent.mkdir(parents=True)
    ledger.path.write_bytes(line + b"\n")
    head = {"head": hashlib.sha256(line).hexdigest(), "count": 1}
    files.write_json(ledger.path.with_suffix(".head.json"), head)
    assert ledger.count() == UNKNOWN


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_looks_go_on_being_written_after_a_change_and_stay_unknown(
    change: Callable[[Ledger], None], ledger: Ledger, tmp_path: Path
) -> None:
    for number in range(3):
        look(ledger, f"reason {number}")
    change(ledger)
    for number in range(2):
        head = look(ledger, f"later {number}")
        assert (ledger.count(), ledger.chain().head) == (UNKNOWN, head)
    # Also for results that know nothing of what was there before, and on other machines.
    ledger.copy_to(tmp_path / "results")
    assert Ledger(DIGEST, [head], tmp_path / "results").count() == UNKNOWN
    # What was found is written down once, before what came after it.
    entries = ledger.chain().entries
    (mark,) = [entry for entry in entries if entry["kind"] == BROKEN]
    since = entries[entries.index(mark) + 1 :]
    assert [e["reason"] for e in since if e["kind"] == "look"] == ["later 0", "later 1"]
    assert mark["why"]


def test_a_ledger_that_lost_entries_is_whole_again_if_a_copy_has_them(
    ledger: Ledger, tmp_path: Path
) -> None:
    for number in range(3):
        look(ledger, f"reason {number}")
    ledger.copy_to(tmp_path)
    for change in (cut_last, cut_within, empty, lose, delete_first, repeat):
        change(ledger)
        assert ledger.count() == UNKNOWN
        ledger.take_over(tmp_path)
        assert ledger.count() == 3, change
    # Without a head nobody can say that nothing came after.
    lose_head(ledger)
    ledger.take_over(tmp_path)
    assert ledger.count() == UNKNOWN


@pytest.mark.parametrize("change", [edit, edit_last, cut_last, empty, rubbish])
def test_results_with_a_changed_ledger_make_looks_unknown_wherever_they_go_on(
    change: Callable[[Ledger], None], ledger: Ledger, tmp_path: Path
) -> None:
    there = Ledger(DIGEST, folder=tmp_path)
    for number in range(3):
        look(there, f"reason {number}")
    change(there)
    look(ledger, "of another study, here")
    ledger.take_over(tmp_path)
    assert ledger.count() == UNKNOWN
    look(ledger, "a further one")
    ledger.copy_to(tmp_path)
    assert (ledger.count(), there.count()) == (UNKNOWN, UNKNOWN)
    reasons = {entry.get("reason") for entry in there.chain().entries}
    assert {"of another study, here", "a further one"} <= reasons
    # It does not grow by looking at it.
    before = ledger.path.read_bytes()
    ledger.take_over(tmp_path)
    ledger.copy_to(tmp_path)
    assert ledger.path.read_bytes() == before


def test_heads_that_are_missing_at_a_look_are_asked_for_until_they_turn_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    head = look(ledger, "on the first machine")
    second = Ledger(DIGEST, [head], tmp_path / "second")
    look(second, "on the second, which results came to without their ledger")
    assert second.count() == UNKNOWN
    # The ledger itself knows now; it need not be told of the results again.
    second = Ledger(DIGEST, folder=tmp_path / "second")
    (mark,) = [entry for entry in second.chain().entries if entry["kind"] == BROKEN]
    assert (second.count(), mark["missing"]) == (UNKNOWN, [head])
    look(second, "another")
    assert [e["kind"] for e in second.chain().entries].count(BROKEN) == 1
    second.take_over(ledger.path.parent)
    assert second.count() == 3


# --- what a stop in the middle leaves -------------------------------------------------------------


def test_a_stop_between_an_entry_and_its_head_loses_nothing(ledger: Ledger) -> None:
    for number in range(3):
        head_file = ledger.path.with_suffix(".head.json")
        begun = json.dumps({"head": EMPTY, "count": 0}).encode()
        before = head_file.read_bytes() if number else begun
        ledger.append("look", {"reason": f"reason {number}"})
        after = head_file.read_bytes()
        head_file.write_bytes(before)
        assert ledger.count() == number + 1
        head_file.write_bytes(after)
    head_file.write_bytes(before)
    look(ledger, "after it")
    assert ledger.count() == 4


@pytest.mark.parametrize("num_bytes", [1, 30, 100])
def test_a_line_that_was_never_finished_is_no_entry(ledger: Ledger, num_bytes: int) -> None:
    look(ledger)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + whole.splitlines()[0][:num_bytes])
    assert ledger.count() == 1
    look(ledger, "after it")
    assert (ledger.count(), len(lines(ledger))) == (2, 4)


@pytest.mark.parametrize("num_before", [0, 2])
def test_a_stop_while_a_longer_ledger_is_taken_over_is_made_good_by_the_next(
    num_before: int, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(num_before):
        look(ledger, f"reason {number}")
    there = Ledger(DIGEST, folder=tmp_path)
    ledger.copy_to(tmp_path)
    look(there, "elsewhere")
    with monkeypatch.context() as patch:
        patch.setattr("modiste.runs.ledger.write_whole", once(write_whole))
        with pytest.raises(KeyboardInterrupt):
            ledger.take_over(tmp_path)
    ledger.take_over(tmp_path)
    assert ledger.count() == num_before + 1
    assert ledger.chain().lines == there.chain().lines


def once(write: Callable[[Path, bytes], None]) -> Callable[[Path, bytes], None]:
    """Writes one file, and is stopped at the next."""
    written: list[Path] = []

    def call(path: Path, content: bytes) -> None:
        if written:
            raise KeyboardInterrupt
        write(path, content)
        written.append(path)

    return call


def test_an_editor_that_takes_the_last_line_break_does_no_harm(ledger: Ledger) -> None:
    look(ledger)
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n"))
    assert ledger.count() == 1
    look(ledger)
    assert ledger.count() == 2


def test_line_breaks_of_another_system_do_no_harm(ledger: Ledger) -> None:
    look(ledger)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"\n", b"\r\n"))
    assert ledger.count() == 1
    look(ledger)
    assert ledger.count() == 2


# --- what it says ---------------------------------------------------------------------------------


def test_a_tally_comes_back_from_json_as_it_was(ledger: Ledger) -> None:
    look(ledger)
    ledger.append("comparison", {"reason": "duplicates"})
    said = ledger.tally()
    assert (said.looks, said.comparisons, said.num_entries, said.trouble) == (1, 1, 3, "")
    assert said.head == ledger.chain().head
    edit_last(ledger)
    for each in (said, ledger.tally()):
        assert Tally.of(json.loads(json.dumps(each.to_dict()))) == each


def test_a_count_that_an_older_version_did_not_know_is_unknown() -> None:
    said = Tally.of({"looks": None, "ledger_head": "ab" * 32})
    assert (said.looks, said.head) == (UNKNOWN, "ab" * 32)


def test_an_entry_can_be_found_by_its_hash(ledger: Ledger) -> None:
    head = look(ledger)
    assert ledger.at(head) == known(ledger)[-1]["at"]
    assert ledger.at("ab" * 32) == ""


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
