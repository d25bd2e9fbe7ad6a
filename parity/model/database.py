"""The database: effects that are committed, and connections that are few."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from parity.model.constants import (
    DATABASE_BOOT_US,
    DATABASE_CONNECT_FROZEN_US,
    DATABASE_US,
    LINK_US,
    OWN_CONNECTIONS,
    UNSYNCED_US,
)
from parity.model.settings import DatabaseModel
from parity.model.timeline import Process, Timeline, Watcher


class Answered(Protocol):
    """Told whether a statement was carried out."""

    def __call__(self, *, known: bool) -> None:
        """Take the answer; where it is not known, an error came instead, and nobody knows."""


class Database(Process):
    """PostgreSQL, as workers see it.

    Args:
        timeline: Time and chance.
        name: Its service.
        settings: Connections and durability.
        watcher: Told of effects and states.
    """

    def __init__(self, timeline: Timeline, name: str, settings: DatabaseModel, watcher: Watcher) -> None:
        super().__init__(timeline, name)
        self.up = True
        self._ready = True
        self._places = settings.max_connections - settings.reserved_connections
        self._synchronous = settings.synchronous_commit
        self._watcher = watcher
        self._sessions: dict[Process, Session] = {}
        self._exhausted = 0
        #: Effects by job, and the jobs that are marked as done.
        self.effects: dict[int, int] = {}
        self._done: set[int] = set()
        #: The rows of the producers' outboxes: by producer and job the job's kind.
        self.outbox: dict[tuple[str, int], str] = {}
        #: Commits that a crash would take back: when, and how.
        self._recent: list[tuple[int, Callable[[], None]]] = []

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self._ready and self.running

    def session(self, client: Process) -> Session:
        """A client's session; it connects with its first statement."""
        session = self._sessions.get(client)
        if session is None:
            session = self._sessions[client] = Session(self, client)
        return session

    def leave(self, client: Process) -> None:
        """A client's process ended, and its connection with it."""
        session = self._sessions.pop(client, None)
        if session is not None:
            session.abandon()

    @property
    def connections(self) -> int:
        """How many are connected: clients, and parity itself."""
        return OWN_CONNECTIONS + sum(each.connected for each in self._sessions.values())

    @property
    def places(self) -> int:
        """How many it takes."""
        return self._places

    def has_place(self) -> bool:
        """Whether one more can connect."""
        if self._exhausted or self.connections >= self._places:
            self.timeline.reached("the database refused a connection")
            return False
        return True

    # Faults.

    def kill(self) -> None:
        """SIGKILL: connections break, and commits that were not synchronous are gone."""
        if not self.up:
            return
        self.die()
        self._ready = False
        if not self._synchronous:
            self._take_back()
        self._break_sessions()
        self._watcher.node(self.name, "down")

    def stop(self) -> None:
        """A shutdown in good order."""
        self._recent.clear()
        self.kill()

    def start(self) -> None:
        """Start it; it recovers before it answers."""
        if not self.up:
            self.begin()
            self.after(DATABASE_BOOT_US, self._recovered)

    def _recovered(self) -> None:
        self._ready = True
        self._watcher.node(self.name, "running")

    def _take_back(self) -> None:
        horizon_us = self.timeline.now_us - UNSYNCED_US * (1 + self.timeline.integer(0, 2))
        for at_us, undo in self._recent:
            if at_us >= horizon_us:
                self.timeline.reached("a crash took back a commit")
                undo()
        self._recent.clear()

    def _unwrite(self, job: int) -> None:
        self._done.discard(job)
        count = self.effects.pop(job, 0) - 1
        if count > 0:
            self.effects[job] = count
        self._watcher.effect(job, max(count, 0))

    def exhaust(self, *, count: int) -> None:
        """Take every connection, or (with a negative count) give them back."""
        self._exhausted += count
        if count > 0:
            self._break_sessions()

    def _break_sessions(self) -> None:
        for session in list(self._sessions.values()):
            session.broken()

    # Statements.

    def marked(self, job: int) -> bool:
        """Whether a job is done, as a look before the work tells."""
        return job in self._done

    def write(self, job: int, *, once: bool) -> None:
        """Write a job's effect; with `once`, together with its mark and only if there is none."""
        if once:
            if job in self._done:
                return
            self._done.add(job)
        count = self.effects[job] = self.effects.get(job, 0) + 1
        self._committed(partial(self._unwrite, job))
        self._watcher.effect(job, count)

    def _committed(self, undo: Callable[[], None]) -> None:
        if not self._synchronous:
            self._recent.append((self.timeline.now_us, undo))

    def mark(self, job: int) -> None:
        """Mark a job as done."""
        self._done.add(job)

    def keep(self, producer: str, job: int, kind: str) -> None:
        """Write a row of a producer's outbox."""
        self.outbox[producer, job] = kind
        self._committed(partial(self.forget, producer, job))

    def forget(self, producer: str, job: int) -> None:
        """Delete a row of a producer's outbox, if it is there."""
        self.outbox.pop((producer, job), None)


class Session:
    """One client's connection to the database, made when it is needed."""

    __slots__ = ("_answered", "_attempt", "_client", "_database", "connected")

    def __init__(self, database: Database, client: Process) -> None:
        self._database = database
        self._client = client
        self.connected = False
        self._attempt = 0
        self._answered: Answered | None = None

    def execute(self, statement: Callable[[], None], answered: Answered) -> None:
        """Carry a statement out; the answer says whether, or that nobody knows."""
        database, client = self._database, self._client
        self._answered = answered
        self._attempt += 1
        if not database.up:
            client.after(LINK_US, self._fail, self._attempt)
            return
        if not self.connected:
            if database.paused:
                client.after(DATABASE_CONNECT_FROZEN_US, self._fail, self._attempt)
                return
            if not database.ready or not database.has_place():
                client.after(LINK_US, self._fail, self._attempt)
                return
            self.connected = True
        delay_us = client.transit_us(database, DATABASE_US)
        if database.timeline.rarely("a statement is slow"):
            delay_us += 500_000
        database.after(delay_us, self._carry_out, self._attempt, statement)

    def _carry_out(self, attempt: int, statement: Callable[[], None]) -> None:
        # The client may be gone by now: what it sent is carried out all the same, and nobody hears the answer.
        statement()
        if attempt == self._attempt and self._client.up:
            self._client.after(self._database.transit_us(self._client, LINK_US), self._succeed, attempt)

    def _succeed(self, attempt: int) -> None:
        if attempt == self._attempt and self._answered is not None:
            answered, self._answered = self._answered, None
            answered(known=True)

    def _fail(self, attempt: int) -> None:
        if attempt == self._attempt and self._answered is not None:
            answered, self._answered = self._answered, None
            answered(known=False)

    def abandon(self) -> None:
        """The client's process is gone; the next one of that name hears no answer of this one's."""
        self._attempt += 1
        self._answered = None

    def broken(self) -> None:
        """The connection broke; a statement under way may or may not have been carried out."""
        if self.connected:
            self.connected = False
            if self._answered is not None:
                self._database.timeline.reached("the outcome of a commit was unknown")
                # A new attempt, so that an answer under way is not heard any more.
                self._attempt += 1
                self._client.after(LINK_US, self._fail, self._attempt)
