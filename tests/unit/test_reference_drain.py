"""The reference drain agent, against the endpoint: what becomes of a command whose instance is terminated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from reference_account import APPLICATION, DEADLINE_S, Account, until

DRAIN = APPLICATION / "drain.py"
#: Says what it is sent. It has a job in hand, which is finished when its standard input says so, and leaves then.
COMMAND = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: print("stopping", flush=True))
signal.signal(signal.SIGHUP, lambda *_: print("anew", flush=True))
print("ready", flush=True)
sys.stdin.readline()
print("finished", flush=True)
sys.exit(7)
"""


class Agent:
    """The agent with its command, once that is ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def finish(self) -> None:
        """The job is done."""
        assert self.process.stdin
        self.process.stdin.write("done\n")
        self.process.stdin.flush()

    def ended(self) -> int:
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def account(tmp_path):
    with ExitStack() as stack:
        yield Account(stack, tmp_path)


@contextmanager
def agent(account: Account, on_terminate: str) -> Iterator[Agent]:
    environment = os.environ | account.environment | {"ON_TERMINATE": on_terminate}
    command = [sys.executable, str(DRAIN), sys.executable, "-c", COMMAND]
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        running = Agent(process)
        assert running.says() == "ready"
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_in_the_hook_the_command_finishes_first(account):
    """The instance is given up only then, and is there until its end has come."""
    account.hold_terminations()
    with agent(account, "drain") as running:
        account.scale_in()
        assert running.says() == "stopping"
        assert account.member("Terminating:Wait")
        running.finish()
        assert running.says() == "finished"
        until(lambda: account.member("Terminating:Wait") is None)
        assert running.process.poll() is None
        running.process.terminate()
        assert running.ended() == 7


def test_when_the_hook_has_timed_out_the_command_hears_of_it(account):
    account.hold_terminations()
    with agent(account, "drain") as running:
        account.scale_in()
        assert running.says() == "stopping"
        running.process.terminate()
        assert running.says() == "stopping"
        running.finish()
        assert running.says() == "finished"
        assert running.ended() == 7


def test_a_hook_that_is_completed_at_once(account):
    account.hold_terminations()
    with agent(account, "complete") as running:
        account.scale_in()
        until(lambda: account.member("InService") is None and account.member("Terminating:Wait") is None)
        # The command hears of it when its instance is stopped, and not before.
        running.process.send_signal(signal.SIGHUP)
        assert running.says() == "anew"
        running.process.terminate()
        assert running.says() == "stopping"
        running.finish()
        assert (running.says(), running.ended()) == ("finished", 7)


@pytest.mark.parametrize("on_terminate", ["drain", "complete", "ignore"])
def test_without_a_hook_the_command_is_stopped_with_its_instance(account, on_terminate):
    with agent(account, on_terminate) as running:
        running.process.terminate()
        assert running.says() == "stopping"
        running.finish()
        assert (running.says(), running.ended()) == ("finished", 7)


def test_a_command_that_is_to_start_anew_is_told(account):
    with agent(account, "drain") as running:
        running.process.send_signal(signal.SIGHUP)
        assert running.says() == "anew"
        assert running.process.poll() is None


def said(*command: str, **environment: str) -> tuple[int, str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | environment
    done = subprocess.run([sys.executable, DRAIN, *command], env=told, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_settings_that_make_no_sense():
    code, text = said("true", ON_TERMINATE="sometimes")
    assert (code, "expected one of drain, complete, ignore" in text) == (2, True)
    code, text = said("true", ON_TERMINATE="drain")
    assert (code, "AWS_ENDPOINT_URL: expected where the AWS API is" in text) == (2, True)


def test_a_command_that_ends_or_cannot_be_run():
    assert said("sh", "-c", "exit 3", ON_TERMINATE="ignore")[0] == 3
    assert said("sh", "-c", "kill -9 $$", ON_TERMINATE="ignore")[0] == 137
    code, text = said("/no/such/command", ON_TERMINATE="ignore")
    assert (code, "cannot run /no/such/command" in text) == (127, True)
