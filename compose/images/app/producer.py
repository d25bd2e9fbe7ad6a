"""The reference producer: job ids in, one outcome a line out.

Reads `<job id>` or `<job id> <kind>` on standard input and says for each id, as soon as it is known, one of

    ok <id>                 the broker confirmed it
    fail <id> <reason>      it is certainly not in the queue
    unknown <id> <reason>   it may or may not be: the confirm never came

A job whose outcome is unknown is never submitted again; one that the broker refused (nack) is, until it takes it
or the time is up. At the end of the input it waits for what is outstanding, then exits 0.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections import OrderedDict, deque
from typing import Any

import pika
from broker import Link, Session, diagnose
from pika.exceptions import AMQPError
from settings import BrokerSettings, Job, SettingError, choice, number, switch

#: Confirms take milliseconds; publishing on meanwhile is what makes thousands a second possible. It is also
#: how many outcomes are unknown when a node falls silent.
DEFAULT_WINDOW = 50
#: How long a refused job waits before it is tried again: a queue without a leader refuses everything at once.
NACK_PAUSE_S = 0.3
#: How often deadlines are looked at.
TICK_S = 0.2


class Producer:
    """Publishes jobs as they come, and keeps the account of each until its outcome is known."""

    def __init__(self, settings: BrokerSettings, environment: dict[str, str]) -> None:
        self._confirms = switch(environment, "PUBLISHER_CONFIRMS", default=True)
        self._submit_timeout_s = number(environment, "SUBMIT_TIMEOUT_S", 30)
        self._confirm_timeout_s = number(environment, "CONFIRM_TIMEOUT_S", 15)
        # What is said of a job whose confirm never came. Whatever is not `unknown` claims what nobody knows.
        self._on_timeout = choice(environment, "ON_TIMEOUT", "unknown", "ok", "fail")
        self._on_connection_lost = choice(environment, "ON_CONNECTION_LOST", "unknown", "ok", "fail")
        self._delivery_mode = int(choice(environment, "DELIVERY_MODE", "2", "1"))
        self._window = max(1, int(number(environment, "PUBLISH_WINDOW", DEFAULT_WINDOW)))
        self._queue = settings.queue
        self._link = Link(
            settings,
            on_ready=self._session_ready,
            on_lost=self._session_lost,
            first_node=settings.first_node or 0,
        )
        self._session: Session | None = None
        #: Read but not yet written to any connection, each with the time it fails at.
        self._pending: deque[tuple[Job, float]] = deque()
        #: Bounds `_pending`: a long input waits in its pipe, where it has no deadline yet.
        self._places = threading.Semaphore(self._window)
        #: Written but not confirmed, in that order: delivery tag to job, when it fails, when its confirm is overdue.
        self._outstanding: OrderedDict[int, tuple[Job, float, float]] = OrderedDict()
        #: Refused by the broker: job, when it fails, when it is tried again.
        self._nacked: deque[tuple[Job, float, float]] = deque()
        self._tag = 0
        #: Returned as unroutable; the broker confirms these too, after returning them.
        self._returned: set[str] = set()
        self._input_ended = False
        self._stop_asked = False
        self._wake_sent = False

    def run(self) -> None:
        """Serve standard input to its end."""
        # Only a mark: a handler runs in the middle of anything, the event loop's own locks included.
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_stop_asked", True))
        threading.Thread(target=self._read_input, daemon=True).start()
        self._link.connect()
        self._tick()
        self._link.loop.start()

    # The reader's thread. It touches nothing but the pending jobs.

    def _read_input(self) -> None:
        for line in sys.stdin:
            if self._stop_asked:
                break
            try:
                job = Job.from_line(line)
            except ValueError as error:
                diagnose(str(error))
                self._from_outside(functools.partial(_say, f"fail {line.split()[0]} bad-line"))
                continue
            if job is not None:
                self._places.acquire()
                self._pending.append((job, time.monotonic() + self._submit_timeout_s))
                if not self._wake_sent:
                    # One call of the pump takes many jobs, so that one is enough until it begins.
                    self._wake_sent = True
                    self._from_outside(self._pump)
        self._from_outside(self._end_input)

    def _from_outside(self, callback: Any) -> None:
        self._link.loop.add_callback_threadsafe(callback)

    # The event loop's thread.

    def _end_input(self) -> None:
        self._input_ended = True
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._input_ended and not self._pending and not self._outstanding and not self._nacked:
            self._link.close()

    def _session_ready(self, session: Session) -> None:
        channel = session.channel
        assert channel is not None
        self._tag = 0
        channel.add_on_return_callback(self._on_return)
        if not self._confirms:
            self._begin(session)
            return
        channel.confirm_delivery(
            lambda frame: self._on_confirm(session, frame.method),
            callback=lambda _frame: self._begin(session),
        )

    def _begin(self, session: Session) -> None:
        if session.alive:
            self._session = session
            self._pump()

    def _session_lost(self, _session: Session, _reason: str) -> None:
        self._session = None
        self._give_up_outstanding(self._on_connection_lost, "connection-lost")

    def _give_up_outstanding(self, outcome: str, reason: str) -> None:
        """Whatever was written and not confirmed may or may not be in the queue."""
        while self._outstanding:
            _, (job, _, _) = self._outstanding.popitem(last=False)
            self._settle(job.id, f"{outcome} {job.id} {reason}")
        self._returned.clear()
        sys.stdout.flush()
        self._finish_if_done()

    def _pump(self) -> None:
        """Write what is pending, as far as the window goes."""
        self._wake_sent = False
        while self._session is not None and not self._link.blocked and len(self._outstanding) < self._window:
            if self._nacked and self._nacked[0][2] <= time.monotonic():
                job, fails_at, _ = self._nacked.popleft()
            elif self._pending:
                job, fails_at = self._pending.popleft()
                self._places.release()
            else:
                break
            self._publish(self._session, job, fails_at)
        if not self._confirms:
            sys.stdout.flush()
            self._finish_if_done()

    def _publish(self, session: Session, job: Job, fails_at: float) -> None:
        assert session.channel is not None
        self._tag += 1
        if self._confirms:
            # Entered before it is written: should writing fail halfway, nobody can say what the broker got.
            self._outstanding[self._tag] = (job, fails_at, time.monotonic() + self._confirm_timeout_s)
        try:
            session.channel.basic_publish(
                exchange="",
                routing_key=self._queue,
                body=job.to_body(),
                properties=pika.BasicProperties(
                    message_id=job.id, delivery_mode=self._delivery_mode, content_type="application/json"
                ),
                mandatory=True,
            )
        except AMQPError as error:
            if not self._confirms:
                _say(f"unknown {job.id} connection-lost")
            session.lost(f"cannot publish: {error!r}")
            return
        if not self._confirms:
            # The known-bad producer: it takes the socket's word for the broker's.
            sys.stdout.write(f"ok {job.id}\n")

    def _on_return(self, _channel: Any, method: Any, properties: pika.BasicProperties, _body: bytes) -> None:
        job_id = properties.message_id
        diagnose(f"returned {job_id}: {method.reply_text}")
        if self._confirms:
            self._returned.add(job_id)
            _say(f"fail {job_id} returned")

    def _on_confirm(self, session: Session, method: Any) -> None:
        if not session.alive:
            return
        acknowledged = isinstance(method, pika.spec.Basic.Ack)
        now = time.monotonic()
        for job, fails_at in self._take_confirmed(method.delivery_tag, multiple=method.multiple):
            if acknowledged:
                self._settle(job.id, f"ok {job.id}")
            elif now < fails_at and job.id not in self._returned:
                self._nacked.append((job, fails_at, now + NACK_PAUSE_S))
            else:
                self._settle(job.id, f"unknown {job.id} nack")
        sys.stdout.flush()
        self._pump()
        self._finish_if_done()

    def _take_confirmed(self, tag: int, *, multiple: bool) -> list[tuple[Job, float]]:
        if not multiple:
            entry = self._outstanding.pop(tag, None)
            return [entry[:2]] if entry else []
        confirmed = []
        while self._outstanding and next(iter(self._outstanding)) <= tag:
            confirmed.append(self._outstanding.popitem(last=False)[1][:2])
        return confirmed

    def _settle(self, job_id: str, line: str) -> None:
        """Say a job's outcome, unless it was said when the broker returned it."""
        if job_id in self._returned:
            self._returned.discard(job_id)
        else:
            sys.stdout.write(line + "\n")

    def _tick(self) -> None:
        """Look at the deadlines: both queues are in the order of theirs."""
        self._input_ended = self._input_ended or self._stop_asked
        now = time.monotonic()
        while self._pending and self._pending[0][1] <= now:
            job, _ = self._pending.popleft()
            self._places.release()
            _say(f"fail {job.id} {'blocked' if self._link.blocked else 'not-connected'}")
        while self._nacked and self._nacked[0][1] <= now:
            job, _, _ = self._nacked.popleft()
            _say(f"unknown {job.id} nack")
        if self._outstanding and next(iter(self._outstanding.values()))[2] <= now:
            # The others were written after this one, and to the same silent connection.
            session = self._session
            self._session = None
            self._give_up_outstanding(self._on_timeout, "confirm-timeout")
            if session is not None:
                session.lost("confirm-timeout")
        self._pump()
        self._finish_if_done()
        self._link.loop.call_later(TICK_S, self._tick)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the producer; exit status 0 at the end of the input, 2 on settings that make no sense."""
    try:
        settings = BrokerSettings.from_environment(os.environ)
        producer = Producer(settings, dict(os.environ))
    except SettingError as error:
        diagnose(str(error))
        return 2
    producer.run()
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    # Not sys.exit: after a SIGTERM the reader still waits for a line, and the interpreter for the reader.
    os._exit(main())
