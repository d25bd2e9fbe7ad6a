"""The reference worker: takes a job, works, commits its effect, then acknowledges it.

SIGTERM has it leave after the job in hand. SIGHUP has it do the same, and start anew with the code then in place.

It says on standard output what it does, every line but `acknowledged` before the broker can hear of it:

    revision <revision>                 it starts, and this is the code that it has
    delivered <id> redelivered=<0|1>    the job is in hand (jobs fetched ahead are not)
    committed <id>                      its effect is in the database
    acknowledged <id>                   the acknowledgement was handed to the connection
    rejected <id>                       the job failed, and leaves no effect this time
    disconnected                        the broker was lost, and with it every job not acknowledged
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker import Link, Session, diagnose
from burning import burn
from effects import Effects, GivenUpError
from pika.exceptions import AMQPError
from revision import current
from settings import BrokerSettings, DurationRange, Job, SettingError, choice, number, switch

TICK_S = 0.1
#: A job in hand may finish after SIGTERM; one that hangs is given back by leaving.
STOP_TIMEOUT_S = 8.0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One handing of a job to this worker, good for as long as its session lives."""

    job: Job
    tag: int
    redelivered: bool
    session: Session


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """How jobs are worked."""

    duration: DurationRange
    #: How much processor time of that is used up.
    processor_s: float
    acknowledge: str
    acknowledge_delay_s: float
    prefetch: int
    idempotent: bool
    #: What becomes of a job that fails, and of one whose effect cannot be committed.
    on_failure: str
    on_commit_error: str
    #: What becomes at SIGTERM of jobs that are not done.
    on_stop: str
    database_url: str

    @classmethod
    def from_environment(cls, environment: dict[str, str]) -> WorkSettings:
        """Read the settings.

        Raises:
            SettingError: A variable is missing or has an impossible value.
        """
        try:
            duration = DurationRange.parse(environment.get("WORK_S") or "0.05")
        except ValueError as error:
            raise SettingError(f"WORK_S: {error}") from error
        if not environment.get("DATABASE_URL"):
            raise SettingError("DATABASE_URL: expected a postgresql:// URL, got none")
        return cls(
            duration=duration,
            processor_s=number(environment, "WORK_CPU_S", 0),
            acknowledge=choice(environment, "ACKNOWLEDGE", "after-commit", "before-commit", "automatic"),
            acknowledge_delay_s=number(environment, "ACK_DELAY_S", 0),
            prefetch=int(number(environment, "PREFETCH", 5)),
            idempotent=switch(environment, "IDEMPOTENT", default=True),
            on_failure=choice(environment, "ON_FAILURE", "requeue", "reject", "acknowledge"),
            on_commit_error=choice(environment, "ON_COMMIT_ERROR", "retry", "requeue", "reject", "acknowledge"),
            on_stop=choice(environment, "ON_STOP", "finish", "abandon", "acknowledge"),
            database_url=environment["DATABASE_URL"],
        )


class Jobs:
    """The jobs' thread: one at a time, each from delivery to acknowledgement.

    Args:
        settings: How to work.
        effects: Where effects go.
        send: Makes a call on the connection's thread if the delivery's session lives; returns whether it did.
        ended: Called at the end of the thread.
    """

    def __init__(
        self,
        settings: WorkSettings,
        effects: Effects,
        *,
        send: Callable[[Delivery, Callable[[Any], None]], bool],
        ended: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._effects = effects
        self._send = send
        self._ended = ended
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def put(self, delivery: Delivery) -> None:
        """Add a delivery that was fetched ahead."""
        self._waiting.put(delivery)

    def stop(self) -> None:
        """End after the job in hand."""
        self._stopping.set()
        self._waiting.put(None)

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None and not self._stopping.is_set():
            if delivery.session.alive:
                try:
                    self._work(delivery)
                except GivenUpError:
                    diagnose(f"gave up {delivery.job.id}")
                    if self._settings.acknowledge == "after-commit":
                        self._answer(delivery, self._settings.on_commit_error)
        self._ended()

    def _work(self, delivery: Delivery) -> None:
        job = delivery.job
        say(f"delivered {job.id} redelivered={int(delivery.redelivered)}")
        if job.kind == "crash":
            os._exit(3)
        if job.kind == "poison":
            self._answer(delivery, self._settings.on_failure)
            return
        self._work_off()
        if self._settings.acknowledge == "before-commit":
            self._acknowledge(delivery)
            time.sleep(self._settings.acknowledge_delay_s)
            self._commit(delivery)
            return
        self._commit(delivery)
        if self._settings.acknowledge == "after-commit":
            time.sleep(self._settings.acknowledge_delay_s)
            self._acknowledge(delivery)

    def _work_off(self) -> None:
        """Take as long as a job takes, and at least the processor time that it takes."""
        over_s = time.monotonic() + self._settings.duration.draw()
        burn(self._settings.processor_s)
        time.sleep(max(0.0, over_s - time.monotonic()))

    def _commit(self, delivery: Delivery) -> None:
        self._effects.commit(delivery.job.id, wait=functools.partial(self._wait_to_retry, delivery))
        say(f"committed {delivery.job.id}")

    def _wait_to_retry(self, delivery: Delivery, seconds: float) -> bool:
        """Wait until a commit is tried again; returns whether to give up instead."""
        if self._settings.on_commit_error != "retry":
            return True
        # A job whose session is gone is another worker's by now; one already acknowledged is nobody else's.
        ours_alone = self._settings.acknowledge != "after-commit"
        return self._stopping.wait(seconds) or not (delivery.session.alive or ours_alone)

    def _acknowledge(self, delivery: Delivery) -> None:
        if self._send(delivery, lambda channel: channel.basic_ack(delivery.tag)):
            say(f"acknowledged {delivery.job.id}")

    def _answer(self, delivery: Delivery, how: str) -> None:
        """Answer for a job that has no effect. None to `retry`: whoever gave that up leaves."""
        if how == "retry" or self._settings.acknowledge == "automatic" or not delivery.session.alive:
            return
        say(f"rejected {delivery.job.id}")
        if how == "acknowledge":
            self._acknowledge(delivery)
        else:
            self._send(delivery, lambda channel: channel.basic_reject(delivery.tag, requeue=how == "requeue"))


class Worker:
    """The connection's thread: fetches jobs, sends acknowledgements, reconnects, and stops in good order."""

    def __init__(self, broker: BrokerSettings, settings: WorkSettings) -> None:
        name = socket.gethostname()
        self._settings = settings
        self._queue = broker.queue
        self._jobs = Jobs(
            settings,
            Effects(settings.database_url, worker=name, idempotent=settings.idempotent),
            send=self._send,
            ended=lambda: self._link.loop.add_callback_threadsafe(self._leave),
        )
        self._link = Link(
            broker,
            on_ready=self._consume,
            on_lost=lambda _session, _reason: say("disconnected"),
            # Their numbers spread the workers over the nodes, or else their names: hash() would differ each time.
            first_node=zlib.crc32(name.encode()) if broker.first_node is None else broker.first_node,
        )
        #: What the broker calls this consumer, on the session that it has now.
        self._consumer = ""
        self._stop_asked = False
        self._stopping = False
        #: Whether it is to start anew once it has stopped.
        self.again = False

    def run(self) -> None:
        """Work until told to stop, or to start anew."""
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(ending, self._asked)
        self._jobs.thread.start()
        self._link.connect()
        self._tick()
        self._link.loop.start()

    def _asked(self, number: int, _frame: object) -> None:
        # Only marks: a handler runs in the middle of anything, the event loop's own locks included.
        # Who was asked to end does not start anew, but who is to start anew may still be asked to end.
        if self.again or not self._stop_asked:
            self.again = number == signal.SIGHUP
        self._stop_asked = True

    def _consume(self, session: Session) -> None:
        channel = session.channel
        assert channel is not None
        if self._stopping:
            return
        channel.basic_qos(prefetch_count=self._settings.prefetch)
        self._consumer = channel.basic_consume(
            self._queue,
            on_message_callback=lambda _channel, method, properties, body: self._on_delivery(
                session, method, properties.message_id, body
            ),
            auto_ack=self._settings.acknowledge == "automatic",
        )

    def _on_delivery(self, session: Session, method: Any, message_id: str | None, body: bytes) -> None:
        if not session.alive or self._stopping:
            return  # Not acknowledged, so that closing the connection gives it back.
        job = Job.from_message(message_id, body)
        if job is None:
            diagnose(f"a message without a job id goes to the dead letters: {body[:200]!r}")
            if self._settings.acknowledge != "automatic":
                session.channel.basic_reject(method.delivery_tag, requeue=False)
            return
        self._jobs.put(Delivery(job=job, tag=method.delivery_tag, redelivered=method.redelivered, session=session))

    def _send(self, delivery: Delivery, call: Callable[[Any], None]) -> bool:
        """On the jobs' thread: have a call made on the connection's, and wait until it was handed over."""
        handed_over = threading.Event()
        sent: list[bool] = []

        def make_call() -> None:
            try:
                if delivery.session.alive:
                    call(delivery.session.channel)
                    sent.append(True)
            except AMQPError as error:
                delivery.session.lost(f"cannot acknowledge: {error!r}")
            finally:
                handed_over.set()

        self._link.loop.add_callback_threadsafe(make_call)
        handed_over.wait()
        return bool(sent)

    def _tick(self) -> None:
        if self._stop_asked and not self._stopping:
            self._stopping = True
            if self._settings.on_stop == "finish":
                self._jobs.stop()
                self._take_no_more()
                self._link.loop.call_later(STOP_TIMEOUT_S + self._settings.duration.high_s, self._leave)
            else:
                self._leave()
        self._link.loop.call_later(TICK_S, self._tick)

    def _take_no_more(self) -> None:
        """Have the broker send no more jobs: they would wait for the one in hand."""
        session = self._link.session
        if session is not None and session.ready:
            with contextlib.suppress(AMQPError):  # Without a channel there is no consumer.
                session.channel.basic_cancel(self._consumer)

    def _leave(self) -> None:
        """Give back what is not done, and close."""
        session = self._link.session
        if session is not None and session.ready and self._settings.acknowledge != "automatic":
            with contextlib.suppress(AMQPError):  # Without a channel the broker has the jobs back already.
                if self._settings.on_stop == "acknowledge":
                    session.channel.basic_ack(0, multiple=True)
                else:
                    session.channel.basic_nack(0, multiple=True, requeue=True)
        self._link.close()


def say(line: str) -> None:
    """Write one line about a job."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the worker; exit status 0 when stopped, 2 on settings that make no sense."""
    try:
        worker = Worker(BrokerSettings.from_environment(os.environ), WorkSettings.from_environment(dict(os.environ)))
    except SettingError as error:
        diagnose(str(error))
        return 2
    say(f"revision {current()}")
    worker.run()
    if worker.again:
        os.execv(sys.executable, [sys.executable, *sys.argv])
    return 0


if __name__ == "__main__":
    # Not sys.exit: a job that hangs in the database would keep the interpreter waiting for its thread.
    os._exit(main())
