"""Connecting: one node after the other, until one answers and the queue can be declared there."""

from __future__ import annotations

from typing import Any

from parity.model.cluster import Cluster, Node
from parity.model.constants import BACKOFF_MAX_US, BACKOFF_US, CONNECT_CUT_US, CONNECT_FROZEN_US, CONNECT_US, LINK_US
from parity.model.network import Connection


class Dialler:
    """Keeps a client connected.

    Args:
        caller: The client.
        cluster: The nodes.
        first: Which of them to try first; the others follow in order.
        heartbeat_us: Asked of the broker.
    """

    def __init__(self, caller: Any, cluster: Cluster, *, first: int, heartbeat_us: int) -> None:
        self._caller = caller
        self._cluster = cluster
        self._heartbeat_us = heartbeat_us
        self._next = first
        self._failures = 0
        self._closed = False
        #: The connection, once the queue is declared on it.
        self.connection: Connection | None = None

    def dial(self) -> None:
        """Try the next node."""
        nodes = self._cluster.nodes
        node = nodes[self._next % len(nodes)]
        self._next += 1
        if not node.up or (node.state != "running" and not node.paused):
            self._caller.after(LINK_US, self._failed)
        elif node.cut_in or node.cut_out:
            self._caller.after(CONNECT_CUT_US, self._failed)
        elif node.paused:
            self._caller.after(CONNECT_FROZEN_US, self._failed)
        else:
            delay_us = self._caller.transit_us(node, CONNECT_US)
            self._caller.after(delay_us + node.slow_us, self._open, node)

    def _open(self, node: Node) -> None:
        queue: Any = self._cluster.residents
        if not node.serves or node.cut_in or node.cut_out or not queue.declare(node):
            self._failed()
            return
        self._failures = 0
        self.connection = Connection(self._caller, self._caller, node, queue, heartbeat_us=self._heartbeat_us)
        self._caller.connection_ready(self.connection)

    def _failed(self) -> None:
        delay_us = min(BACKOFF_MAX_US, BACKOFF_US << min(self._failures, 10)) if self._failures else 0
        self._failures += 1
        self._caller.after(delay_us, self.dial)

    def lost(self, connection: Connection, *, again: bool = True) -> bool:
        """Take note that a connection is gone, and dial again; false where it was given up before."""
        if connection is not self.connection:
            return False
        self.connection = None
        connection.close()
        if again:
            self._failed()
        return True

    def drop(self) -> None:
        """The client's process ends."""
        if self.connection is not None:
            self.connection.client_died()
            self.connection = None
