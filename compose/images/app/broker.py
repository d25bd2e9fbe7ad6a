"""One AMQP connection at a time, to whichever node of the cluster answers, with the queues declared on it.

Nodes may be dead, paused or cut off by packets that vanish, so that every wait has an end: what does not
answer in time is abandoned, and the next node is tried. Everything here runs on one thread, the event loop's.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.exceptions import AMQPError
from settings import BrokerSettings, backoff_s, rotation

#: A node that is cut off swallows the first packet; waiting longer only delays the next node's turn.
CONNECT_TIMEOUT_S = 3
#: TCP and AMQP handshake together. A paused node's kernel accepts connections; the node says nothing.
HANDSHAKE_TIMEOUT_S = 5
#: From the first packet to declared queues. A new quorum queue elects a leader: seconds on a busy machine.
SETUP_TIMEOUT_S = 12
#: A link is cut when written data stays unacknowledged so long: the kernel's own limit is many minutes.
TCP_USER_TIMEOUT_MS = 10_000
#: How long a goodbye may take before the connection is simply dropped.
CLOSE_TIMEOUT_S = 1.5


def diagnose(message: str) -> None:
    """Write a line for people: standard output is for outcomes only."""
    print(message, file=sys.stderr, flush=True)


class Session:
    """One connection and its channel; once not `alive`, whatever it still says is ignored."""

    def __init__(self, link: Link, url: str) -> None:
        self.alive = True
        self.ready = False
        self.channel: Channel | None = None
        self._link = link
        self._settings = link.settings
        self.node = pika.URLParameters(url).host
        self._watchdog = link.loop.call_later(SETUP_TIMEOUT_S, lambda: self.lost("setup-timeout"))
        self._connection = pika.SelectConnection(
            _parameters(url, heartbeat_s=self._settings.heartbeat_s),
            on_open_callback=self._guarded(self._open_channel),
            on_open_error_callback=lambda _connection, error: self.lost(f"cannot connect: {error!r}"),
            on_close_callback=lambda _connection, error: self.lost(f"connection closed: {error!r}"),
            custom_ioloop=link.loop,
        )

    def lost(self, reason: str) -> None:
        """Stop using this connection; the link goes on to the next node."""
        if self.alive:
            self._retire()
            self._link.session_lost(self, reason)

    def close(self) -> None:
        """Say goodbye; nobody hears from this session again."""
        self._retire()

    def _retire(self) -> None:
        self.alive = False
        self._link.loop.remove_timeout(self._watchdog)
        with contextlib.suppress(AMQPError):  # It may be closed or closing already, or never have been open.
            self._connection.close()

    def _guarded(self, step: Callable[..., None]) -> Callable[..., None]:
        """Wrap a callback: not for a retired session, and the library's errors count as a lost connection."""

        def run(*arguments: Any) -> None:
            if not self.alive:
                self._retire_late()
                return
            try:
                step(*arguments)
            except AMQPError as error:
                self.lost(f"{error!r}")

        return run

    def _retire_late(self) -> None:
        """Close a connection that came up after it had been given up."""
        if self._connection.is_open:
            self._connection.close()

    def _open_channel(self, _connection: pika.SelectConnection) -> None:
        self._connection.add_on_connection_blocked_callback(lambda *_: self._link.set_blocked(self, blocked=True))
        self._connection.add_on_connection_unblocked_callback(lambda *_: self._link.set_blocked(self, blocked=False))
        self._connection.channel(on_open_callback=self._guarded(self._declare_queues))

    def _declare_queues(self, channel: Channel) -> None:
        self.channel = channel
        channel.add_on_close_callback(lambda _channel, error: self.lost(f"channel closed: {error!r}"))
        channel.add_on_cancel_callback(lambda _frame: self.lost("consumer cancelled by the broker"))
        # The broker answers in order, so that the dead letters have their place once the jobs have theirs.
        if self._settings.dead_letter_queue:
            channel.queue_declare(
                self._settings.dead_letter_queue, durable=True, arguments=self._settings.dead_letter_arguments()
            )
        channel.queue_declare(
            self._settings.queue,
            durable=True,
            arguments=self._settings.queue_arguments(),
            callback=self._guarded(self._become_ready),
        )

    def _become_ready(self, _frame: Any) -> None:
        self._link.loop.remove_timeout(self._watchdog)
        self.ready = True
        self._link.session_ready(self)


class Link:
    """Keeps a session alive: reconnects to the next node whenever one is lost, until closed.

    Args:
        settings: The broker's nodes and the queues to declare.
        on_ready: Called with a session whose queues are declared.
        on_lost: Called with a session that had been ready, and the reason.
        first_node: Which of the URLs to try first.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        on_ready: Callable[[Session], None],
        on_lost: Callable[[Session, str], None],
        first_node: int = 0,
    ) -> None:
        self.settings = settings
        self.loop = IOLoop()
        self.session: Session | None = None
        #: The broker has a memory or disk alarm and reads nothing more from this connection.
        self.blocked = False
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._urls = rotation(settings.urls, start=first_node)
        self._failures = 0
        self._closing = False

    def connect(self) -> None:
        """Try the next node."""
        if not self._closing:
            self.session = Session(self, next(self._urls))

    def close(self) -> None:
        """Close the session for good and stop the loop, after the goodbye or a bound."""
        self._closing = True
        if self.session is not None:
            self.session.close()
            self.loop.call_later(0.05, self._stop_when_closed)
            self.loop.call_later(CLOSE_TIMEOUT_S, self.loop.stop)
        else:
            self.loop.stop()

    def _stop_when_closed(self) -> None:
        if self.session is None or self.session._connection.is_closed:  # noqa: SLF001 - the session is this module's
            self.loop.stop()
        else:
            self.loop.call_later(0.05, self._stop_when_closed)

    def session_ready(self, session: Session) -> None:
        """Take note that a session's queues are declared."""
        diagnose(f"connected to {session.node}")
        self._failures = 0
        self.blocked = False
        self._on_ready(session)

    def session_lost(self, session: Session, reason: str) -> None:
        """Take note that a session is gone, and try the next node after a short wait."""
        diagnose(f"{session.node}: {reason}")
        self.session = None
        self.blocked = False
        if session.ready:
            self._on_lost(session, reason)
        self.loop.call_later(backoff_s(self._failures), self.connect)
        self._failures += 1

    def set_blocked(self, session: Session, *, blocked: bool) -> None:
        """Take note of the broker's alarm."""
        if session is self.session:
            diagnose(f"{session.node}: connection {'blocked' if blocked else 'unblocked'}")
            self.blocked = blocked


def _parameters(url: str, *, heartbeat_s: int) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = heartbeat_s
    parameters.connection_attempts = 1
    parameters.socket_timeout = CONNECT_TIMEOUT_S
    parameters.stack_timeout = HANDSHAKE_TIMEOUT_S
    parameters.blocked_connection_timeout = None
    parameters.tcp_options = {"TCP_USER_TIMEOUT": TCP_USER_TIMEOUT_MS}
    return parameters
