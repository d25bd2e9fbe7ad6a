"""Connections between clients and nodes: what is under way, and when either end notices that the other is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from parity.model.constants import CLIENT_TIMEOUT_US, LINK_US, RESEND_US
from parity.model.timeline import Process, Timeline

Call = tuple[Callable[..., None], tuple[Any, ...]]


class Client(Protocol):
    """Who opened a connection."""

    def connection_lost(self, connection: Connection) -> None:
        """The client noticed that a connection is gone."""

    def delivered(self, connection: Connection, tag: int, message: Any, redelivered: bool) -> None:  # noqa: FBT001
        """A message arrived."""


class Host(Protocol):
    """The node's side."""

    def connection_gone(self, connection: Connection) -> None:
        """The node noticed that a connection is gone: what was delivered on it comes back."""


class Peer(Process):
    """A node, as connections see it."""

    def __init__(self, timeline: Timeline, name: str) -> None:
        super().__init__(timeline, name)
        self.connections: list[Connection] = []
        #: How many faults drop packets from clients, and to them.
        self.cut_in = 0
        self.cut_out = 0


class Connection:
    """One connection with its one channel. Either end can think that it is there when it is not.

    Args:
        process: The client's process.
        client: Told when the client notices its end.
        node: The node.
        host: Told when the node notices its end.
        heartbeat_us: Agreed between the two.
    """

    __slots__ = (
        "_blocked",
        "_epoch",
        "_heartbeat_us",
        "_held_in",
        "_held_out",
        "_in_us",
        "_out_us",
        "automatic",
        "client",
        "consuming",
        "credit",
        "host",
        "node",
        "open",
        "process",
        "served",
        "tag",
        "timeline",
        "unacked",
    )

    def __init__(self, process: Process, client: Client, node: Peer, host: Host, *, heartbeat_us: int) -> None:
        self.timeline = process.timeline
        self.process = process
        self.client = client
        self.node = node
        self.host = host
        self._heartbeat_us = heartbeat_us
        #: Whether the client, and the node, think that it is there.
        self.open = True
        self.served = True
        self._blocked = False
        self._epoch = 0
        self._held_in: list[Call] = []
        self._held_out: list[Call] = []
        self._in_us = self._out_us = 0
        #: The channel: what was delivered and not settled, by tag; how many more may be; whether sending settles.
        self.tag = 0
        self.unacked: dict[int, Any] = {}
        self.credit = 0
        self.automatic = False
        self.consuming = False
        node.connections.append(self)
        self.path_changed()

    def to_node(self, call: Callable[..., None], *arguments: Any) -> None:
        """Send to the node: in order, and late where the path is cut."""
        if not self.open:
            return
        if self.node.cut_in:
            self._held_in.append((call, arguments))
            return
        timeline, node = self.timeline, self.node
        now_us = timeline.now_us
        near = node.near and self.process.near
        at_us = now_us + (LINK_US if near else self.process.transit_us(node, LINK_US))
        if at_us < self._in_us:  # noqa: PLR1730  # a call costs more, on every message
            at_us = self._in_us
        self._in_us = at_us
        timeline.later(node, at_us - now_us + node.slow_us, call, *arguments)

    def to_client(self, call: Callable[..., None], *arguments: Any) -> None:
        """Send to the client: in order, and late where the path is cut or the node stands still."""
        if not self.served:
            return
        if self.node.paused:
            self.timeline.later(self.node, 0, self.to_client, call, *arguments)
            return
        if self.node.cut_out:
            self._held_out.append((call, arguments))
            return
        timeline, process = self.timeline, self.process
        now_us = timeline.now_us
        near = process.near and self.node.near
        at_us = now_us + (LINK_US if near else self.node.transit_us(process, LINK_US))
        if at_us < self._out_us:  # noqa: PLR1730  # as above
            at_us = self._out_us
        self._out_us = at_us
        timeline.later(process, at_us - now_us + process.slow_us, call, *arguments)

    def close(self) -> None:
        """The client closes; the node hears of it where the path is open."""
        if self.open:
            self.open = False
            if self.served and not self._blocked:
                self.timeline.later(self.node, LINK_US, self._node_notices)

    def refuse(self) -> None:
        """The node closes; the client hears of it where the path is open."""
        if self.served:
            self._node_notices()
            self._tell_client()

    def client_died(self) -> None:
        """The client's process ended, and is no longer frozen if it was: its kernel says so, and sends nothing more."""
        if self.open:
            self.open = False
            self._held_in.clear()
            was_blocked = self._blocked
            self.path_changed()
            if self.served and not was_blocked:
                self.timeline.later(self.node, LINK_US, self._node_notices)

    def node_died(self) -> None:
        """The node's process ended: its kernel says so where the path is open."""
        if self.served:
            self._node_notices()
        self._tell_client()

    def _tell_client(self) -> None:
        if self.open and not self.node.cut_out and not self.node.cut_in:
            self.timeline.later(self.process, LINK_US, self._client_notices)

    def _node_notices(self) -> None:
        if self.served:
            self.served = False
            self._detach()
            self.host.connection_gone(self)

    def _client_notices(self) -> None:
        if self.open:
            self.open = False
            self.client.connection_lost(self)

    def _detach(self) -> None:
        if self in self.node.connections:
            self.node.connections.remove(self)

    def path_changed(self) -> None:
        """A fault came or went on the way, or one end stands still or goes on."""
        node, process = self.node, self.process
        blocked = bool(node.cut_in or node.cut_out or process.paused or node.paused)
        if blocked == self._blocked:
            return
        self._blocked = blocked
        self._epoch += 1
        if not blocked:
            self._path_open()
            return
        late_us = self.timeline.integer(0, 1) * self._heartbeat_us // 2
        silent_us = 2 * self._heartbeat_us + late_us
        timeline = self.timeline
        timeline.later(node, silent_us, self._node_gives_up, self._epoch)
        # The kernel of a frozen node still answers for it: only heartbeats tell.
        cut = node.cut_in or node.cut_out
        timeline.later(
            process, min(silent_us, CLIENT_TIMEOUT_US) if cut else silent_us, self._client_gives_up, self._epoch
        )

    def _path_open(self) -> None:
        if self.open and not self.served:
            self._tell_client()
        elif self.served and not self.open:
            self.timeline.later(self.node, LINK_US, self._node_notices)
        delay_us = RESEND_US * (1 + 5 * self.timeline.integer(0, 2)) if self._held_in or self._held_out else 0
        for call, arguments in self._held_in:
            self.timeline.later(self.node, delay_us, call, *arguments)
        for call, arguments in self._held_out:
            self.timeline.later(self.process, delay_us, call, *arguments)
        now_us = self.timeline.now_us
        self._in_us = max(self._in_us, now_us + delay_us)
        self._out_us = max(self._out_us, now_us + delay_us)
        self._held_in, self._held_out = [], []

    def _node_gives_up(self, epoch: int) -> None:
        if epoch == self._epoch and self.served:
            self.timeline.reached("the broker missed a client's heartbeats")
            self._node_notices()

    def _client_gives_up(self, epoch: int) -> None:
        if epoch == self._epoch and self.open:
            self.timeline.reached("a client missed the broker's heartbeats")
            self.open = False
            self.client.connection_lost(self)
