"""Runs a command, and has it finish its work before its instance is terminated.

usage: drain.py COMMAND...

Once the instance is being terminated and waits for its lifecycle hook, `ON_TERMINATE` says what is done:

    drain       the command is stopped by SIGTERM; when it has ended, the hook is told to go on
    complete    the hook is told to go on at once; the command hears nothing of it
    ignore      nothing: the hook waits until its time-out

Nobody kills a command that takes long to stop: the hook's time-out is the bound. SIGTERM, SIGINT and SIGHUP go on to
the command. When that ends, this ends with its status; in the hook only once the instance is really terminated.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

import hook
from settings import SettingError, choice

#: As a shell tells it, where a command cannot be run.
CANNOT_RUN = 127


class Drain:
    """A command, and the hook that its instance may wait in.

    Args:
        command: It and its arguments.
        on_terminate: `drain`, `complete` or `ignore`.
    """

    def __init__(self, command: list[str], *, on_terminate: str) -> None:
        self._command = command
        self._on_terminate = on_terminate
        self._process: subprocess.Popen[bytes] | None = None
        #: A signal that came before there was a command.
        self._early = 0
        #: SIGTERM came: the instance's end.
        self._stopped = threading.Event()
        self._in_hook = threading.Event()

    def run(self) -> int:
        """Run the command to its end.

        Returns:
            The exit status, as a shell tells it.
        """
        # Its process begins with signals that a handler is there for, or it would never hear of the first.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._process = subprocess.Popen(self._command)
        except OSError as error:
            say(f"cannot run {self._command[0]}: {error}")
            return CANNOT_RUN
        if self._early:
            self._process.send_signal(self._early)
        watching = threading.Thread(target=self._watch, daemon=True)
        if self._on_terminate != "ignore":
            watching.start()
        status = self._process.wait()
        if self._in_hook.is_set():
            watching.join()
        return 128 - status if status < 0 else status

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGHUP:
            self._stopped.set()
        if self._process is None:
            self._early = number
        else:
            self._process.send_signal(number)

    def _watch(self) -> None:
        """Wait until the instance is in its terminate hook, and do what is to be done there, to the instance's end."""
        group = hook.wait(self._stopped, say)
        assert self._process is not None
        if not group:
            return
        if self._on_terminate == "complete":
            hook.go_on(group, say)
            return
        self._in_hook.set()
        self._process.terminate()
        self._process.wait()
        hook.go_on(group, say)
        # On this thread: the main one runs the handler, which must not find the event's lock taken below it.
        self._stopped.wait()


def say(message: str) -> None:
    """Say something to people."""
    print(f"drain: {message}", file=sys.stderr, flush=True)


def configured(command: list[str], environment: Mapping[str, str]) -> Drain:
    """An agent as the environment asks for it.

    Raises:
        SettingError: A variable is missing or has an impossible value.
    """
    on_terminate = choice(environment, "ON_TERMINATE", "drain", "complete", "ignore")
    if on_terminate != "ignore" and "AWS_ENDPOINT_URL" not in environment:
        raise SettingError("AWS_ENDPOINT_URL: expected where the AWS API is, found nothing")
    return Drain(command, on_terminate=on_terminate)


def main(command: list[str]) -> int:
    """Run a command; exit status 2 on settings that make no sense."""
    try:
        drain = configured(command, os.environ)
    except SettingError as error:
        say(str(error))
        return 2
    return drain.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
