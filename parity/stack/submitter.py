"""Submitting: the application's own long-lived command, or a message that parity publishes itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, cast

import docker.errors
import pika
import pika.exceptions
import requests
from docker.models.containers import Container
from docker.utils.socket import frames_iter

from parity.errors import StackError, SubmitError
from parity.history.events import Outcome
from parity.stack import launch
from parity.stack.broker import Broker
from parity.stack.description import QueuesSection, SubmitSection
from parity.stack.engine import engine, log_tail, translated

#: Told a job's identity, its outcome and the reason, from the submitter's thread.
OnOutcome = Callable[[str, Outcome, str], None]

_WORDS: dict[str, Outcome] = {"ok": "ok", "fail": "fail", "unknown": "info"}
_STDOUT = 1


class Submitter(ABC):
    """Hands jobs to the application's queue; outcomes come back through the callback."""

    #: Why it cannot go on; empty while it can.
    failure: str = ""

    @abstractmethod
    def submit(self, identity: str, kind: str) -> None:
        """Hand over one job. Returns at once, or when the way in is full."""

    @abstractmethod
    def finish(self) -> None:
        """Say that no more will come; outcomes of what is under way still come."""

    @abstractmethod
    def close(self) -> None:
        """End it, whatever is under way."""


class CommandSubmitter(Submitter):
    """The application's command in a container of its own.

    Args:
        make: Creates the container, with its standard input open.
        on_outcome: Told of every outcome.
    """

    def __init__(self, make: Callable[[], Container], on_outcome: OnOutcome) -> None:
        self._make = make
        self._on_outcome = on_outcome
        self.container = make()
        self._lock = threading.Lock()
        self._closed = False
        self._running = False
        #: Written to the command, which has not said what became of them.
        self._under_way: set[str] = set()
        self._open()

    def _open(self) -> None:
        with translated(f"attach to {self.container.name}"):
            wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            stream = engine().api.attach_socket(str(self.container.id), params=wanted)
        # The SDK wraps the connection for reading only; writing needs the socket below it.
        self._stream = stream
        self._socket = cast("socket.socket", getattr(stream, "_sock", stream))
        launch.start(self.container)
        self._running = True
        self._thread = threading.Thread(target=self._read, args=(stream,), name="submit", daemon=True)
        self._thread.start()

    def submit(self, identity: str, kind: str) -> None:
        """Write the job's line to the command. A command that died takes nothing: the outcome is `fail`."""
        line = f"{identity} {kind}".strip() + "\n"
        with self._lock:
            if not self._running:
                self._on_outcome(identity, "fail", "the submit command is not running")
                return
            self._under_way.add(identity)
            try:
                self._socket.sendall(line.encode())
            except OSError as error:
                self._settle(identity, "info", f"the submit command broke off: {error}")

    def restart(self) -> None:
        """Start the command again after it died."""
        self._thread.join(timeout=10)
        with self._lock:
            self._open()

    def finish(self) -> None:
        """Close the command's standard input."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Kill the command."""
        self._closed = True
        for act in (self.container.unpause, self.container.kill):
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                act()
        self._thread.join(timeout=10)
        with contextlib.suppress(OSError):
            self._stream.close()

    def _read(self, stream: Any) -> None:
        rest = b""
        try:
            for stream_id, chunk in frames_iter(stream, tty=False):  # type: ignore[no-untyped-call]
                if stream_id != _STDOUT:
                    continue
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._outcome(line.decode(errors="replace").strip())
        except OSError as error:
            if not self._closed:
                self.failure = f"the connection to the submit command broke off: {error}"
        except SubmitError as error:
            self.failure = str(error)
        with self._lock:
            self._running = False
            for identity in list(self._under_way):
                self._settle(identity, "info", "the submit command ended")

    def _settle(self, identity: str, outcome: Outcome, reason: str) -> None:
        """Tell a job's outcome, once: what comes after the command broke off is about the same submit."""
        if identity in self._under_way:
            self._under_way.discard(identity)
            self._on_outcome(identity, outcome, reason)

    def _outcome(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        identity, _, reason = rest.partition(" ")
        outcome = _WORDS.get(word)
        if outcome is None or not identity:
            raise SubmitError(
                f"{self.container.name} printed {line[:200]!r} where `ok JOB`, `fail JOB` or `unknown JOB` was "
                f"expected; its last lines:\n{log_tail(self.container)}"
            )
        self._under_way.discard(identity)
        self._on_outcome(identity, outcome, reason)


class PublishSubmitter(Submitter):
    """Parity publishes the message itself, persistent and mandatory, with confirms, one at a time.

    Args:
        broker: Where to.
        virtual_host: The run's.
        section: Body, exchange and routing key.
        queues: Names the queue where no routing key is given.
        on_outcome: Told of every outcome.
    """

    def __init__(
        self,
        broker: Broker,
        virtual_host: str,
        section: SubmitSection,
        queues: QueuesSection,
        on_outcome: OnOutcome,
    ) -> None:
        self._broker = broker
        self._virtual_host = virtual_host
        self._section = section
        self._routing_key = section.routing_key or queues.work[0]
        self._on_outcome = on_outcome
        self._channel: Any = None

    def submit(self, identity: str, kind: str) -> None:
        """Publish one job and wait for its confirm."""
        assert self._section.body is not None
        body = self._section.body.replace("{job}", identity).replace("{kind}", kind)
        properties = pika.BasicProperties(message_id=identity, delivery_mode=2)
        try:
            if self._channel is None:
                self._channel = self._broker.connect(self._virtual_host).channel()
                self._channel.confirm_delivery()
        except (StackError, pika.exceptions.AMQPError) as error:
            self._channel = None
            self._on_outcome(identity, "fail", f"not connected: {error!r}"[:200])
            return
        try:
            self._channel.basic_publish(
                self._section.exchange, self._routing_key, body.encode(), properties, mandatory=True
            )
        except pika.exceptions.UnroutableError:
            self._on_outcome(identity, "fail", "returned")
        except pika.exceptions.NackError:
            self._on_outcome(identity, "info", "nack")
        except pika.exceptions.AMQPError as error:
            self._channel = None
            self._on_outcome(identity, "info", repr(error)[:200])
        else:
            self._on_outcome(identity, "ok", "")

    def finish(self) -> None:
        """Nothing is under way between two calls of `submit`."""

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            with contextlib.suppress(pika.exceptions.AMQPError):
                self._channel.connection.close()
