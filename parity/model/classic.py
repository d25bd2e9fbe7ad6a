"""Classic queues: one node has the messages, and a policy can have others mirror them.

Each history of the contents (a *lineage*) has a master. Where a partition makes nodes promote a mirror while the old
master lives, there are two, and both confirm; what becomes of them is the cluster's partition handling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.model.cluster import Cluster, Node, component
from parity.model.constants import FLUSH_US, LINK_US, RECONNECT_US, SLOW_WRITE_US, SYNC_US
from parity.model.network import Connection
from parity.model.queue import Lineage, Message, Settled, WorkQueue
from parity.model.settings import BrokerModel

_NOTHING_FROM = 1 << 60


class ClassicQueue(WorkQueue):
    """The queue, on the node where it was declared first."""

    def __init__(self, cluster: Cluster, settings: BrokerModel) -> None:
        super().__init__(cluster, settings)
        #: Those whose master's process lives, and the one that waits on its master's disk.
        self._lineages: list[Lineage] = []
        self._policy: dict[str, Any] = {}

    @property
    def leader(self) -> Node | None:
        """The master that most nodes see."""
        serving = self.lineages()
        if not serving:
            return None
        return max(serving, key=lambda each: (len(each.master.sees), -self._lineages.index(each))).master

    def declare(self, node: Node) -> bool:
        """Usable where its master is reached; a queue whose node is away can be neither used nor declared."""
        if not self.declared:
            self.declared = True
            self._lineages = [Lineage(node)]
            self._mirror()
        return self.lineage_of(node) is not None

    def delete(self) -> None:
        """Forget everything."""
        super().delete()
        for lineage in self._lineages:
            lineage.alive = False
        self._lineages = []
        self._waiting.clear()

    def lineages(self) -> list[Lineage]:
        """Those whose master serves."""
        return [lineage for lineage in self._lineages if lineage.master.serves]

    def lineage_of(self, node: Node) -> Lineage | None:
        """The lineage whose master the node sees and reaches."""
        for lineage in self._lineages:
            master = lineage.master
            if master is node:
                return lineage if node.serves else None
            if master in node.sees and self.cluster.linked(node, master):
                return lineage
        return None

    def set_policy(self, definition: dict[str, Any]) -> None:
        """Mirror, or stop to."""
        if not self._settled_views():
            # A policy is a transaction over all nodes that are seen: it waits until a silent one answers or is gone.
            self.timeline.reached("a policy waited for a silent node")
            self.timeline.after(RECONNECT_US, self.set_policy, definition)
            return
        self._policy = dict(definition)
        self._mirror()

    def _settled_views(self) -> bool:
        nodes = self.cluster.nodes
        return all(self.cluster.linked(node, other) for node in nodes if node.serves for other in node.sees)

    @property
    def _mirrored(self) -> bool:
        return bool(self._policy.get("ha-mode"))

    def _mirror(self) -> None:
        """Every node that a master sees becomes its mirror: empty, until it is synchronised."""
        if not self._mirrored:
            return
        for lineage in self._lineages:
            for node in lineage.master.sees:
                if node not in lineage.copies and self.cluster.linked(lineage.master, node):
                    lineage.copies[node] = self._sequence + 1 if lineage.ready else 0
                    if lineage.copies[node] and self._policy.get("ha-sync-mode") == "automatic":
                        self.timeline.after(SYNC_US, self._synchronise, lineage, node)

    def _synchronise(self, lineage: Lineage, node: Node) -> None:
        if lineage.alive and node in lineage.copies and self.cluster.linked(node, lineage.master):
            lineage.copies[node] = 0

    # Publishing.

    def publish(self, connection: Connection, message: Message, settled: Settled) -> None:
        """Take a message in where the master is reached; where it is known to be away it goes nowhere."""
        node: Any = connection.node
        lineage = self.lineage_of(node)
        if lineage is None:
            if self.later(connection, self.publish, connection, message, settled):
                return
            self.timeline.reached("a publish met a queue whose node is away")
            settled("return")
            return
        self.enqueue(lineage, message)
        if lineage.master.echoes_until_us > self.timeline.now_us:
            self._echo(lineage, message)
        slow = self.timeline.rarely("a flush is slow")
        delay_us = (FLUSH_US if message.persistent else LINK_US) + (SLOW_WRITE_US if slow else 0)
        self.timeline.after(delay_us, self._flush, lineage, message, settled)

    def _echo(self, lineage: Lineage, message: Message) -> None:
        """What reaches a master as it wakes, the mirrors that it had are sent too: one of them leads by now."""
        for other in self.lineages():
            if other is not lineage and self.cluster.linked(lineage.master, other.master):
                self.timeline.reached("both masters of one queue took a message in")
                self.enqueue(other, message.copy(redelivered=False))

    def _flush(self, lineage: Lineage, message: Message, settled: Settled) -> None:
        if not lineage.alive:
            return
        if not lineage.master.serves:
            # Its node ended before; who still knows of it was decided then.
            lineage.unconfirmed.append((message, settled))
            return
        message.flushed = True
        if all(self.cluster.linked(lineage.master, node) for node in lineage.copies):
            settled("ack")
        else:
            lineage.unconfirmed.append((message, settled))

    def later(self, connection: Connection, call: Callable[..., None], *arguments: Any) -> bool:
        """Whether the master fell silent and is not given up: what is sent to it waits."""
        node: Any = connection.node
        if not connection.served or self.lineage_of(node) is not None:
            return False
        if not any(lineage.master in node.sees for lineage in self._lineages):
            return False
        self._waiting.append((connection, call, arguments))
        return True

    # Nodes that come and go.

    def node_lost(self, node: Node, *, graceful: bool) -> None:
        """Mirrors on the node are gone; a lineage it was master of is on its disk, or promoted elsewhere."""
        for lineage in list(self._lineages):
            lineage.copies.pop(node, None)
            if lineage.master is node:
                self._master_lost(lineage, graceful=graceful)

    def _master_lost(self, lineage: Lineage, *, graceful: bool) -> None:
        others = [each for each in self._lineages if each is not lineage]
        serving = [each for each in others if each.master.serves]
        heir = None
        if not serving:
            heir = self._heir(lineage, [node for node in lineage.copies if node.serves], graceful=graceful)
        if heir is not None:
            self._lineages = [*others, self._promoted(lineage, heir)]
            lineage.alive = False
            self._forget_deliveries(lineage, self.cluster.nodes)
            return
        # On its disk: what is there when it comes back, and serves unless another master does by then.
        everything = self._everything(lineage)
        lineage.alive = False
        kept = Lineage(lineage.master)
        for message, delivered in everything:
            if self.settings.durable and message.persistent and (message.flushed or graceful or self._was_written()):
                kept.ready.append(message.copy(redelivered=delivered))
            else:
                self.timeline.reached("a restart emptied what was not on disk")
        self._lineages = [*others, kept] if self.settings.durable else others
        self.declared = bool(self._lineages)
        self._forget_deliveries(lineage, self.cluster.nodes)
        if serving:
            return
        for connection in list(self.consumers):
            # The broker cancels consumers of a queue that is away, and clients take that for a lost connection.
            self.timeline.after(0, connection.refuse)

    def _was_written(self) -> bool:
        return self.timeline.integer(0, 3) == 3

    def _forget_deliveries(self, lineage: Lineage, nodes: list[Node]) -> None:
        """What was delivered from a history that is gone can be settled no more."""
        for node in nodes:
            for connection in node.connections:
                gone = [tag for tag, (_, home) in connection.unacked.items() if home is lineage]
                connection.credit += len(gone)
                for tag in gone:
                    del connection.unacked[tag]

    def _heir(self, lineage: Lineage, nodes: list[Node], *, graceful: bool) -> Node | None:
        """Which mirror is promoted: a synchronised one, or any where the policy does not mind."""
        if not nodes:
            return None
        best = min(nodes, key=lambda node: (lineage.copies[node], node.index))
        oldest = min((message.sequence for message, _ in self._everything(lineage)), default=_NOTHING_FROM)
        if lineage.copies[best] <= oldest:
            return best
        if graceful or self._policy.get("ha-promote-on-failure", "always") == "when-synced":
            self.timeline.reached("no mirror was synchronised enough to be promoted")
            return None
        self.timeline.reached("a mirror was promoted that was not synchronised")
        return best

    def _promoted(self, lineage: Lineage, heir: Node) -> Lineage:
        """What a mirror has becomes a history of its own; all that was delivered comes again."""
        promoted = Lineage(heir)
        since = lineage.copies[heir]
        for message, delivered in self._everything(lineage):
            if message.sequence >= since:
                promoted.ready.append(message.copy(redelivered=delivered))
        promoted.copies = {node: first for node, first in lineage.copies.items() if node in heir.sees}
        by_job = {message.job: message for message in promoted.ready}
        for message, settled in lineage.unconfirmed:
            if message.job in by_job:
                promoted.unconfirmed.append((by_job[message.job], settled))
        for message in promoted.ready:
            message.flushed = True
        return promoted

    def _everything(self, lineage: Lineage) -> list[tuple[Message, bool]]:
        """All messages of a lineage in their order, with whether they are delivered."""
        held = [
            (message, True)
            for node in self.cluster.nodes
            for connection in node.connections
            for message, home in connection.unacked.values()
            if home is lineage
        ]
        return sorted([*held, *((message, False) for message in lineage.ready)], key=lambda item: item[0].sequence)

    def parted(self, node: Node, gone: Node) -> None:
        """What consumers beyond a lost node held comes back, though they may not know."""
        for lineage in self._lineages:
            if lineage.master is node:
                held = [
                    item
                    for connection in gone.connections
                    for item in connection.unacked.values()
                    if item[1] is lineage
                ]
                self._forget_deliveries(lineage, [gone])
                self._give_back(held)

    def node_joined(self, node: Node) -> None:
        """It serves what is on its disk, or mirrors what others lead: where they do by now, its own is thrown away."""
        others = [each for each in self.lineages() if each.master is not node]
        for lineage in [each for each in self._lineages if each.master is node and others]:
            self.timeline.reached("one side of a partition was thrown away")
            lineage.alive = False
            self._lineages.remove(lineage)
        self._mirror()
        self.forget_consumers()
        self.pump_all()

    def changed(self) -> None:
        """Masters drop mirrors they gave up, mirrors promote one of theirs, and what waited goes on."""
        for lineage in list(self._lineages):
            master = lineage.master
            # A master that stands still gives nobody up, and is given up all the same.
            for node in [
                n
                for n in lineage.copies
                if (n not in master.sees and master.serves) or (master not in n.sees and n.serves)
            ]:
                self._part(lineage, node)
        self._mirror()
        for lineage in self._lineages:
            lineage.consumers = None
            self._confirm_waiting(lineage)
        self.resume()

    def _part(self, lineage: Lineage, node: Node) -> None:
        """A master and a mirror gave each other up: the mirror's side promotes one of its own."""
        if node not in lineage.copies:
            # It went along with another mirror of its side.
            return
        if node.serves and lineage.master not in node.sees and self.lineage_of(node) is None:
            side = [other for other in component(self.cluster, node) if other in lineage.copies]
            heir = self._heir(lineage, side, graceful=False)
            if heir is not None:
                self.timeline.reached("two masters of one queue")
                self._lineages.append(self._promoted(lineage, heir))
                self._forget_deliveries(lineage, side)
                for other in side:
                    lineage.copies.pop(other, None)
        lineage.copies.pop(node, None)

    def _confirm_waiting(self, lineage: Lineage) -> None:
        linked = all(self.cluster.linked(lineage.master, node) for node in lineage.copies)
        if not (lineage.master.serves and linked and lineage.unconfirmed):
            return
        unconfirmed, lineage.unconfirmed = lineage.unconfirmed, []
        for message, settled in unconfirmed:
            message.flushed = True
            settled("ack")

    def contents(self) -> list[Message]:
        """What the history that serves has; another's is nowhere to be found."""
        serving = self.lineages()
        return [message for message, _ in self._everything(serving[0])] if serving else []

    def whole(self) -> bool:
        """One master that serves, and where mirrored a mirror on every other node."""
        if not self.declared:
            return True
        if len(self._lineages) != 1 or not self._lineages[0].master.serves:
            return False
        return not self._mirrored or len(self._lineages[0].copies) == len(self.cluster.nodes) - 1
