"""What becomes of jobs whose submit command ends before it has said so."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from parity.stack import submitter as module
from parity.stack.streams import STDERR, STDOUT, Attached
from parity.stack.submitter import CommandSubmitter, Told


class FakeCommand(CommandSubmitter):
    """The submitter with a pair of sockets where the engine's connection would be, read when the test says so."""

    def _open(self) -> None:
        near, self.far = socket.socketpair()
        near.settimeout(0.01)
        self._attached = Attached(near, near)
        self._running = True
        self._thread = threading.Thread(target=self._read, args=(self._attached,))

    def prints(self, text: bytes, stream: int = STDOUT) -> None:
        self.far.sendall(struct.pack(">BxxxL", stream, len(text)) + text)

    def ends(self) -> None:
        """The command is gone, and what it printed is read to its end."""
        self.far.shutdown(socket.SHUT_WR)
        self._thread.start()
        self._thread.join()


class Container:
    name = "producer-1"

    def logs(self, **_options: object) -> bytes:
        return b"Traceback\n"


@pytest.fixture
def told() -> list[Told]:
    return []


@pytest.fixture
def command(told: list[Told]) -> Iterator[FakeCommand]:
    command = FakeCommand(Container, told.extend)  # type: ignore[arg-type]
    yield command
    command.far.close()
    command._attached.close()


def test_it_writes_a_line_for_each_job_with_its_kind(command, told):
    command.submit(["job-1", "job-2"], "poison")
    command.submit(["job-3"], "")
    assert command.far.recv(100) == b"job-1 poison\njob-2 poison\njob-3\n"
    assert told == []


def test_what_it_had_in_hand_is_unknown_and_what_comes_after_is_refused(command, told):
    command.submit(["job-1", "job-2", "job-3"], "")
    command.prints(b"ok job-1\nfail job-2 returned\n")
    command.ends()
    command.submit(["job-4", "job-5"], "")
    assert told == [
        ("job-1", "ok", ""),
        ("job-2", "fail", "returned"),
        ("job-3", "info", "the submit command ended"),
        ("job-4", "fail", "the submit command is not running"),
        ("job-5", "fail", "the submit command is not running"),
    ]


def test_what_was_not_written_any_more_is_refused_and_the_line_it_broke_off_in_unknown(command, told):
    # Nobody reads, so that the way in is full before all is in it.
    identities = [f"job-{number:06d}" for number in range(200_000)]
    command.submit(identities, "")
    taken = sum(len(part) for part in iter(lambda: _received(command.far), b""))
    first = taken // len("job-000000\n")
    assert 0 < first < len(identities) - 2
    assert told[0] == (identities[first], "info", "the submit command broke off")
    assert told[1:] == [(identity, "fail", "the submit command is not running") for identity in identities[first + 1 :]]
    told.clear()
    command.ends()
    assert sorted(told) == [(identity, "info", "the submit command ended") for identity in identities[:first]]


def _received(far: socket.socket) -> bytes:
    far.setblocking(False)
    try:
        return far.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_what_it_says_to_people_is_no_outcome(command, told):
    command.submit(["job-1"], "")
    command.prints(b"connecting\n", STDERR)
    command.prints(b"unknown job-1 ")
    command.prints(b"still connecting\n", STDERR)
    command.prints(b"confirm-timeout\n")
    command.ends()
    assert told == [("job-1", "info", "confirm-timeout")]
    assert command.failure == ""


def test_a_line_that_is_no_outcome_ends_it_after_what_was_said_before(command, told):
    command.submit(["job-1", "job-2"], "")
    command.prints(b"ok job-1\nhello\nok job-2\n")
    command.ends()
    assert told == [("job-1", "ok", ""), ("job-2", "info", "the submit command ended")]
    assert "printed 'hello'" in command.failure
    assert "Traceback" in command.failure


def test_outcomes_of_a_block_are_told_together(command):
    groups: list[list[Told]] = []
    command._on_outcomes = lambda outcomes: groups.append(list(outcomes))
    command.submit(["job-1", "job-2"], "")
    command.prints(b"ok job-1\nok job-2\n")
    command.ends()
    assert groups[0] == [("job-1", "ok", ""), ("job-2", "ok", "")]


def test_a_restarted_command_is_submitted_to_again(command, told):
    command.ends()
    told.clear()
    command.restart()
    command.submit(["job-5"], "poison")
    assert told == []
    assert command.far.recv(100) == b"job-5 poison\n"


def test_the_words_are_those_that_commands_may_print():
    assert set(module._WORDS) == {"ok", "fail", "unknown"}
