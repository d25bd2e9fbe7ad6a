"""Submitting: the application's own long-lived command, or a message that parity publishes itself."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import docker.errors
import pika
import pika.exceptions
import requests
from docker.models.containers import Container

from parity.errors import StackError, SubmitError
from parity.history.events import Outcome
from parity.stack import launch
from parity.stack.broker import Broker
from parity.stack.description import QueuesSection, SubmitSection
from parity.stack.engine import log_tail
from parity.stack.streams import STDOUT, Attached, Lines, attach

#: A job's identity, its outcome and the reason.
Told = tuple[str, Outcome, str]
#: Told of outcomes, from the submitter's thread or the caller's.
OnOutcomes = Callable[[Sequence[Told]], None]

_WORDS: dict[str, Outcome] = {"ok": "ok", "fail": "fail", "unknown": "info"}


class Submitter(ABC):
    """Hands jobs to the application's queue; outcomes come back through the callback."""

    #: Why it cannot go on; empty while it can.
    failure: str = ""

    @abstractmethod
    def submit(self, identities: Sequence[str], kind: str) -> None:
        """Hand over jobs of a kind. Returns at once, or where the way in is full, once they are in it."""

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
        on_outcomes: Told of every outcome.
    """

    def __init__(self, make: Callable[[], Container], on_outcomes: OnOutcomes) -> None:
        self._make = make
        self._on_outcomes = on_outcomes
        self.container = make()
        self._lock = threading.Lock()
        self._closed = False
        self._running = False
        #: Written to the command, which has not said what became of them.
        self._under_way: set[str] = set()
        self._open()

    def _open(self) -> None:
        self._attached = self._attach()
        launch.start(self.container)
        self._running = True
        self._thread = threading.Thread(target=self._read, args=(self._attached,), name="submit", daemon=True)
        self._thread.start()

    def _attach(self) -> Attached:
        return attach(self.container, stdin=True)

    def submit(self, identities: Sequence[str], kind: str) -> None:
        """Write the jobs' lines to the command. A command that died takes nothing: the outcome is `fail`."""
        lines = [f"{identity} {kind}".strip() + "\n" for identity in identities]
        data = "".join(lines).encode()
        with self._lock:
            if not self._running:
                self._refuse(identities)
                return
            self._under_way.update(identities)
            written = self._attached.write(data)
            if written < len(data):
                # Of the line where it broke off nobody knows whether the command has it; of those behind, everybody.
                torn = data[:written].count(b"\n")
                self._settle(identities[torn : torn + 1], "info", "the submit command broke off")
                self._under_way.difference_update(identities[torn + 1 :])
                self._refuse(identities[torn + 1 :])

    def _refuse(self, identities: Sequence[str]) -> None:
        self._on_outcomes([(identity, "fail", "the submit command is not running") for identity in identities])

    def restart(self) -> None:
        """Start the command again after it died."""
        self._thread.join(timeout=10)
        with self._lock:
            self._open()

    def finish(self) -> None:
        """Close the command's standard input."""
        self._attached.finish()

    def close(self) -> None:
        """Kill the command."""
        self._closed = True
        for act in (self.container.unpause, self.container.kill):
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                act()
        self._thread.join(timeout=10)
        self._attached.close()

    def _read(self, attached: Attached) -> None:
        lines = Lines(STDOUT)
        try:
            for block in attached.blocks():
                self._outcomes(lines.feed(block))
        except OSError as error:
            if not self._closed:
                self.failure = f"the connection to the submit command broke off: {error}"
        except SubmitError as error:
            self.failure = str(error)
        with self._lock:
            self._running = False
            self._settle(list(self._under_way), "info", "the submit command ended")

    def _settle(self, identities: Iterable[str], outcome: Outcome, reason: str) -> None:
        """Tell jobs' outcome, once: what comes after the command broke off is about the same submit."""
        due = [identity for identity in identities if identity in self._under_way]
        self._under_way.difference_update(due)
        self._on_outcomes([(identity, outcome, reason) for identity in due])

    def _outcomes(self, lines: Iterable[str]) -> None:
        told: list[Told] = []
        try:
            told.extend(map(self._outcome, lines))
        finally:
            # What was said before a line that means nothing was said all the same.
            self._under_way.difference_update(identity for identity, _, _ in told)
            self._on_outcomes(told)

    def _outcome(self, line: str) -> Told:
        word, _, rest = line.strip().partition(" ")
        identity, _, reason = rest.partition(" ")
        outcome = _WORDS.get(word)
        if outcome is None or not identity:
            raise SubmitError(
                f"{self.container.name} printed {line[:200]!r} where `ok JOB`, `fail JOB` or `unknown JOB` was "
                f"expected; its last lines:\n{log_tail(self.container)}"
            )
        return identity, outcome, reason


class PublishSubmitter(Submitter):
    """Parity publishes the message itself, persistent and mandatory, with confirms, one at a time.

    Args:
        broker: Where to.
        virtual_host: The run's.
        section: Body, exchange and routing key.
        queues: Names the queue where no routing key is given.
        on_outcomes: Told of every outcome.
    """

    def __init__(
        self,
        broker: Broker,
        virtual_host: str,
        section: SubmitSection,
        queues: QueuesSection,
        on_outcomes: OnOutcomes,
    ) -> None:
        self._broker = broker
        self._virtual_host = virtual_host
        self._section = section
        self._routing_key = section.routing_key or queues.work[0]
        self._on_outcomes = on_outcomes
        self._channel: Any = None

    def submit(self, identities: Sequence[str], kind: str) -> None:
        """Publish one job after the other, and wait for the confirm of each."""
        for identity in identities:
            outcome, reason = self._publish(identity, kind)
            self._on_outcomes([(identity, outcome, reason)])

    def _publish(self, identity: str, kind: str) -> tuple[Outcome, str]:
        assert self._section.body is not None
        body = self._section.body.replace("{job}", identity).replace("{kind}", kind)
        properties = pika.BasicProperties(message_id=identity, delivery_mode=2)
        try:
            if self._channel is None:
                self._channel = self._broker.connect(self._virtual_host).channel()
                self._channel.confirm_delivery()
        except (StackError, pika.exceptions.AMQPError) as error:
            self._channel = None
            return "fail", f"not connected: {error!r}"[:200]
        try:
            self._channel.basic_publish(
                self._section.exchange, self._routing_key, body.encode(), properties, mandatory=True
            )
        except pika.exceptions.UnroutableError:
            return "fail", "returned"
        except pika.exceptions.NackError:
            return "info", "nack"
        except pika.exceptions.AMQPError as error:
            self._channel = None
            return "info", repr(error)[:200]
        return "ok", ""

    def finish(self) -> None:
        """Nothing is under way between two calls of `submit`."""

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            with contextlib.suppress(pika.exceptions.AMQPError):
                self._channel.connection.close()
