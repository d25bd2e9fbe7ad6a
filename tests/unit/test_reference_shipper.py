"""The reference log shipper, against the endpoint: what is in the archive, however its instance ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from reference_account import APPLICATION, DEADLINE_S, Account, until

SHIPPER = APPLICATION / "shipper.py"
#: Prints what it is told, and one line more at SIGTERM.
COMMAND = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("stopped", flush=True), sys.exit(7)))
print("begun", flush=True)
print("trouble", file=sys.stderr, flush=True)
for number in range(3):
    print("line", number, flush=True)
print("ready", flush=True)
signal.pause()
"""
ALL = sorted(["begun", "trouble", "line 0", "line 1", "line 2", "ready", "stopped"])


@pytest.fixture
def account(tmp_path):
    with ExitStack() as stack:
        yield Account(stack, tmp_path)


@contextmanager
def shipping(account: Account, how: str, *, batch_s: float = 0.1) -> Iterator[subprocess.Popen[str]]:
    """The shipper with its command, once that is ready."""
    environment = os.environ | account.environment | {"LOG_SHIPPING": how, "LOG_BATCH_S": str(batch_s)}
    command = [sys.executable, str(SHIPPER), sys.executable, "-c", COMMAND]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        assert process.stdout
        printed = [process.stdout.readline().strip() for _ in range(5)]
        assert printed == ["begun", "line 0", "line 1", "line 2", "ready"]
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_lines_are_archived_as_they_come_and_the_last_ones_at_the_end(account):
    with shipping(account, "stream") as process:
        until(lambda: sorted(account.archived()) == sorted(set(ALL) - {"stopped"}))
        process.terminate()
        assert process.wait(DEADLINE_S) == 7
        assert sorted(account.archived()) == ALL


def test_what_was_not_shipped_dies_with_the_instance(account):
    with shipping(account, "stream", batch_s=600) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)
    assert account.archived() == []


def test_in_the_hook_everything_is_archived_before_the_instance_is_given_up(account):
    account.hold_terminations()
    with shipping(account, "terminate") as process:
        assert account.archived() == []
        account.scale_in()
        until(lambda: account.member("Terminating:Wait") is None)
        assert sorted(account.archived()) == ALL
        # It is there until it is told that its end has come.
        assert process.poll() is None
        process.terminate()
        assert process.wait(DEADLINE_S) == 7


def test_without_a_hook_nothing_is_archived_at_the_end(account):
    with shipping(account, "terminate") as process:
        process.terminate()
        assert process.wait(DEADLINE_S) == 7
    assert account.archived() == []


def test_settings_that_make_no_sense(account):
    environment = {**os.environ, "LOG_SHIPPING": "sometimes"}
    done = subprocess.run(
        [sys.executable, SHIPPER, "true"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "expected one of stream, terminate, none" in done.stderr) == (2, True)
