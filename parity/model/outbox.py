"""A producer's outbox: a job stands in a table of the database until its message is where it should be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from parity.model.constants import OUTBOX_POLL_US
from parity.model.database import Database
from parity.model.timeline import Process


class Outbox:
    """The rows of one producer, and who writes, reads and deletes them.

    Args:
        producer: Whose it is.
        database: Where the table is.
        say: Told what a submit came to: the job, its outcome, a reason.
        publish: Handed each row that waits: the job and its kind.
    """

    def __init__(
        self,
        producer: Process,
        database: Database,
        *,
        say: Callable[[int, str, str], None],
        publish: Callable[[int, str], None],
    ) -> None:
        self._producer = producer
        self._database = database
        self._say = say
        self._publish = publish
        #: What is to be written, one statement at a time.
        self._unwritten: deque[tuple[int, str]] = deque()
        self._writing = False
        #: Rows that are being published, and those of them that could not be deleted yet.
        self._under_way: set[int] = set()
        self._published: set[int] = set()

    @property
    def empty(self) -> bool:
        """Whether no job is in it, nor on the way there."""
        return not self._unwritten and not any(self._rows())

    def _rows(self) -> list[tuple[int, str]]:
        name = self._producer.name
        return [(job, kind) for (producer, job), kind in self._database.outbox.items() if producer == name]

    def put(self, job: int, kind: str) -> None:
        """Write a job down; what it was submitted as is said when it stands there."""
        self._unwritten.append((job, kind))
        self._write()

    def _write(self) -> None:
        if self._writing or not self._unwritten:
            return
        self._writing = True
        job, kind = self._unwritten[0]
        self._database.session(self._producer).execute(
            lambda: self._database.keep(self._producer.name, job, kind), self._written
        )

    def _written(self, *, known: bool) -> None:
        self._writing = False
        job, kind = self._unwritten.popleft()
        self._say(job, "ok" if known else "info", "" if known else "commit-unknown")
        if known:
            self._begin_publishing(job, kind)
        # After an error the row may stand there all the same: the next poll sees it.
        self._write()

    def _begin_publishing(self, job: int, kind: str) -> None:
        if job not in self._under_way:
            self._under_way.add(job)
            self._publish(job, kind)

    def begin(self) -> None:
        """The producer's process begins: what stands in the table is published, known to it or not."""
        self._poll()

    def end(self) -> None:
        """The producer's process ended: what it was about to write, nobody can tell."""
        self._database.leave(self._producer)
        unwritten = [job for job, _ in self._unwritten]
        self._unwritten.clear()
        self._under_way.clear()
        # Deletions that the database did not hear of are forgotten with it.
        self._published.clear()
        self._writing = False
        for job in unwritten:
            self._say(job, "info", "the submit command ended")

    def _poll(self) -> None:
        if self._database.ready:
            for job in self._published:
                self._delete(job)
            self._published.clear()
            for job, kind in self._rows():
                self._begin_publishing(job, kind)
        self._producer.timeline.later(self._producer, OUTBOX_POLL_US, self._poll)

    def _delete(self, job: int) -> None:
        self._database.forget(self._producer.name, job)
        self._under_way.discard(job)

    def through(self, job: int, *, done: bool) -> None:
        """A row's message is where it should be; or nobody knows, and it is published again."""
        if not done:
            self._producer.timeline.reached("a row of an outbox was left to be published again")
            self._under_way.discard(job)
        elif self._database.ready:
            self._delete(job)
        else:
            self._published.add(job)
