"""The history's file survives what kills its writer, and nothing else that is wrong with it passes."""

from __future__ import annotations

import subprocess
import sys
from threading import Thread

import pytest
from check_histories import done, ended, exited, proved_fault, queued, submitted

from parity.errors import RecordError
from parity.history.events import Node, Phantom, Queue, Remark
from parity.history.file import HistoryWriter, read_history

HISTORY = ended(
    submitted(0, 1),
    done(0),
    exited("a"),
    proved_fault("a", "b"),
    [Node(t_us=1, node="n", state="down"), Queue(t_us=1, queue="q", ready=1, unacknowledged=2, leader="n")],
    [Phantom(t_us=2, identity="é", seen="queue"), Remark(t_us=3, text="two\nlines")],
    found=queued(1),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.jsonl"


def write(path, events, **how):
    with HistoryWriter(path, **how) as writer:
        for event in events:
            writer.write(event)


def test_what_was_written_is_read(path):
    write(path, HISTORY)
    assert list(read_history(path)) == HISTORY


def test_a_history_of_many_chunks_is_read_whole(path):
    events = [Remark(t_us=number, text="x" * (number % 300)) for number in range(5_000)]
    write(path, events, flush_every=1000)
    assert list(read_history(path)) == events


def test_a_line_longer_than_a_chunk_is_read(path):
    events = [Remark(t_us=1, text="x" * 1_000_000), Remark(t_us=2, text="y")]
    write(path, events)
    assert list(read_history(path)) == events


def test_each_event_is_one_line(path):
    write(path, HISTORY)
    assert path.read_bytes().count(b"\n") == len(HISTORY)


def test_an_event_written_can_be_read_before_the_writer_is_closed(path):
    with HistoryWriter(path) as writer:
        writer.write(HISTORY[0])
        assert list(read_history(path)) == HISTORY[:1]


def test_events_written_together_are_a_line_each_and_there_at_once(path):
    with HistoryWriter(path) as writer:
        writer.write(*HISTORY)
        assert list(read_history(path)) == HISTORY
    assert path.read_bytes().count(b"\n") == len(HISTORY)


def test_nothing_written_leaves_nothing(path):
    with HistoryWriter(path) as writer:
        writer.write()
    assert path.read_bytes() == b""


def test_events_held_back_come_with_a_flush(path):
    with HistoryWriter(path, flush_every=100) as writer:
        writer.write(HISTORY[0])
        assert list(read_history(path)) == []
        writer.flush()
        assert list(read_history(path)) == HISTORY[:1]


def test_a_writer_killed_the_moment_after_has_lost_nothing(path):
    program = (
        "import os, pathlib, signal, sys\n"
        "from parity.history.events import Remark\n"
        "from parity.history.file import HistoryWriter\n"
        "writer = HistoryWriter(pathlib.Path(sys.argv[1]))\n"
        "for number in range(100): writer.write(Remark(t_us=number, text='x'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    assert [event.t_us for event in read_history(path)] == list(range(100))


def test_threads_do_not_tear_each_others_lines(path):
    with HistoryWriter(path, flush_every=7) as writer:
        threads = [
            Thread(target=lambda base=base: [writer.write(Remark(t_us=base + n, text="x" * 50)) for n in range(500)])
            for base in range(0, 4000, 500)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(event.t_us for event in read_history(path)) == list(range(4000))


def test_writing_after_closing_is_refused(path):
    writer = HistoryWriter(path)
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(HISTORY[0])


def test_a_last_line_torn_anywhere_is_left_out(path):
    """The last event here holds a character of two bytes, so one of the cuts is inside it."""
    events = [Remark(t_us=1, text="whole"), Phantom(t_us=2, identity="é", seen="queue")]
    write(path, events)
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for cut in range(first, len(content) - 1):
        path.write_bytes(content[:cut])
        assert list(read_history(path)) == events[:1], content[first:cut]


def test_a_last_line_that_lacks_only_its_newline_is_an_event(path):
    write(path, HISTORY)
    path.write_bytes(path.read_bytes()[:-1])
    assert list(read_history(path)) == HISTORY


def test_a_writer_that_follows_a_killed_one_cuts_the_torn_line(path):
    write(path, HISTORY[:2])
    path.write_bytes(path.read_bytes() + b'{"event":"rema')
    write(path, HISTORY[2:])
    assert list(read_history(path)) == HISTORY


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"rema',
        b"nonsense",
        b"[]",
        b'{"event":"no such event","t_us":1}',
        b'{"event":"remark","t_us":1}',
        b'{"event":"submit","t_us":1,"job":"0"}',
        b'{"event":"remark","t_us":1,"text":"\xff"}',
        b'{"event":"remark","t_us":1,"text":"a"}{"event":"remark","t_us":1,"text":"b"}',
        b'{"event":"remark","t_us":1,\n"text":"a"}',
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_a_whole_line_that_is_no_event_is_an_error_with_its_place(path, line, last):
    write(path, HISTORY[:3])
    good = path.read_bytes()
    path.write_bytes(good + line + b"\n" + (b"" if last else good))
    events = read_history(path)
    assert [next(events) for _ in range(3)] == HISTORY[:3]
    with pytest.raises(RecordError, match=r"history\.jsonl:4: expected an event"):
        next(events)


def test_the_place_is_right_beyond_the_first_chunk(path):
    write(path, [Remark(t_us=number, text="x" * 100) for number in range(5_000)], flush_every=1000)
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(RecordError, match=r"history\.jsonl:5001: "):
        list(read_history(path))


def test_an_empty_file_is_an_empty_history(path):
    path.touch()
    assert list(read_history(path)) == []


def test_a_file_that_is_not_there_is_an_error(path):
    with pytest.raises(RecordError, match=r"history\.jsonl"):
        list(read_history(path))


def test_a_last_line_that_is_whole_but_no_event_is_an_error(path):
    write(path, HISTORY[:2])
    path.write_bytes(path.read_bytes() + b'{"event":"remark","t_us":1}')
    with pytest.raises(RecordError, match=r"history\.jsonl:3: expected an event"):
        list(read_history(path))


def test_a_blank_line_is_nothing_and_is_counted(path):
    write(path, HISTORY[:3])
    path.write_bytes(b"\n" + path.read_bytes() + b"\nnonsense\n")
    events = read_history(path)
    assert [next(events) for _ in range(3)] == HISTORY[:3]
    with pytest.raises(RecordError, match=r"history\.jsonl:6: expected an event"):
        next(events)
