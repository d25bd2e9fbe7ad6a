"""The producer: what submits jobs, and what it says of each."""

from __future__ import annotations

from collections import deque
from itertools import islice

from parity.model.cluster import Node
from parity.model.constants import LINK_US, NACK_PAUSE_US
from parity.model.dialling import Dialler
from parity.model.network import Connection
from parity.model.outbox import Outbox
from parity.model.queue import Message
from parity.model.settings import ProducerModel
from parity.model.surroundings import Surroundings
from parity.model.timeline import Process


class Submission:
    """One job in the producer's hands."""

    __slots__ = ("fails_at_us", "job", "kind", "overdue_us", "settled", "stored")

    def __init__(self, job: int, kind: str, *, stored: bool = False) -> None:
        self.job = job
        self.kind = kind
        #: Whether it is a row of the outbox, whose outcome was said when it was written.
        self.stored = stored
        self.fails_at_us = 0
        self.overdue_us = 0
        #: Whether its outcome was said.
        self.settled = False


class Producer(Process):
    """A producer's process.

    Args:
        number: From 1; it says which node is tried first.
        place: What it works with.
        settings: When it calls a job submitted.
    """

    def __init__(self, number: int, place: Surroundings, settings: ProducerModel) -> None:
        super().__init__(place.timeline, f"producer-{number}")
        self._cluster = place.cluster
        self._queue = place.queue
        self._settings = settings
        self._watcher = place.watcher
        self._dialler = Dialler(self, place.cluster, first=number - 1, heartbeat_us=round(settings.heartbeat * 1e6))
        self._confirm_us = round(settings.confirm_timeout * 1e6)
        self._submit_us = round(settings.submit_timeout * 1e6)
        self._input: deque[Submission] = deque()
        self._outstanding: dict[int, Submission] = {}
        self._again: deque[Submission] = deque()
        self.blocked = False
        self._ticking = False
        self.outbox: Outbox | None = None
        if settings.outbox:
            say = place.watcher.submitted
            self.outbox = Outbox(self, place.database, say=say, publish=self._publish_row)

    def begin(self) -> None:
        """Start the command."""
        super().begin()
        self._dialler.dial()
        if self.outbox is not None:
            self.outbox.begin()

    def die(self) -> None:
        """What it had in hand, nobody can tell."""
        super().die()
        self._dialler.drop()
        self._ticking = False
        # That was its connection's. Who is not there does not hear that the alarm is over.
        self.blocked = False
        under_way = [*self._outstanding.values(), *self._again, *self._input]
        self._input.clear()
        self._again.clear()
        self._outstanding.clear()
        for submission in under_way:
            self._say(submission, "info", "the submit command ended")
        if self.outbox is not None:
            self.outbox.end()

    def submit(self, job: int, kind: str) -> None:
        """A line on its standard input."""
        submission = Submission(job, kind)
        if not self.up:
            self._say(submission, "fail", "the submit command is not running")
            return
        if self.outbox is not None:
            self.outbox.put(job, kind)
            return
        connection = self._dialler.connection
        at_once = connection is not None and not (self._input or self._again or self.blocked or self.paused)
        if at_once and len(self._outstanding) < self._settings.window and self._settings.ok_when != "buffered":
            assert connection is not None
            self._publish(connection, submission)
            self._tick_later()
            return
        self._input.append(submission)
        if not self.paused:
            self._read()

    def _publish_row(self, job: int, kind: str) -> None:
        self._input.append(Submission(job, kind, stored=True))
        self._pump()

    @property
    def idle(self) -> bool:
        """Whether it has no job in hand."""
        return not (self._input or self._outstanding or self._again)

    def thaw(self) -> None:
        """Read what came in meanwhile."""
        super().thaw()
        self.timeline.later(self, 0, self._read)

    def _read(self) -> None:
        if self._settings.ok_when == "buffered" and self.outbox is None:
            for submission in self._input:
                self._say(submission, "ok")
        self._pump()

    def alarm(self, *, raised: bool) -> None:
        """The broker blocks the connection, or unblocks it."""
        self.after(LINK_US, self._alarmed, raised)

    def _alarmed(self, raised: bool) -> None:  # noqa: FBT001
        self.blocked = raised
        self._pump()

    # The connection.

    @property
    def connection(self) -> Connection | None:
        """The connection it publishes on."""
        return self._dialler.connection

    def connection_ready(self, connection: Connection) -> None:
        """Publish what waits."""
        del connection
        self._pump()

    def connection_lost(self, connection: Connection) -> None:
        """Whatever was written and not confirmed may or may not be in the queue."""
        if not self._dialler.lost(connection):
            return
        self.blocked = False
        outstanding, self._outstanding = list(self._outstanding.values()), {}
        for submission in outstanding:
            self._conclude(submission, self._settings.on_connection_lost, "connection-lost")

    def delivered(self, connection: Connection, tag: int, message: Message, redelivered: bool) -> None:  # noqa: FBT001
        """Nothing is delivered to a producer."""

    def _give_up_connection(self) -> None:
        """One confirm is overdue: the others were written after it, and to the same silent connection."""
        outstanding, self._outstanding = list(self._outstanding.values()), {}
        for submission in outstanding:
            self._conclude(submission, self._settings.on_timeout, "confirm-timeout")
        connection = self._dialler.connection
        if connection is not None:
            self.connection_lost(connection)

    def _conclude(self, submission: Submission, how: str, reason: str) -> None:
        if submission.settled:
            return
        if how == "resubmit":
            self.timeline.reached("a producer submitted a job again whose outcome it did not know")
            self._again.append(submission)
            self.after(NACK_PAUSE_US, self._pump)
        else:
            self._say(submission, {"unknown": "info"}.get(how, how), reason)

    def _say(self, submission: Submission, outcome: str, reason: str = "") -> None:
        if submission.settled:
            return
        submission.settled = True
        if submission.stored:
            assert self.outbox is not None
            self.outbox.through(submission.job, done=outcome == "ok")
        else:
            self._watcher.submitted(submission.job, outcome, reason)

    # Publishing.

    def _pump(self) -> None:
        now_us = self.timeline.now_us
        window = self._settings.window
        connection = self._dialler.connection
        if connection is None or self.blocked:
            for submission in islice(self._input, window):
                submission.fails_at_us = submission.fails_at_us or now_us + self._submit_us
        while connection is not None and not self.blocked and len(self._outstanding) < window:
            if self._again:
                submission = self._again.popleft()
            elif self._input:
                submission = self._input.popleft()
            else:
                break
            self._publish(connection, submission)
        if self._input or self._outstanding or self._again:
            self._tick_later()

    def _publish(self, connection: Connection, submission: Submission) -> None:
        now_us = self.timeline.now_us
        submission.fails_at_us = submission.fails_at_us or now_us + self._submit_us
        if self._settings.ok_when == "confirmed":
            submission.overdue_us = now_us + self._confirm_us
            self._outstanding[submission.job] = submission
        else:
            self._say(submission, "ok")
        message = Message(submission.job, submission.kind, persistent=self._settings.persistent)
        connection.to_node(self._arrive, connection, message, submission)

    def _arrive(self, connection: Connection, message: Message, submission: Submission) -> None:
        """At the node."""
        if not connection.served:
            return
        if self._cluster.alarmed:
            self.timeline.reached("a publish met an alarm")
            node: Node = connection.node  # type: ignore[assignment]
            node.after(100_000, self._arrive, connection, message, submission)
            return

        def settled(outcome: str) -> None:
            connection.to_client(self._confirmed, connection, submission, outcome)

        self._queue.publish(connection, message, settled)

    def _confirmed(self, connection: Connection, submission: Submission, outcome: str) -> None:
        if connection is not self._dialler.connection or self._outstanding.pop(submission.job, None) is None:
            return
        settings = self._settings
        if outcome == "ack" or (outcome == "return" and not settings.mandatory):
            if outcome == "return":
                self.timeline.reached("a message that went nowhere was confirmed")
            self._say(submission, "ok")
        elif outcome == "return":
            self._say(submission, "fail", "returned")
        elif settings.on_nack == "retry" and self.timeline.now_us < submission.fails_at_us:
            self.after(NACK_PAUSE_US, self._try_again, submission)
        else:
            how = "unknown" if settings.on_nack == "retry" else settings.on_nack
            self._conclude(submission, how, "nack")
        if self._input or self._again:
            self._pump()

    def _try_again(self, submission: Submission) -> None:
        self._again.append(submission)
        self._pump()

    # Deadlines.

    def _tick_later(self) -> None:
        if not self._ticking:
            self._ticking = True
            self.timeline.later(self, 500_000, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        now_us = self.timeline.now_us
        if any(each.overdue_us <= now_us for each in self._outstanding.values()):
            self.timeline.reached("a confirm was overdue")
            self._give_up_connection()
        while self._input and self._input[0].fails_at_us and self._input[0].fails_at_us <= now_us:
            self.timeline.reached("a job could not be published in time")
            self._say(self._input.popleft(), "fail", "submit-timeout")
        self._pump()
