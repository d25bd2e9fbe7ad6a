"""Undo entries: on disk before their fault, gone after their undo, and there for the next try when it fails."""

from __future__ import annotations

import json
import threading

import pytest

from parity.errors import FaultError
from parity.stack.undo import UndoJournal


class Acts:
    """Stands in for what does an undo: notes each, with what was on disk then, and fails where it is told to."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.failing: set[str] = set()
        self.on_disk: list[list[str]] = []

    def __call__(self, entry) -> None:
        self.on_disk.append(names(self.folder))
        if entry["name"] in self.failing:
            raise FaultError(f"{entry['name']} cannot be undone")
        self.done.append(entry["name"])


def names(folder) -> list[str]:
    return [json.loads(path.read_text())["name"] for path in sorted(folder.glob("*.json"))]


def entry(name: str) -> dict:
    return {"do": "start", "container": "0123456789abcdef", "name": name}


def killed_in_the_middle(journal: UndoJournal, *faults: str) -> list:
    """Faults whose blocks are entered and never left; they last as long as what is returned."""
    blocks = [journal.pending(entry(name)) for name in faults]
    for block in blocks:
        block.__enter__()
    return blocks


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "undo"


@pytest.fixture
def acts(folder):
    return Acts(folder)


@pytest.fixture
def journal(folder, acts):
    return UndoJournal(folder, act=acts)


def test_an_entry_is_on_disk_before_the_block_and_gone_after_it(journal, acts, folder):
    with journal.pending(entry("a")):
        assert names(folder) == ["a"]
        assert acts.done == []
    assert acts.done == ["a"]
    assert acts.on_disk == [["a"]], "until the undo is done, the entry stays"
    assert names(folder) == []


def test_a_fault_that_fails_is_undone_all_the_same(journal, acts, folder):
    with pytest.raises(RuntimeError), journal.pending(entry("a")):
        raise RuntimeError
    assert acts.done == ["a"]
    assert names(folder) == []


def test_an_entry_whose_undo_fails_stays_for_the_next_try(journal, acts, folder):
    acts.failing = {"a"}
    with pytest.raises(FaultError, match="a cannot be undone"), journal.pending(entry("a")):
        pass
    assert names(folder) == ["a"]
    acts.failing = set()
    assert journal.replay() == ["start a"]
    assert names(folder) == []


def test_what_a_killed_parity_left_is_undone_the_youngest_first(journal, acts, folder):
    left = killed_in_the_middle(journal, "a", "b", "c")
    assert len(left) == 3
    assert UndoJournal(folder, act=acts).replay() == ["start c", "start b", "start a"]
    assert acts.done == ["c", "b", "a"]
    assert names(folder) == []


def test_one_that_fails_keeps_no_other_from_being_undone(journal, acts, folder):
    left = killed_in_the_middle(journal, "a", "b", "c")
    acts.failing = {"b"}
    assert len(left) == 3
    with pytest.raises(FaultError, match="b cannot be undone"):
        journal.replay()
    assert acts.done == ["c", "a"]
    assert names(folder) == ["b"]
    acts.failing = set()


def test_an_empty_journal_has_nothing_to_do(journal):
    assert journal.replay() == []


def test_a_half_written_entry_is_none(journal, folder):
    """A fault is applied only after its entry was renamed into place, so half of one undoes nothing."""
    (folder / "000001.tmp").write_text('{"do": "st')
    assert journal.replay() == []


def test_entries_from_many_threads_are_all_on_disk(folder):
    """Two that took the same number would leave one fault without its undo."""
    journal = UndoJournal(folder, act=lambda _: None)
    together, looked = threading.Barrier(16, timeout=10), threading.Barrier(17, timeout=10)
    done = threading.Event()

    def break_something(number):
        together.wait()
        with journal.pending(entry(str(number))):
            looked.wait()
            done.wait(timeout=10)

    threads = [threading.Thread(target=break_something, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    looked.wait()
    found = names(folder)
    done.set()
    for thread in threads:
        thread.join()
    assert sorted(found, key=int) == [str(number) for number in range(16)]
    assert names(folder) == []
