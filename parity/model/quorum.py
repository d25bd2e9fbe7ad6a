"""A quorum queue: whatever a majority of its members has is kept, and nothing else is confirmed.

The log is not modelled entry by entry. An operation is committed after one time, if the leader then still reaches a
majority; else it waits with the channel that sent it, as RabbitMQ's channels do, and goes to the next leader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.model.cluster import Cluster, Node
from parity.model.constants import COMMIT_US, ELECTION_SILENT_US, ELECTION_US, SLOW_WRITE_US
from parity.model.network import Connection
from parity.model.queue import Lineage, Message, Settled, WorkQueue
from parity.model.settings import BrokerModel


class QuorumQueue(WorkQueue):
    """The queue, with a member on every node."""

    def __init__(self, cluster: Cluster, settings: BrokerModel) -> None:
        super().__init__(cluster, settings)
        self.counts_returns = True
        # Real: 3.10 puts returned messages at the back where there is no delivery limit. Source: measured.
        self.requeues_at_the_head = settings.delivery_limit is not None
        self._leader: Node | None = None
        self._lineage: Lineage | None = None
        #: Raised by every change of leader.
        self._term = 0
        #: When an election is due, and which of those that were planned it is.
        self._due_us: int | None = None
        self._attempt = 0
        self._serves = False
        #: What a leader without a majority wrote into its own log, and its term.
        self._written: dict[Message, int] = {}
        #: Terms whose leader stopped in good order, and had nobody to hand over to.
        self._stopped: set[int] = set()

    @property
    def leader(self) -> Node | None:
        """The leader, while it can lead."""
        return self._leader if self._serves else None

    def set_policy(self, definition: dict[str, Any]) -> None:
        """Mirroring means nothing to a quorum queue."""

    def declare(self, node: Node) -> bool:
        """The first declaration elects a leader where it was made."""
        if not self.declared:
            self.declared = True
            self._leader = node
            self._lineage = Lineage(node)
            self._term += 1
            self.changed()
        return True

    def delete(self) -> None:
        """Forget everything."""
        super().delete()
        self._term += 1
        if self._lineage is not None:
            self._lineage.alive = False
        self._lineage = self._leader = None
        self._serves = False
        self._waiting.clear()
        self._written.clear()

    def lineages(self) -> list[Lineage]:
        """The one history, while it has a leader with a majority."""
        return [self._lineage] if self._serves and self._lineage is not None else []

    def lineage_of(self, node: Node) -> Lineage | None:
        """The one history, where the node reaches the leader."""
        if self._serves and self._leader is not None and self.cluster.linked(node, self._leader):
            return self._lineage
        return None

    def publish(self, connection: Connection, message: Message, settled: Settled) -> None:
        """Commit a message, or keep it with its channel until somebody can."""
        if not self.declared:
            settled("return")
            return
        if self._leader is None:
            self.timeline.reached("a publish met a queue without a leader")
            if self.timeline.integer(0, 2) < 2:
                settled("nack")
                return
        if not self.later(connection, self.publish, connection, message, settled):
            slow = self.timeline.rarely("a commit is slow")
            delay_us = COMMIT_US + (SLOW_WRITE_US if slow else 0)
            self.timeline.after(delay_us, self._commit, self._term, connection, message, settled)

    def _commit(self, term: int, connection: Connection, message: Message, settled: Settled) -> None:
        if term == self._term and self._serves:
            assert self._lineage is not None
            self.enqueue(self._lineage, message)
            settled("ack")
        elif connection.served:
            # The channel lives on another node than the leader did, and sends it again.
            self.publish(connection, message, settled)
        elif self.declared and self._lineage is not None and self.timeline.integer(0, 3) == 3:
            # A majority had it when the leader ended; nobody is left to be told.
            self.timeline.reached("a message was stored whose confirm never came")
            self._lineage.ready.append(message)

    def later(self, connection: Connection, call: Callable[..., None], *arguments: Any) -> bool:
        """Whether an operation must wait for a leader that its channel reaches."""
        if self._serves:
            assert self._leader is not None
            node: Any = connection.node
            if not connection.served or self.cluster.linked(node, self._leader):
                return False
        self._waiting.append((connection, call, arguments))
        if call == self.publish and connection.served and connection.node is self._leader:
            self._written[arguments[1]] = self._term
        return True

    def resume(self) -> None:
        """Commit what the leader's log has of channels that are gone, then do what waited."""
        written, self._written = self._written, {}
        if written and self._serves:
            assert self._lineage is not None
            calls = ((channel, arguments[1]) for channel, call, arguments in self._waiting if call == self.publish)
            gone = [message for channel, message in calls if not channel.served and message in written]
            for term in sorted({written[message] for message in gone}):
                if self._survives(term):
                    self.timeline.reached("a leader kept what its channel was never told of")
                    for message in gone:
                        if written[message] == term:
                            self.enqueue(self._lineage, message)
        super().resume()

    def _survives(self, term: int) -> bool:
        """Whether what only a term's leader had is committed now.

        Real: it is where that leader goes on; another one overwrites it, but one that was asked to stop goes on for
        seconds, and was reached again in 4 of 4 runs before another was elected. Ours: by chance then. Source: runs on
        containers with `isolate: queue leader` for 0.5 s and a restart.
        """
        return term == self._term or (term in self._stopped and self.timeline.integer(0, 1) == 0)

    def contents(self) -> list[Message]:
        """All that is committed and not settled; what workers held has come back by then."""
        return list(self._lineage.ready) if self._lineage is not None else []

    def whole(self) -> bool:
        """A leader, and every member with it."""
        if not self.declared:
            return True
        return self._serves and all(self._leader and self.cluster.linked(self._leader, n) for n in self.cluster.nodes)

    def node_lost(self, node: Node, *, graceful: bool) -> None:
        """A leader that stops in good order hands over to one it reaches; else an election follows."""
        if node is not self._leader:
            return
        if graceful:
            others = (other for other in self.cluster.nodes if other is not node)
            heirs = [one for one in others if self.cluster.path_open(node, one) and self._could_lead(one, gone=node)]
            if heirs:
                self._lead(heirs[self.timeline.integer(0, len(heirs) - 1)])
            else:
                self._stopped.add(self._term)

    def node_joined(self, node: Node) -> None:
        """Members catch up by themselves."""

    def parted(self, node: Node, gone: Node) -> None:
        """What consumers beyond a lost node held comes back, though they may not know."""
        if node is self._leader and self._serves:
            for connection in gone.connections:
                held = list(connection.unacked.values())
                connection.credit += len(held)
                connection.unacked.clear()
                if held:
                    self.timeline.reached("jobs came back from consumers on a node that was given up")
                    self._give_back(held)

    def _could_lead(self, node: Node, *, gone: Node | None = None) -> bool:
        if not node.serves:
            return False
        with_it = sum(self.cluster.linked(node, other) for other in self.cluster.nodes if other is not gone)
        return with_it >= self.cluster.majority

    def changed(self) -> None:
        """See whether the leader still leads; where not, an election is due."""
        if not self.declared:
            return
        if self._lineage is not None:
            self._lineage.consumers = None
        leads = self._leader is not None and self._could_lead(self._leader)
        if leads:
            self._due_us = None
            if not self._serves or self._waiting:
                self._serves = True
                self.resume()
            else:
                self.pump_all()
            return
        ended = self._leader is None or not self._leader.up or self._leader.state != "running"
        if ended:
            self._leader = None
        self._serves = False
        base_us = ELECTION_US if ended else ELECTION_SILENT_US
        at_us = self.timeline.now_us + base_us
        if self._due_us is None or at_us < self._due_us:
            # Within a second election of the same cause nothing is drawn anew: at_us only grows.
            delay_us = base_us + self.timeline.integer(0, 2) * base_us // 3
            self._due_us = self.timeline.now_us + delay_us
            self._attempt += 1
            self.timeline.after(delay_us, self._elect, self._attempt)

    def _elect(self, attempt: int) -> None:
        if attempt != self._attempt or self._due_us is None:
            return
        self._due_us = None
        candidates = [node for node in self.cluster.nodes if node is not self._leader and self._could_lead(node)]
        if candidates:
            self.timeline.reached("a quorum queue elected another leader")
            self._lead(candidates[self.timeline.integer(0, len(candidates) - 1)])

    def _lead(self, node: Node) -> None:
        self._leader = node
        self._term += 1
        self._due_us = None
        if self._lineage is not None:
            self._lineage.master = node
        self._serves = True
        if self._lineage is not None:
            self._lineage.consumers = None
        self.resume()
