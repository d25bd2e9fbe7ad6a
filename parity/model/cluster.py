"""The broker's cluster: nodes that die, stand still and lose sight of one another, and what they make of it.

A node *serves* while its process runs and its application is started. Two nodes are *linked* while both serve and no
packet between them is dropped. Each node *sees* some of the others; that follows the links, late.
"""

from __future__ import annotations

from typing import Literal, Protocol

from parity.model.constants import (
    AUTOHEAL_US,
    BOOT_US,
    ECHO_US,
    LINK_US,
    NODE_STOP_US,
    RECONNECT_US,
    RESUME_US,
    TICK_SHARES,
    WAKE_US,
)
from parity.model.network import Peer
from parity.model.settings import BrokerModel
from parity.model.timeline import Timeline, Watcher

NodeState = Literal["running", "down", "booting", "waiting"]


class Residents(Protocol):
    """What lives on the nodes: the queue."""

    def node_lost(self, node: Node, *, graceful: bool) -> None:
        """A node's application ended."""

    def node_joined(self, node: Node) -> None:
        """A node serves again, and sees others."""

    def parted(self, node: Node, gone: Node) -> None:
        """A node gave another one up."""

    def changed(self) -> None:
        """Links or views are not what they were."""


class Node(Peer):
    """One node.

    Args:
        timeline: Time and chance.
        name: Its service.
        index: Its place in the cluster.
    """

    def __init__(self, timeline: Timeline, name: str, index: int) -> None:
        super().__init__(timeline, name)
        self.index = index
        self.state: NodeState = "running"
        self.up = True
        #: The nodes it believes to be in the cluster.
        self.sees: set[Node] = set()
        #: Alarms that were raised on it.
        self.alarms = 0
        #: Until when what reaches it reaches those that gave it up as well: it has just woken.
        self.echoes_until_us = 0

    def __repr__(self) -> str:
        return self.name

    @property
    def serves(self) -> bool:
        """Whether the process runs and the application is started."""
        return self.state == "running" and not self.paused


class Cluster:
    """All nodes.

    Args:
        timeline: Time and chance.
        names: The nodes' services.
        settings: How partitions are handled.
        watcher: Told of node states.
    """

    def __init__(self, timeline: Timeline, names: list[str], settings: BrokerModel, watcher: Watcher) -> None:
        self.timeline = timeline
        self.nodes = [Node(timeline, name, index) for index, name in enumerate(names)]
        for node in self.nodes:
            node.sees = {other for other in self.nodes if other is not node}
        self.majority = len(self.nodes) // 2 + 1
        self.residents: Residents | None = None
        self._handling = settings.partition_handling
        self._tick_us = round(settings.net_ticktime * 1e6)
        self._watcher = watcher
        self._cuts: dict[tuple[Node, Node], int] = {}
        self._epochs: dict[frozenset[Node], int] = {}
        self._healing = False
        #: How many alarms are raised on all nodes.
        self.alarms = 0
        #: Whether every node serves and no packet is dropped: nearly always, and quick to know.
        self.calm = True

    def _look(self) -> None:
        self.calm = all(node.serves for node in self.nodes) and not any(self._cuts.values())

    @property
    def _residents(self) -> Residents:
        assert self.residents is not None, "the queue is put on the cluster before anything happens"
        return self.residents

    def path_open(self, one: Node, other: Node) -> bool:
        """Whether no fault drops packets between two nodes."""
        return not self._cuts or not (self._cuts.get((one, other)) or self._cuts.get((other, one)))

    def linked(self, one: Node, other: Node) -> bool:
        """Whether two nodes serve and reach each other."""
        if self.calm:
            return True
        if one is other:
            return one.serves
        return one.serves and other.serves and self.path_open(one, other)

    def whole(self) -> bool:
        """Whether every node serves and sees every other."""
        return all(node.serves and len(node.sees) == len(self.nodes) - 1 for node in self.nodes)

    def describe(self) -> str:
        """What is not as it should be."""
        wrong = [f"{node.name} {'paused' if node.paused else node.state}" for node in self.nodes if not node.serves]
        parted = [node.name for node in self.nodes if node.serves and len(node.sees) < len(self.nodes) - 1]
        return ", ".join([*wrong, *([f"{' and '.join(parted)} parted"] if parted else [])])

    def changed(self) -> None:
        """Tell the queue."""
        self._residents.changed()

    # Faults.

    def cut(self, source: Node, target: Node, *, count: int = 1) -> None:
        """Drop packets from one node to another; a negative count takes that back."""
        self._cuts[source, target] = self._cuts.get((source, target), 0) + count
        self._look()
        self._link_changed(source, target)
        self.changed()

    def kill(self, node: Node) -> None:
        """SIGKILL."""
        if node.state == "down":
            return
        node.die()
        self._leave(node, "down", graceful=False)

    def stop(self, node: Node) -> int:
        """SIGTERM: the application says goodbye first. Returns how long it takes, in microseconds."""
        if node.state == "down":
            return 0
        node.thaw()
        self._leave(node, "down", graceful=True)
        node.die()
        return NODE_STOP_US

    def start(self, node: Node) -> None:
        """Start a node's process."""
        if node.state != "down":
            return
        node.begin()
        node.sees = set()
        self._set_state(node, "booting")
        node.after(BOOT_US + self.timeline.integer(0, 4) * 1_000_000, self._boot, node)

    def freeze(self, node: Node) -> None:
        """Stand a node still."""
        if node.running:
            node.freeze()
            self._look()
            self._watcher.node(node.name, "paused")
            self._paths_changed(node)

    def thaw(self, node: Node) -> None:
        """Let it go on. What it missed it learns late: until then it acts on what it saw before."""
        if not node.paused:
            return
        node.thaw()
        self._look()
        self._watcher.node(node.name, "running" if node.state == "running" else "down")
        gave_up = [other for other in node.sees if node not in other.sees]
        node.sees.difference_update(gave_up)
        if gave_up and node.state == "running":
            self.timeline.reached("a node woke after the others gave it up")
            node.echoes_until_us = self.timeline.now_us + ECHO_US * (1 - self.timeline.integer(0, 1))
            delay_us = WAKE_US * self.timeline.integer(0, 2)
            if delay_us:
                node.after(delay_us, self._views_changed, node)
            else:
                self._views_changed(node)
        self._paths_changed(node)

    def _paths_changed(self, node: Node) -> None:
        for connection in list(node.connections):
            connection.path_changed()
        for other in self.nodes:
            if other is not node:
                self._link_changed(node, other)
        self.changed()

    # Views.

    def _leave(self, node: Node, state: NodeState, *, graceful: bool) -> None:
        """A node's application ends: clients and peers hear of it at once where they are reached."""
        self._set_state(node, state)
        self._residents.node_lost(node, graceful=graceful)
        for connection in list(node.connections):
            connection.node_died()
        node.sees.clear()
        for other in self.nodes:
            if other is not node and node in other.sees:
                if self.path_open(node, other) and not other.paused:
                    other.after(LINK_US, self._forget, other, node)
                else:
                    other.after(self._tick_share_us(), self._forget, other, node)
        self.changed()

    def _forget(self, node: Node, gone: Node) -> None:
        """A node learns that another one ended, unless that one is back by now."""
        if gone in node.sees and node not in gone.sees:
            node.sees.discard(gone)
            self._views_changed(node)
            self.changed()

    def _tick_share_us(self) -> int:
        return round(self._tick_us * TICK_SHARES[self.timeline.integer(0, 2)])

    def _link_changed(self, one: Node, other: Node) -> None:
        pair = frozenset((one, other))
        epoch = self._epochs[pair] = self._epochs.get(pair, 0) + 1
        if not (one.up and other.up):
            return
        if one.running and other.running and self.path_open(one, other):
            self.timeline.after(RECONNECT_US, self._reunite, one, other, epoch)
        elif other in one.sees or one in other.sees:
            self.timeline.after(self._tick_share_us(), self._part, one, other, epoch)

    def _part(self, one: Node, other: Node, epoch: int) -> None:
        """Two nodes have not heard of each other for too long."""
        if self._epochs[frozenset((one, other))] != epoch:
            return
        self.timeline.reached("nodes gave each other up")
        for node, gone in ((one, other), (other, one)):
            if not node.paused:
                node.sees.discard(gone)
                self._residents.parted(node, gone)
        for node in (one, other):
            if node.serves:
                self._views_changed(node)
        self.changed()

    def _views_changed(self, node: Node) -> None:
        if self._handling == "pause_minority" and node.serves and len(node.sees) + 1 < self.majority:
            self.timeline.reached("a minority paused itself")
            self._leave(node, "waiting", graceful=True)
            node.after(RESUME_US, self._boot, node)

    def _reunite(self, one: Node, other: Node, epoch: int) -> None:
        """Two nodes reach each other again."""
        if self._epochs[frozenset((one, other))] != epoch or not (one.serves and other.serves):
            return
        if other in one.sees and one in other.sees:
            return
        self.timeline.reached("nodes met again that had given each other up")
        if self._handling == "pause_minority":
            self._restart([min((one, other), key=lambda node: (len(node.sees), -node.index))])
        elif self._handling == "autoheal" and not self._healing:
            self._healing = True
            if self.timeline.rarely("autoheal hangs"):
                return
            self.timeline.after(AUTOHEAL_US, self._autoheal)

    def _autoheal(self) -> None:
        """The partition with the most clients wins; every other node is restarted."""
        self._healing = False
        parts = self._parts()
        if len(parts) < 2:
            return
        self.timeline.reached("autoheal restarted the losers")
        winner = max(parts, key=lambda part: (sum(len(n.connections) for n in part), len(part), -part[0].index))
        self._restart([node for part in parts if part is not winner for node in part])

    def _parts(self) -> list[list[Node]]:
        """The serving nodes, by who sees whom."""
        parts: list[list[Node]] = []
        for node in self.nodes:
            if node.serves:
                home = next((part for part in parts if any(node in other.sees for other in part)), None)
                if home is None:
                    parts.append([node])
                else:
                    home.append(node)
        return parts

    def _restart(self, nodes: list[Node]) -> None:
        for node in nodes:
            self._leave(node, "waiting", graceful=True)
            node.after(RESUME_US, self._boot, node)

    def _boot(self, node: Node) -> None:
        """A node has started, and joins those it reaches: as many as its partition handling wants."""
        if node.state not in ("booting", "waiting"):
            return
        ready = [
            other
            for other in self.nodes
            if other is not node and other.running and other.state != "booting" and self.path_open(node, other)
        ]
        if self._handling == "pause_minority" and len(ready) + 1 < self.majority:
            self._set_state(node, "waiting")
            node.after(RECONNECT_US, self._boot, node)
            return
        self._set_state(node, "running")
        for other in ready:
            if other.state == "running":
                node.sees.add(other)
                other.sees.add(node)
        self._residents.node_joined(node)
        self.changed()

    def _set_state(self, node: Node, state: NodeState) -> None:
        if node.state != state:
            node.state = state
            self._look()
            self._watcher.node(node.name, "running" if state == "running" else "down")

    @property
    def alarmed(self) -> bool:
        """Whether publishers are blocked: an alarm on one node blocks those of all that see it."""
        return bool(self.alarms) and any(node.alarms for node in self.nodes if node.serves)


def component(cluster: Cluster, node: Node) -> list[Node]:
    """The serving nodes that a node sees and reaches, itself first."""
    return [node, *(other for other in cluster.nodes if other in node.sees and cluster.linked(node, other))]
