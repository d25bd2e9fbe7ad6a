"""What the reference producer and worker are told, and their formats. Pure: no broker, no database."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: The broker counts a redelivery on every return of a job; without a limit a poison job circles for ever.
DEFAULT_DELIVERY_LIMIT = 20


class SettingError(ValueError):
    """An environment variable is missing or has a value the application cannot use."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One unit of work, as it stands on a line of standard input and in a message's body."""

    id: str
    #: `poison` is rejected by the worker, `crash` kills it; anything else is ordinary work.
    kind: str = ""

    @classmethod
    def from_line(cls, line: str) -> Job | None:
        """Read `<job id>` or `<job id> <kind>`.

        Returns:
            The job, or None for an empty line.

        Raises:
            ValueError: The line has more than two words.
        """
        words = line.split()
        if not words:
            return None
        if len(words) > 2:
            raise ValueError(f"expected '<job id>' or '<job id> <kind>', got {line.strip()!r}")
        return cls(id=words[0], kind=words[1] if len(words) == 2 else "")

    def to_body(self) -> bytes:
        """Return the message body."""
        return json.dumps({"job": self.id, "kind": self.kind}).encode()

    @classmethod
    def from_message(cls, message_id: str | None, body: bytes) -> Job | None:
        """Read a job back from a message; the message id wins over the body, which may be anybody's.

        Returns:
            The job, or None where neither names one.
        """
        try:
            fields = json.loads(body)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            fields = {}
        job_id = message_id or fields.get("job")
        return cls(id=str(job_id), kind=str(fields.get("kind") or "")) if job_id else None


@dataclass(frozen=True, kw_only=True)
class DurationRange:
    """A duration, drawn anew each time from a range; both ends in seconds."""

    low_s: float
    high_s: float

    @classmethod
    def parse(cls, text: str) -> DurationRange:
        """Read `0.05` or `0.05..0.2` (seconds).

        Raises:
            ValueError: Not numbers, negative, or the wrong way round.
        """
        low, separator, high = text.partition("..")
        low_s = float(low)
        high_s = float(high) if separator else low_s
        if not 0 <= low_s <= high_s:
            raise ValueError(f"expected seconds or low..high, got {text!r}")
        return cls(low_s=low_s, high_s=high_s)

    def draw(self) -> float:
        """Return a duration in seconds."""
        return random.uniform(self.low_s, self.high_s)


def rotation(urls: list[str], *, start: int = 0) -> Iterator[str]:
    """Yield the URLs round and round, from `start` on, so that several workers spread over the nodes."""
    offset = start % len(urls)
    return itertools.cycle(urls[offset:] + urls[:offset])


def backoff_s(failures: int, *, first_s: float = 0.1, longest_s: float = 1.0) -> float:
    """Return how long to wait after so many failures in a row: none after none, then doubling to a bound."""
    return 0.0 if failures <= 0 else min(longest_s, first_s * 2 ** min(failures - 1, 10))


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """Where the broker is and what the queues look like; the producer and the worker must agree on it."""

    urls: list[str]
    queue: str
    queue_type: str
    #: Where jobs go that are given up; empty: nowhere.
    dead_letter_queue: str
    delivery_limit: int
    #: A message too many pushes the oldest out; 0: no limit.
    max_length: int
    #: A message that waits longer is dropped; 0: no limit.
    message_ttl_s: float
    heartbeat_s: int
    #: Which of the URLs to try first; None where nobody said which instance this is.
    first_node: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> BrokerSettings:
        """Read the settings both roles share.

        Raises:
            SettingError: A variable is missing or has an impossible value.
        """
        urls = [url.strip() for url in environment.get("AMQP_URLS", "").split(",") if url.strip()]
        if not urls:
            raise SettingError("AMQP_URLS: expected comma-separated amqp:// URLs, got none")
        return cls(
            urls=urls,
            queue=environment.get("QUEUE", "jobs"),
            queue_type=choice(environment, "QUEUE_TYPE", "quorum", "classic"),
            dead_letter_queue=environment.get("DEAD_LETTER_QUEUE", "jobs.dead"),
            delivery_limit=int(number(environment, "DELIVERY_LIMIT", DEFAULT_DELIVERY_LIMIT)),
            max_length=int(number(environment, "MAX_LENGTH", 0)),
            message_ttl_s=number(environment, "MESSAGE_TTL_S", 0),
            heartbeat_s=int(number(environment, "HEARTBEAT_S", 10)),
            # Instances count from 1, so that each of the first few begins at a node of its own.
            first_node=int(number(environment, "INSTANCE", 1)) - 1 if environment.get("INSTANCE") else None,
        )

    def queue_arguments(self) -> dict[str, Any]:
        """Return the arguments the work queue is declared with."""
        arguments: dict[str, Any] = {"x-queue-type": self.queue_type}
        if self.dead_letter_queue:
            arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.dead_letter_queue}
        if self.queue_type == "quorum":
            arguments["x-delivery-limit"] = self.delivery_limit
        if self.max_length:
            arguments["x-max-length"] = self.max_length
        if self.message_ttl_s:
            arguments["x-message-ttl"] = round(self.message_ttl_s * 1000)
        return arguments

    def dead_letter_arguments(self) -> dict[str, Any]:
        """Return the arguments the dead-letter queue is declared with."""
        return {"x-queue-type": self.queue_type}


def number(environment: Mapping[str, str], name: str, default: float) -> float:
    """Read a number that is not negative.

    Raises:
        SettingError: It is something else.
    """
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SettingError(f"{name}: expected a number from 0, got {text!r}")
    return value


def choice(environment: Mapping[str, str], name: str, default: str, *others: str) -> str:
    """Read one of several words.

    Raises:
        SettingError: It is another word.
    """
    value = environment.get(name) or default
    if value not in (default, *others):
        raise SettingError(f"{name}: expected one of {', '.join((default, *others))}, got {value!r}")
    return value


def switch(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read a switch, `1` or `0`.

    Raises:
        SettingError: It is neither.
    """
    return choice(environment, name, *(("1", "0") if default else ("0", "1"))) == "1"
