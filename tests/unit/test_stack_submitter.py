"""What becomes of jobs whose submit command ends before it has said so."""

from __future__ import annotations

import socket
import threading

import pytest

from parity.stack import submitter as module
from parity.stack.submitter import CommandSubmitter


class FakeCommand(CommandSubmitter):
    """The submitter with a pair of sockets where the engine's connection would be."""

    def _open(self) -> None:
        self._socket, self.far = socket.socketpair()
        self._running = True
        self._thread = threading.Thread(target=self._read, args=(self.far,))

    def ends(self) -> None:
        """The command's output has ended."""
        self._thread.start()
        self._thread.join()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    printed = [(1, b"ok job-1\nfail job-2 returned\n")]
    monkeypatch.setattr(module, "frames_iter", lambda _stream, **_options: iter(printed))
    return []


def test_what_it_had_in_hand_is_unknown_and_what_comes_after_is_refused(told):
    command = FakeCommand(lambda: None, lambda *outcome: told.append(outcome))  # type: ignore[arg-type,return-value]
    for number in (1, 2, 3):
        command.submit(f"job-{number}", "")
    command.ends()
    command.submit("job-4", "")
    assert told == [
        ("job-1", "ok", ""),
        ("job-2", "fail", "returned"),
        ("job-3", "info", "the submit command ended"),
        ("job-4", "fail", "the submit command is not running"),
    ]


def test_a_restarted_command_is_submitted_to_again(told):
    command = FakeCommand(lambda: None, lambda *outcome: told.append(outcome))  # type: ignore[arg-type,return-value]
    command.ends()
    told.clear()
    command.restart()
    command.submit("job-5", "poison")
    assert told == []
    assert command.far.recv(100) == b"job-5 poison\n"
