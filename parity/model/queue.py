"""What every kind of work queue does: messages wait, are delivered to consumers in turn, are settled or come back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from parity.model.cluster import Cluster, Node
from parity.model.network import Connection
from parity.model.settings import BrokerModel

#: Told what became of a publish: `ack`, `nack` or `return`. A confirm that never comes is never told.
Settled = Callable[[str], None]


class Message:
    """One job's message in one history of the queue."""

    __slots__ = ("flushed", "job", "kind", "persistent", "redelivered", "returns", "sequence")

    def __init__(self, job: int, kind: str, *, persistent: bool) -> None:
        self.job = job
        self.kind = kind
        self.persistent = persistent
        #: Its place in the queue's order of arrival.
        self.sequence = 0
        #: Whether it came back before; a classic queue flags what was only fetched ahead, too.
        self.redelivered = False
        #: How often it came back, as a quorum queue counts.
        self.returns = 0
        #: Whether it is on disk.
        self.flushed = False

    def copy(self, *, redelivered: bool) -> Message:
        """The same message in another history of the queue."""
        other = Message(self.job, self.kind, persistent=self.persistent)
        other.sequence = self.sequence
        other.redelivered = self.redelivered or redelivered
        other.returns = self.returns
        other.flushed = self.flushed
        return other


class Lineage:
    """One history of the queue's contents: there is one, unless a partition made two of a mirrored queue.

    Args:
        master: The node that leads it.
    """

    __slots__ = ("alive", "consumers", "copies", "master", "ready", "turn", "unconfirmed")

    def __init__(self, master: Node) -> None:
        self.master = master
        self.ready: deque[Message] = deque()
        #: False once its contents were thrown away.
        self.alive = True
        self.turn = 0
        #: Those that it delivers to; None where that has to be found out anew.
        self.consumers: list[Connection] | None = None
        #: The mirrors: from which place in the order of arrival on each has every message.
        self.copies: dict[Node, int] = {}
        #: Publishes that some mirror has not answered for.
        self.unconfirmed: list[tuple[Message, Settled]] = []


class WorkQueue(ABC):
    """The queue that jobs wait in, and the dead-letter queue behind it.

    Args:
        cluster: The nodes.
        settings: The queue's arguments.
    """

    def __init__(self, cluster: Cluster, settings: BrokerModel) -> None:
        self.cluster = cluster
        self.settings = settings
        self.timeline = cluster.timeline
        self.consumers: list[Connection] = []
        self.dead: list[Message] = []
        self.declared = False
        self._sequence = 0
        #: What waits, with the channel that sent it, for somebody who can do it.
        self._waiting: list[tuple[Connection, Callable[..., None], tuple[Any, ...]]] = []

    # What each kind does in its own way.

    @abstractmethod
    def declare(self, node: Node) -> bool:
        """Declare the queue through a node; whether it can be used there."""

    @abstractmethod
    def lineage_of(self, node: Node) -> Lineage | None:
        """The history that a node's clients reach, where one serves."""

    @abstractmethod
    def publish(self, connection: Connection, message: Message, settled: Settled) -> None:
        """Take a message in."""

    @abstractmethod
    def later(self, connection: Connection, call: Callable[..., None], *arguments: Any) -> bool:
        """Keep something for when a leader can do it; false where that is now."""

    @abstractmethod
    def contents(self) -> list[Message]:
        """Every message in the queue, delivered or not, as a census reads it."""

    @abstractmethod
    def whole(self) -> bool:
        """Whether the queue has its leader and all its members."""

    @abstractmethod
    def node_lost(self, node: Node, *, graceful: bool) -> None:
        """A node's application ended."""

    @abstractmethod
    def node_joined(self, node: Node) -> None:
        """A node serves again."""

    @abstractmethod
    def parted(self, node: Node, gone: Node) -> None:
        """A node gave another one up."""

    @abstractmethod
    def changed(self) -> None:
        """Links or views changed."""

    @property
    @abstractmethod
    def leader(self) -> Node | None:
        """The node that leads, as the broker names it."""

    @abstractmethod
    def set_policy(self, definition: dict[str, Any]) -> None:
        """Lay a policy on the queue."""

    # Consumers.

    def subscribe(self, connection: Connection, *, prefetch: int, automatic: bool) -> None:
        """Begin to deliver on a connection."""
        connection.automatic = automatic
        connection.credit = prefetch if prefetch and not automatic else 1 << 30
        connection.consuming = True
        self.consumers.append(connection)
        self.forget_consumers()
        self.pump_all()

    def forget_consumers(self) -> None:
        """Consumers, links or leaders are not what they were: who is delivered to has to be found out anew."""
        for lineage in self.lineages():
            lineage.consumers = None

    def connection_gone(self, connection: Connection) -> None:
        """What was delivered on a connection that is gone comes back, in its order."""
        self._take_from_consumers(connection)
        held = list(connection.unacked.values())
        connection.unacked.clear()
        if held and not self.later(connection, self._give_back, held):
            self._give_back(held)
        self._delete_unused()

    def cancel(self, connection: Connection) -> None:
        """Deliver nothing more on a connection; what was delivered stays its own."""
        if connection.consuming:
            self._take_from_consumers(connection)
            self._delete_unused()

    def _take_from_consumers(self, connection: Connection) -> None:
        if connection.consuming:
            connection.consuming = False
            if connection in self.consumers:
                self.consumers.remove(connection)
                self.forget_consumers()

    def _delete_unused(self) -> None:
        if not self.consumers and self.settings.auto_delete and self.declared:
            self.timeline.reached("the queue was deleted with its last consumer")
            self.delete()

    def delete(self) -> None:
        """Delete the queue with everything in it."""
        self.declared = False

    def _give_back(self, held: list[tuple[Message, Lineage]]) -> None:
        for message, lineage in reversed(held):
            self._return(message, lineage)
        self.pump_all()

    def settle(self, connection: Connection, tag: int, how: str, *, multiple: bool = False) -> None:
        """Take an acknowledgement (`ack`), a `requeue` or a `reject`.

        Args:
            connection: The channel it came on.
            tag: The delivery's tag on that channel; one that is not known there means nothing.
            how: What the worker said.
            multiple: Whether all deliveries up to the tag are meant; tag 0 means all of them.
        """
        if not connection.served:
            return
        tags = [tag]
        if multiple:
            tags = [known for known in connection.unacked if tag == 0 or known <= tag]
        settled = [connection.unacked.pop(known) for known in tags if known in connection.unacked]
        if not settled:
            return
        connection.credit += len(settled)
        if not self.later(connection, self._settled, settled, how):
            self._settled(settled, how)

    def resume(self) -> None:
        """Do what waited, as far as it can be done now; what comes back needs no channel any more."""
        waiting, self._waiting = self._waiting, []
        for connection, call, arguments in waiting:
            due = connection.served or call in (self._give_back, self._settled)
            if due and not self.later(connection, call, *arguments):
                call(*arguments)
        self.pump_all()

    def _settled(self, settled: list[tuple[Message, Lineage]], how: str) -> None:
        if how != "ack":
            for message, lineage in reversed(settled):
                if how == "requeue":
                    self._return(message, lineage)
                elif lineage.alive:
                    self.give_up(message)
        self.pump_all()

    def _return(self, message: Message, lineage: Lineage) -> None:
        """Put a delivered message back, unless it came back too often."""
        if not lineage.alive:
            return
        message.redelivered = True
        message.returns += 1
        limit = self.settings.delivery_limit if self.counts_returns else None
        if limit is not None and message.returns > limit:
            self.timeline.reached("a message exceeded its delivery limit")
            self.give_up(message)
        elif self.requeues_at_the_head:
            lineage.ready.appendleft(message)
        else:
            lineage.ready.append(message)

    #: Whether there is a delivery limit at all, and where returned messages go.
    counts_returns = False
    requeues_at_the_head = True

    def give_up(self, message: Message) -> None:
        """Dead-letter a message, or drop it where nobody wants it."""
        if self.settings.dead_letter:
            self.dead.append(message)
        else:
            self.timeline.reached("a message was dropped for want of a dead-letter queue")

    def enqueue(self, lineage: Lineage, message: Message) -> None:
        """Append a message, and deliver what can be."""
        self._sequence += 1
        message.sequence = self._sequence
        lineage.ready.append(message)
        if self.settings.max_length is not None and len(lineage.ready) > self.settings.max_length:
            self.timeline.reached("a full queue dropped its head")
            self.give_up(lineage.ready.popleft())
        if self.settings.message_ttl is not None:
            self.timeline.after(round(self.settings.message_ttl * 1e6), self._expire, lineage, message)
        self.pump(lineage)

    def _expire(self, lineage: Lineage, message: Message) -> None:
        if message in lineage.ready:
            self.timeline.reached("a message expired")
            lineage.ready.remove(message)
            self.give_up(message)

    # Deliveries.

    def pump_all(self) -> None:
        """Deliver whatever can be delivered."""
        for lineage in self.lineages():
            self.pump(lineage)

    @abstractmethod
    def lineages(self) -> list[Lineage]:
        """The queue's histories that serve now."""

    def pump(self, lineage: Lineage) -> None:
        """Deliver from one history, to its consumers in turn."""
        ready = lineage.ready
        if not ready or not self.consumers:
            return
        consumers = lineage.consumers
        if consumers is None:
            consumers = [each for each in self.consumers if self.lineage_of(each.node) is lineage]  # type: ignore[arg-type]
            lineage.consumers = consumers
        count = len(consumers)
        while ready and count:
            for _ in range(count):
                lineage.turn = turn = (lineage.turn + 1) % count
                if consumers[turn].credit > 0:
                    self._deliver(consumers[turn], ready.popleft(), lineage)
                    break
            else:
                return

    def _deliver(self, connection: Connection, message: Message, lineage: Lineage) -> None:
        connection.tag = tag = connection.tag + 1
        if not connection.automatic:
            connection.unacked[tag] = (message, lineage)
            connection.credit -= 1
            self._watch_timeout(connection, tag)
        redelivered = message.returns > 0 if self.counts_returns else message.redelivered
        connection.to_client(connection.client.delivered, connection, tag, message, redelivered)

    def _watch_timeout(self, connection: Connection, tag: int) -> None:
        timeout_s = self.settings.consumer_timeout
        # A run is over long before the default of half an hour.
        if timeout_s is not None and timeout_s < 600:
            self.timeline.after(round(timeout_s * 1e6), self._time_out, connection, tag)

    def _time_out(self, connection: Connection, tag: int) -> None:
        if tag in connection.unacked:
            self.timeline.reached("an acknowledgement was later than consumer_timeout")
            connection.refuse()
