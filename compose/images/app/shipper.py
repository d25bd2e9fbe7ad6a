"""Runs a command, and brings the lines it prints to an archive in S3, where they outlive the instance.

usage: shipper.py COMMAND...

Every line goes on to where the command's own would have gone, first; it is archived under the instance's id, as
`LOG_BUCKET/INSTANCE/START-NUMBER.log`. How is said by `LOG_SHIPPING`:

    stream      as lines come: each is in the archive LOG_BATCH_S after it was printed, or as soon as S3 takes it
    terminate   only in the lifecycle hook: once the instance is being terminated and waits for its hook, the command is
                stopped, everything it printed is archived, and the hook is told to go on
    none        not at all

SIGTERM goes on to the command. When that ends, what is left is archived (`stream`), and this ends with its status.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

import aws
import hook
from settings import SettingError, choice, number

Say = Callable[[str], None]
#: The longest that lines are gathered in, by size.
BATCH_BYTES_MAX = 1 << 20
RETRY_S = 0.5
#: How long the archive is waited for once the command has ended; the instance's grace period is not much longer.
LAST_S = 15.0


class Buffer:
    """Lines that were printed and are not in the archive."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._bytes = 0
        self._closed = False

    def add(self, lines: list[bytes]) -> None:
        """Take lines in, with their ends."""
        with self._changed:
            self._lines += lines
            self._bytes += sum(map(len, lines))
            self._changed.notify_all()

    def close(self) -> None:
        """No more lines come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def gather(self, seconds: float) -> bytes:
        """What came within so many seconds of a first line, or to the end; empty where nothing comes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            self._changed.wait_for(lambda: self._closed or self._bytes >= BATCH_BYTES_MAX, timeout=seconds)
            gathered, self._lines, self._bytes = b"".join(self._lines), [], 0
            return gathered


class Archive:
    """The objects of this instance in S3.

    Args:
        bucket: Where they are.
        say: Told why lines are not taken.
    """

    def __init__(self, bucket: str, say: Say) -> None:
        self._bucket = bucket
        self._say = say
        self._began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + f"-{time.time_ns() % 10**9:09d}"
        self._number = 0
        self._instance = ""

    def put(self, content: bytes, *, give_up: Callable[[], bool]) -> bool:
        """Archive lines, however often that has to be tried; returns whether they are in the archive."""
        said = False
        while True:
            try:
                self._instance = self._instance or hook.instance_id()
                path = f"/{self._bucket}/{self._instance}/{self._began}-{self._number:08d}.log"
                try:
                    aws.request("s3", "PUT", path, content)
                except aws.RefusedError as error:
                    if error.status != 404:
                        raise
                    # The first to come makes the bucket.
                    aws.request("s3", "PUT", f"/{self._bucket}", b"")
                    continue
            except (OSError, aws.RefusedError) as error:
                if not said:
                    self._say(f"the archive does not take lines: {error}")
                said = True
                if give_up():
                    return False
                time.sleep(RETRY_S)
            else:
                self._number += 1
                return True


class Shipper:
    """A command, and what becomes of the lines it prints.

    Args:
        command: It and its arguments.
        how: `stream`, `terminate` or `none`.
        bucket: Where lines go.
        batch_s: How long lines are gathered.
    """

    def __init__(self, command: list[str], *, how: str, bucket: str, batch_s: float) -> None:
        self._command = command
        self._how = how
        self._archive = Archive(bucket, self._say)
        self._batch_s = batch_s
        self._buffer = Buffer()
        #: When the command ended, by the monotonic clock.
        self._ended_s = float("inf")
        self._stopped = threading.Event()
        #: The hook has the instance, which lives on until it is terminated.
        self._in_hook = threading.Event()

    def run(self) -> int:
        """Run the command to its end.

        Returns:
            The exit status, as a shell tells it.
        """
        # Its process begins with signals that a handler is there for, or it would never hear of the first.
        for number_ in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number_, self._on_signal)
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self._stopped.is_set():
            self._process.terminate()
        assert self._process.stdout
        assert self._process.stderr
        readers = [
            threading.Thread(target=self._read, args=(source, target), daemon=True)
            for source, target in ((self._process.stdout, 1), (self._process.stderr, 2))
        ]
        for reader in readers:
            reader.start()
        ship = {"stream": self._stream, "terminate": self._wait_for_hook}.get(self._how)
        shipping = threading.Thread(target=ship, daemon=True) if ship else None
        if shipping:
            shipping.start()
        status = self._process.wait()
        self._ended_s = time.monotonic()
        for reader in readers:
            reader.join()
        self._buffer.close()
        if shipping and (self._how == "stream" or self._in_hook.is_set()):
            shipping.join()
        return 128 - status if status < 0 else status

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopped.set()
        if hasattr(self, "_process"):
            self._process.terminate()

    def _read(self, source: BinaryIO, target: int) -> None:
        """Hand on what comes, and keep its lines."""
        torn = b""
        while block := os.read(source.fileno(), 65536):
            write(target, block)
            *lines, torn = (torn + block).split(b"\n")
            if lines and self._how != "none":
                self._buffer.add([line + b"\n" for line in lines])
        if torn and self._how != "none":
            self._buffer.add([torn + b"\n"])

    def _say(self, message: str) -> None:
        """Say something to people: a line like those of the command."""
        line = f"shipper: {message}\n".encode()
        write(2, line)
        if self._how != "none":
            self._buffer.add([line])

    def _stream(self) -> None:
        while content := self._buffer.gather(self._batch_s):
            if not self._archive.put(content, give_up=lambda: time.monotonic() - self._ended_s > LAST_S):
                return

    def _wait_for_hook(self) -> None:
        """In the terminate hook stop the command, archive its lines, have the hook go on, and wait for the end."""
        group = hook.wait(self._stopped, self._say)
        if not group:
            return
        self._in_hook.set()
        self._process.terminate()
        while content := self._buffer.gather(self._batch_s):
            self._archive.put(content, give_up=lambda: False)
        hook.go_on(group, self._say)
        # On this thread: the main one runs the handler, which must not find the event's lock taken below it.
        self._stopped.wait()


def write(target: int, data: bytes) -> None:
    """Write all of it."""
    with memoryview(data) as rest:
        written = 0
        while written < len(data):
            written += os.write(target, rest[written:])


def configured(command: list[str], environment: dict[str, str]) -> Shipper:
    """A shipper as the environment asks for it.

    Raises:
        SettingError: A variable is missing or has an impossible value.
    """
    how = choice(environment, "LOG_SHIPPING", "stream", "terminate", "none")
    if how != "none" and "AWS_ENDPOINT_URL" not in environment:
        raise SettingError("AWS_ENDPOINT_URL: expected where S3 is, found nothing")
    return Shipper(
        command,
        how=how,
        bucket=environment.get("LOG_BUCKET") or "logs",
        batch_s=number(environment, "LOG_BATCH_S", 0.5),
    )


def main(command: list[str]) -> int:
    """Run a command; exit status 2 on settings that make no sense."""
    try:
        shipper = configured(command, dict(os.environ))
    except SettingError as error:
        write(2, f"shipper: {error}\n".encode())
        return 2
    return shipper.run()


if __name__ == "__main__":
    # Not sys.exit: what still waits for the archive would keep the interpreter.
    os._exit(main(sys.argv[1:]))
