"""What `parity status` says of kept stacks, without any."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from parity.cli import stacks, standing
from parity.errors import StackError
from parity.service.asked import Kept


def text(rows):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(standing.shown(rows))
    return captured.get()


def queue(stack):
    depth = {"ready": 1, "unacknowledged": 0, "consumers": 3, "oldest_s": 2.4}
    return {"kind": "queue", "stack": stack, "name": "compose/rabbitmq", "queue": "jobs", **depth}


def test_one_stacks_queues_need_no_stack():
    assert text([queue("aaaa")]).split() == [
        *("queue", "ready", "unacknowledged", "consumers", "oldest_s"),
        *("jobs", "1", "0", "3", "2"),
    ]


def test_of_several_stacks_each_row_says_whose_it_is():
    """Their groups and queues are called alike."""
    lines = [line.split() for line in text([queue("aaaa"), queue("bbbb")]).splitlines()]
    assert [line[0] for line in lines] == ["stack", "aaaa", "bbbb"]


def test_an_endpoint_that_is_gone_is_said_with_what_brings_it_back(monkeypatch, tmp_path: Path):
    """Its process was killed, say; the containers are still there."""
    there = Kept(stack_id="aaaa", name="compose/rabbitmq", folder=tmp_path, address=None)
    monkeypatch.setattr(standing, "kept", lambda: [there])
    monkeypatch.setattr(standing, "_containers", lambda _stack_id: [])
    (row,) = standing.standing()
    assert row["kind"] == "endpoint"
    assert row["url"] == "none is served; `parity up compose/rabbitmq` starts one"
    assert row["url"] in text([row])


def test_ctrl_c_is_how_watching_ends(monkeypatch, capsys):
    """It interrupts nothing, and is no failure: `parity status --watch` says that it goes on until then."""
    looks = iter([[queue("aaaa")], KeyboardInterrupt()])

    def look():
        if isinstance(seen := next(looks), KeyboardInterrupt):
            raise seen
        return seen

    monkeypatch.setattr(stacks, "standing", look)
    monkeypatch.setattr(stacks, "_WATCH_S", 0)
    stacks.status(as_json=True, watch=True)
    assert capsys.readouterr().out.count('"queue": "jobs"') == 1


def test_logs_of_one_of_several_stacks(monkeypatch, capsys, tmp_path: Path):
    """Services of several are called alike, and so are their endpoints."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        there = Kept(stack_id=name, name=name, folder=tmp_path / name, address=None)
        there.log.write_text(f"of {name}\n")

    def kept(name):
        return [Kept(stack_id=one, name=one, folder=tmp_path / one, address=None) for one in "ab" if name in {"", one}]

    monkeypatch.setattr(stacks, "kept", kept)
    monkeypatch.setattr(stacks, "_containers", lambda _stack_id: {})
    stacks.logs("endpoint", tail=5, stack="b")
    assert capsys.readouterr().out == "endpoint | of b\n"
    with pytest.raises(StackError, match="no stack c is kept"):
        stacks.logs("", tail=5, stack="c")
