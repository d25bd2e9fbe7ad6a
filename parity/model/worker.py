"""The worker: fetch a job, work, commit its effect, acknowledge; and every way of getting that wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from parity.model.constants import BACKOFF_MAX_US, BACKOFF_US, FAILURE_US, LEAVE_US, RENEW_US
from parity.model.dialling import Dialler
from parity.model.network import Connection
from parity.model.queue import Message
from parity.model.settings import ModelSettings
from parity.model.surroundings import Surroundings
from parity.model.timeline import Process


class Held:
    """A delivery in a worker's hands."""

    __slots__ = ("connection", "failures", "message", "redelivered", "tag")

    def __init__(self, connection: Connection, tag: int, message: Message, *, redelivered: bool) -> None:
        self.connection = connection
        self.tag = tag
        self.message = message
        self.redelivered = redelivered
        self.failures = 0


class Worker(Process):
    """A worker's process.

    Args:
        number: From 1; it says which node is tried first.
        place: What it works with.
        settings: How it works.
    """

    def __init__(self, number: int, place: Surroundings, settings: ModelSettings) -> None:
        super().__init__(place.timeline, f"worker-{number}")
        self._queue = place.queue
        self._database = place.database
        self._settings = settings.worker
        self._poison, self._crash = settings.poison, settings.crash
        self._watcher = place.watcher
        low_s, high_s = settings.worker.job_duration
        self._work_us, self._work_us_max = round(low_s * 1e6), round(high_s * 1e6)
        self._processor_us = round(settings.worker.job_processor_time * 1e6)
        #: What jobs took of the processor that were worked off; and the one at work: since when, and for how long.
        self._burnt_us = 0
        self._at_work_us: tuple[int, int] | None = None
        self._delay_us = round(settings.worker.acknowledge_delay * 1e6)
        self._heartbeat_us = round(settings.worker.heartbeat * 1e6)
        self._dialler = Dialler(self, place.cluster, first=number - 1, heartbeat_us=self._heartbeat_us)
        self._waiting: deque[Held] = deque()
        self.in_hand: Held | None = None
        self._stopping = False
        #: SIGKILL is on its way.
        self._ending = False
        #: What is called when it started anew, where it is to do so instead of ending.
        self._renewed: Callable[[], None] | None = None
        self._uncommitted: list[Held] = []
        self._remembered: set[int] = set()

    def begin(self) -> None:
        """Start the process."""
        super().begin()
        self._dialler.dial()

    def die(self) -> None:
        """End without a word."""
        self._burnt_us, self._at_work_us = self.processor_us(), None
        super().die()
        self._dialler.drop()
        self._database.leave(self)
        self._waiting.clear()
        self._uncommitted.clear()
        self.in_hand = None

    def exit(self, exit_code: int) -> None:
        """End, and let it be known."""
        if self.up:
            self.die()
            self._watcher.exited(self.name, exit_code)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when the grace period is over."""
        if self.up and not self._ending:
            self._ending = True
            self.drain()
            self.timeline.later(self, round(self._settings.stop_grace * 1e6), self.exit, 137)

    def drain(self) -> None:
        """SIGTERM: leave, however long it takes."""
        self._renewed = None
        if self.up and not self._stopping:
            self._wind_up()

    def renew(self, then: Callable[[], None]) -> None:
        """SIGHUP: leave as at SIGTERM, and start anew in the same place.

        Args:
            then: Called when it did; never where it ends instead.
        """
        if self.up and not self._stopping:
            self._renewed = then
            self._wind_up()

    def _wind_up(self) -> None:
        self._stopping = True
        how = self._settings.on_stop
        if how == "abandon":
            self.timeline.later(self, LEAVE_US, self._left)
        elif how == "acknowledge":
            while self._waiting:
                self._answer(self._waiting.popleft(), "ack")
            if self.in_hand is not None:
                self._answer(self.in_hand, "ack")
            self.timeline.later(self, LEAVE_US, self._left)
        elif self.in_hand is None:
            self._leave()
        elif self._dialler.connection is not None:
            # Nothing more is to wait behind the job in hand.
            self._dialler.connection.to_node(self._queue.cancel, self._dialler.connection)

    def _leave(self) -> None:
        """Give back what was fetched ahead, and go."""
        self._waiting.clear()
        connection = self._dialler.connection
        if connection is not None and self._settings.acknowledge != "automatic":
            connection.to_node(self._settle_all, connection)
        self.timeline.later(self, LEAVE_US, self._left)

    def _left(self) -> None:
        """End, or start anew."""
        renewed, self._renewed = self._renewed, None
        if renewed is None:
            self.exit(0)
            return
        self.die()
        # Still the instance that it was: nobody is to take its place.
        self.up, self._stopping = True, False
        self.timeline.later(self, RENEW_US, self._anew, renewed)

    def _anew(self, renewed: Callable[[], None]) -> None:
        if not self._stopping:
            self.begin()
            renewed()

    def _settle_all(self, connection: Connection) -> None:
        self._queue.settle(connection, 0, "requeue", multiple=True)

    def processor_us(self) -> int:
        """How much processor time it took in all its life, as far as it was at work on jobs."""
        if self._at_work_us is None:
            return self._burnt_us
        since_us, duration_us = self._at_work_us
        # One that stands still or is slowed down is at work for longer, and takes no more.
        passed_us = min(self.timeline.now_us - since_us, duration_us)
        return self._burnt_us + self._processor_us * passed_us // max(1, duration_us)

    # The connection.

    def connection_ready(self, connection: Connection) -> None:
        """Begin to consume."""
        if not self._stopping:
            connection.to_node(self._subscribe, connection)

    def _subscribe(self, connection: Connection) -> None:
        if connection.served:
            automatic = self._settings.acknowledge == "automatic"
            self._queue.subscribe(connection, prefetch=self._settings.prefetch, automatic=automatic)

    @property
    def connection(self) -> Connection | None:
        """The connection it consumes on."""
        return self._dialler.connection

    @property
    def consuming(self) -> bool:
        """Whether its connection is made."""
        connection = self._dialler.connection
        return self.up and connection is not None and connection.served and connection.consuming

    def connection_lost(self, connection: Connection) -> None:
        """Jobs fetched ahead are another worker's now; the one in hand goes on."""
        if self._dialler.lost(connection, again=self._settings.reconnect and not self._stopping):
            if self._settings.acknowledge != "automatic":
                self._waiting = deque(held for held in self._waiting if held.connection is not connection)
            if not self._settings.reconnect:
                self.timeline.reached("a worker did not connect again")

    def delivered(self, connection: Connection, tag: int, message: Message, redelivered: bool) -> None:  # noqa: FBT001
        """A message arrived."""
        if connection is not self._dialler.connection or self._stopping:
            return
        self._waiting.append(Held(connection, tag, message, redelivered=redelivered))
        if self.in_hand is None:
            self._next()

    # A job's life.

    def _next(self) -> None:
        self.in_hand = None
        if self._stopping:
            self._leave()
            return
        if not self._waiting:
            if self._uncommitted:
                self._commit_all()
            return
        self.in_hand = held = self._waiting.popleft()
        message = held.message
        self._watcher.delivery(message.job, self.name, redelivered=held.redelivered)
        if message.kind and message.kind in self._crash:
            self.timeline.reached("a job took its worker along")
            self.exit(3)
        elif message.kind and message.kind in self._poison:
            self._failed(held)
        else:
            steps = self.timeline.integer(0, 4) if self._work_us_max > self._work_us else 0
            duration_us = self._work_us + (self._work_us_max - self._work_us) * steps // 4
            if self._processor_us:
                # No faster than its processors are, and it works one job at a time.
                duration_us = max(duration_us, round(self._processor_us / min(1.0, self._settings.processors)))
                self._at_work_us = (self.timeline.now_us, duration_us)
            self._starve(held.connection, duration_us)
            self.after(duration_us, self._worked, held)

    def _starve(self, connection: Connection, duration_us: int) -> None:
        if not self._settings.heartbeat_in_job and duration_us > 2 * self._heartbeat_us:
            self.timeline.reached("a job starved its connection of heartbeats")
            connection.node.after(2 * self._heartbeat_us, connection.refuse)

    def _failed(self, held: Held) -> None:
        how = self._settings.on_failure
        if self._settings.acknowledge == "automatic":
            self._answer(held, "ack")
        elif how == "acknowledge":
            self._dropped(held)
        elif how == "republish":
            copy = Message(held.message.job, held.message.kind, persistent=True)
            held.connection.to_node(self._queue.publish, held.connection, copy, lambda _: None)
            self._answer(held, "ack")
        else:
            # Said before the broker hears of it.
            self._watcher.point(held.message.job, self.name, "rejected")
            self._answer(held, how)
        self.after(FAILURE_US, self._next)

    def _worked(self, held: Held) -> None:
        self._burnt_us, self._at_work_us = self.processor_us(), None
        if self._settings.acknowledge == "before-commit":
            self._acknowledge(held)
            self.after(self._delay_us, self._commit, held)
        else:
            self._commit(held)

    def _commit(self, held: Held) -> None:
        if self._settings.commit_every > 1:
            self._uncommitted.append(held)
            self._acknowledge(held)
            if len(self._uncommitted) >= self._settings.commit_every:
                self._commit_all()
            self._next()
            return
        job = held.message.job
        how = self._settings.deduplicate
        session = self._database.session(self)
        if how == "check-then-write":
            seen: list[bool] = []
            session.execute(
                lambda: seen.append(self._database.marked(job)),
                lambda *, known: self._checked(held, known=known, seen=bool(seen and seen[0])),
            )
        elif how == "memory" and job in self._remembered:
            self._committed(held)
        else:
            once = how == "transaction"
            session.execute(
                lambda: self._database.write(job, once=once), lambda *, known: self._answered(held, known=known)
            )

    def _checked(self, held: Held, *, known: bool, seen: bool) -> None:
        if known and not seen:
            job = held.message.job

            def write() -> None:
                self._database.write(job, once=False)
                self._database.mark(job)

            self._database.session(self).execute(write, lambda *, known: self._answered(held, known=known))
        else:
            self._answered(held, known=known)

    def _answered(self, held: Held, *, known: bool) -> None:
        if known:
            self._committed(held)
            return
        how = self._settings.on_commit_error
        if how == "retry":
            held.failures += 1
            if self._settings.acknowledge == "after-commit" and not held.connection.open:
                self._next()
                return
            delay_us = min(BACKOFF_MAX_US, BACKOFF_US << min(held.failures - 1, 10))
            self.after(delay_us, self._commit, held)
            return
        self.timeline.reached("a worker gave a job up that it could not commit")
        if how == "acknowledge":
            self._dropped(held)
        else:
            self._watcher.point(held.message.job, self.name, "rejected")
            self._answer(held, how)
        self._next()

    def _dropped(self, held: Held) -> None:
        self._watcher.point(held.message.job, self.name, "rejected")
        self._acknowledge(held)

    def _committed(self, held: Held) -> None:
        job = held.message.job
        self._remembered.add(job)
        self._watcher.point(job, self.name, "committed")
        if self._settings.acknowledge != "after-commit":
            self._next()
        elif self._delay_us:
            self.after(self._delay_us, self._settle, held)
        else:
            self._settle(held)

    def _settle(self, held: Held) -> None:
        self._acknowledge(held)
        self._next()

    def _commit_all(self) -> None:
        batch, self._uncommitted = self._uncommitted, []

        def write() -> None:
            for held in batch:
                self._database.write(held.message.job, once=True)

        def answered(*, known: bool) -> None:
            if known:
                for held in batch:
                    self._watcher.point(held.message.job, self.name, "committed")
            else:
                self._uncommitted = batch + self._uncommitted
                self.after(BACKOFF_MAX_US, self._commit_all)

        self._database.session(self).execute(write, answered)

    def _acknowledge(self, held: Held) -> None:
        if self._settings.acknowledge != "automatic" and self._answer(held, "ack"):
            self._watcher.point(held.message.job, self.name, "acknowledged")

    def _answer(self, held: Held, how: str) -> bool:
        """Settle a delivery; false where its connection is gone, and with it the right to."""
        connection = held.connection
        if not connection.open:
            current = self._dialler.connection
            if not self._settings.acknowledge_stale or current is None:
                return False
            self.timeline.reached("a tag of an earlier connection was acknowledged")
            connection = current
        connection.to_node(self._queue.settle, connection, held.tag, how)
        return True
