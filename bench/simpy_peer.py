"""The peer of the simulator's benchmark: the same queue-and-worker model, written plainly on simpy.

As one would write it with simpy at hand: a process for each thing that goes on, a store for each queue and each
direction of a connection, a resource for the database's connections, conditions for time-outs, interrupts for deaths.
It has the parts of `parity.model` that such a scenario uses, and their times: connections that keep order, break with
either end and are made again at the next node; a window of unconfirmed publishes, confirms with a time-out, refusals
that are tried again; a quorum queue that commits by majority, elects leaders, delivers in turn within a prefetch, takes
back what a dead consumer held and counts it against a delivery limit; workers that commit in a transaction, try again
when the database is away, and acknowledge. No digest, no probes, no choices on a tape, no history and no properties: it
only counts effects.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from typing import Any

import simpy

LINK_S = 0.001
COMMIT_S = 0.010
DATABASE_S = 0.004
ELECTION_S = 1.0
CONNECT_S = 0.030
BOOT_S = 5.0
PROCESS_BOOT_S = 1.0
WORK_S = 0.05
NACK_PAUSE_S = 0.3
CONFIRM_TIMEOUT_S = 15.0
SUBMIT_TIMEOUT_S = 30.0
WINDOW = 50
PREFETCH = 5
DELIVERY_LIMIT = 20
DATABASE_CONNECTIONS = 37
SETTLE_S = 1.0
LOOK_S = 0.2

Steps = Generator[Any, Any, Any]


class Node:
    """A node of the broker."""

    def __init__(self) -> None:
        self.up = True
        self.cut = False
        self.connections: list[Connection] = []

    @property
    def serves(self) -> bool:
        """Whether it answers."""
        return self.up and not self.cut


class Connection:
    """One connection: a store for each direction, and a process that takes from it what has travelled."""

    def __init__(self, env: simpy.Environment, node: Node, broker: Broker, client: Worker | Producer) -> None:
        self.env = env
        self.node = node
        self.broker = broker
        self.client = client
        self.open = True
        self.inward: simpy.Store = simpy.Store(env)
        self.outward: simpy.Store = simpy.Store(env)
        self.credit = PREFETCH
        self.unacked: dict[int, tuple[int, int]] = {}
        self.tag = 0
        node.connections.append(self)
        self.pumps = [env.process(self.carry(self.inward)), env.process(self.carry(self.outward))]

    def send(self, store: simpy.Store, call: Any, *arguments: Any) -> None:
        """Send: in order, and a link's time later."""
        if self.open:
            store.put((self.env.now + LINK_S, call, arguments))

    def carry(self, store: simpy.Store) -> Steps:
        """Hand over what was sent, when it has arrived."""
        try:
            while True:
                at_s, call, arguments = yield store.get()
                if at_s > self.env.now:
                    yield self.env.timeout(at_s - self.env.now)
                call(self, *arguments)
        except simpy.Interrupt:
            return

    def close(self) -> None:
        """Either end is gone."""
        if not self.open:
            return
        self.open = False
        self.node.connections.remove(self)
        for pump in self.pumps:
            if pump.is_alive and pump is not self.env.active_process:
                pump.interrupt()
        self.broker.gone(self)
        self.client.lost(self)


class Broker:
    """A quorum queue on some nodes."""

    def __init__(self, env: simpy.Environment, nodes: int) -> None:
        self.env = env
        self.nodes = [Node() for _ in range(nodes)]
        self.leader = 0
        self.ready: deque[tuple[int, int]] = deque()
        self.dead: list[int] = []
        self.consumers: list[Connection] = []
        self.turn = 0
        self.elected = env.event()

    @property
    def available(self) -> bool:
        """Whether the leader serves and has a majority."""
        up = sum(node.serves for node in self.nodes)
        return self.nodes[self.leader].serves and up > len(self.nodes) // 2

    def publish(self, connection: Connection, job: int) -> None:
        """A message arrived."""
        self.env.process(self.commit(connection, job))

    def commit(self, connection: Connection, job: int) -> Steps:
        """Commit a message by a majority, and confirm it."""
        while True:
            if not self.available:
                connection.send(connection.outward, Producer.confirmed, job, "nack")
                return
            leader = self.leader
            yield self.env.timeout(COMMIT_S)
            if self.available and leader == self.leader:
                break
            if not connection.open:
                return
        self.ready.append((job, 0))
        self.pump()
        connection.send(connection.outward, Producer.confirmed, job, "ok")

    def subscribe(self, connection: Connection) -> None:
        """Begin to deliver."""
        self.consumers.append(connection)
        self.pump()

    def pump(self) -> None:
        """Deliver what can be, to the consumers in turn."""
        if not self.available:
            return
        while self.ready and self.consumers:
            for _ in range(len(self.consumers)):
                self.turn = (self.turn + 1) % len(self.consumers)
                connection = self.consumers[self.turn]
                if connection.credit > 0:
                    break
            else:
                return
            job, returns = self.ready.popleft()
            connection.credit -= 1
            connection.tag += 1
            connection.unacked[connection.tag] = (job, returns)
            connection.send(connection.outward, Worker.delivered, connection.tag, job)

    def settle(self, connection: Connection, tag: int) -> None:
        """An acknowledgement arrived."""
        self.env.process(self.settled(connection, tag))

    def settled(self, connection: Connection, tag: int) -> Steps:
        """Take it as soon as a leader can."""
        while not self.available:
            yield self.elected
        if connection.unacked.pop(tag, None) is not None:
            connection.credit += 1
            self.pump()

    def gone(self, connection: Connection) -> None:
        """What a connection held comes back, or is given up."""
        if connection in self.consumers:
            self.consumers.remove(connection)
        for job, returns in reversed(connection.unacked.values()):
            if returns < DELIVERY_LIMIT:
                self.ready.appendleft((job, returns + 1))
            else:
                self.dead.append(job)
        connection.unacked.clear()
        self.pump()

    def changed(self) -> None:
        """A node went or came."""
        for node in self.nodes:
            if not node.serves:
                for connection in list(node.connections):
                    connection.close()
        if not self.nodes[self.leader].serves:
            self.env.process(self.elect())
        elif self.available:
            self.wake()

    def elect(self) -> Steps:
        """Another leader, after a while."""
        yield self.env.timeout(ELECTION_S)
        candidates = [index for index, node in enumerate(self.nodes) if node.serves]
        if len(candidates) > len(self.nodes) // 2 and not self.nodes[self.leader].serves:
            self.leader = candidates[0]
        if self.available:
            self.wake()

    def wake(self) -> None:
        """Go on with what waited."""
        elected, self.elected = self.elected, self.env.event()
        elected.succeed()
        self.pump()


class Database:
    """Where effects live."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.up = True
        self.connections = simpy.Resource(env, DATABASE_CONNECTIONS)
        self.done: set[int] = set()
        self.effects: dict[int, int] = {}

    def commit(self, job: int) -> Steps:
        """An effect and its mark, together; whether that is known to have happened."""
        yield self.env.timeout(LINK_S + DATABASE_S)
        if not self.up:
            return False
        if job not in self.done:
            self.done.add(job)
            self.effects[job] = self.effects.get(job, 0) + 1
        yield self.env.timeout(LINK_S)
        return self.up


class Client:
    """What connects to one node after the other."""

    def __init__(self, env: simpy.Environment, broker: Broker, number: int) -> None:
        self.env = env
        self.broker = broker
        self.next_node = number
        self.connection: Connection | None = None
        self.connected = env.event()

    def connect(self) -> Steps:
        """Until a node answers."""
        wait_s = 0.0
        while True:
            node = self.broker.nodes[self.next_node % len(self.broker.nodes)]
            self.next_node += 1
            yield self.env.timeout(CONNECT_S)
            if node.serves:
                break
            yield self.env.timeout(wait_s)
            wait_s = min(1.0, wait_s * 2 or 0.1)
        self.connection = Connection(self.env, node, self.broker, self)  # type: ignore[arg-type]
        connected, self.connected = self.connected, self.env.event()
        connected.succeed()


class Producer(Client):
    """The producer: a window of unconfirmed publishes."""

    def __init__(self, env: simpy.Environment, broker: Broker) -> None:
        super().__init__(env, broker, 0)
        self.window = simpy.Resource(env, WINDOW)
        self.waiting: dict[int, simpy.Event] = {}
        self.ok: set[int] = set()
        self.unknown: set[int] = set()
        self.refused: set[int] = set()
        env.process(self.connect())

    def lost(self, connection: Connection) -> None:
        """Whatever was published on it may or may not be in the queue."""
        if connection is self.connection:
            self.connection = None
            for outcome in self.waiting.values():
                if not outcome.triggered:
                    outcome.succeed("lost")
            self.env.process(self.connect())

    @staticmethod
    def confirmed(connection: Connection, job: int, answer: str) -> None:
        """A confirm arrived."""
        outcome = connection.client.waiting.get(job)  # type: ignore[union-attr]
        if outcome is not None and not outcome.triggered:
            outcome.succeed(answer)

    def submit(self, job: int) -> Steps:
        """One job, until its outcome is known."""
        fails_at_s = self.env.now + SUBMIT_TIMEOUT_S
        with self.window.request() as place:
            yield place
            while True:
                while self.connection is None:
                    yield self.connected
                outcome = self.waiting[job] = self.env.event()
                self.connection.send(self.connection.inward, self.broker_publish, job)
                yield outcome | self.env.timeout(CONFIRM_TIMEOUT_S)
                del self.waiting[job]
                value = outcome.value if outcome.triggered else "lost"
                if value == "nack" and self.env.now < fails_at_s:
                    yield self.env.timeout(NACK_PAUSE_S)
                    continue
                (self.ok if value == "ok" else self.unknown).add(job)
                return

    @staticmethod
    def broker_publish(connection: Connection, job: int) -> None:
        """At the node."""
        connection.broker.publish(connection, job)


class Worker(Client):
    """A worker's process."""

    def __init__(self, env: simpy.Environment, broker: Broker, database: Database, number: int) -> None:
        super().__init__(env, broker, number)
        self.database = database
        self.inbox: simpy.Store = simpy.Store(env)
        self.alive = True
        self.thawed = env.event().succeed()
        self.process = env.process(self.run())

    def lost(self, connection: Connection) -> None:
        """What was fetched ahead is another worker's now."""
        if connection is self.connection:
            self.connection = None
            self.inbox.items.clear()
            if self.alive:
                self.env.process(self.consume())

    @staticmethod
    def delivered(connection: Connection, tag: int, job: int) -> None:
        """A message arrived."""
        connection.client.inbox.put((connection, tag, job))  # type: ignore[union-attr]

    def consume(self) -> Steps:
        """Connect, and subscribe."""
        yield self.env.process(self.connect())
        if self.connection is not None and self.alive:
            self.connection.send(self.connection.inward, self.broker_subscribe)

    @staticmethod
    def broker_subscribe(connection: Connection) -> None:
        """At the node."""
        connection.broker.subscribe(connection)

    @staticmethod
    def broker_settle(connection: Connection, tag: int) -> None:
        """At the node."""
        connection.broker.settle(connection, tag)

    def run(self) -> Steps:
        """Fetch, work, commit, acknowledge."""
        place = self.database.connections.request()
        try:
            yield self.env.timeout(PROCESS_BOOT_S)
            yield self.env.process(self.consume())
            yield place
            while True:
                connection, tag, job = yield self.inbox.get()
                yield self.thawed
                if not connection.open:
                    continue
                yield self.env.timeout(WORK_S)
                failures = 0
                while not (yield self.env.process(self.database.commit(job))):
                    failures += 1
                    yield self.env.timeout(min(1.0, 0.1 * 2**failures))
                connection.send(connection.inward, self.broker_settle, tag)
        except simpy.Interrupt:
            self.alive = False
            self.database.connections.release(place)
            if self.connection is not None:
                self.connection.close()


class World:
    """A scenario: jobs at a rate, some faults, then a drain."""

    def __init__(self, seed: int, *, jobs: int, workers: int, nodes: int, faults: int) -> None:
        self.random = random.Random(seed)
        self.env = simpy.Environment()
        self.broker = Broker(self.env, nodes)
        self.database = Database(self.env)
        self.workers = [Worker(self.env, self.broker, self.database, number) for number in range(workers)]
        self.producer = Producer(self.env, self.broker)
        self.jobs = jobs
        self.open_faults = faults
        for _ in range(faults):
            self.env.process(self.fault())
        self.finished = self.env.process(self.run())

    def run(self) -> Steps:
        """Submit at the rate, wait for the faults, drain."""
        yield self.env.timeout(1.2)
        for job in range(self.jobs):
            self.env.process(self.producer.submit(job))
            yield self.env.timeout(0.04)
        while self.open_faults:
            yield self.env.timeout(LOOK_S)
        since_s = self.env.now
        while self.env.now - since_s < SETTLE_S and self.env.now < 120:
            if self.broker.ready or any(each.unacked for each in self.broker.consumers):
                since_s = self.env.now
            yield self.env.timeout(LOOK_S)

    def fault(self) -> Steps:
        """One fault, and its end."""
        kind = self.random.choice(["kill worker", "pause worker", "kill node", "cut node", "kill database"])
        yield self.env.timeout(1.2 + self.random.uniform(0, 2))
        if kind == "kill worker":
            worker = self.random.choice(self.workers)
            if worker.alive and worker.process.is_alive:
                worker.process.interrupt()
                self.workers.append(Worker(self.env, self.broker, self.database, len(self.workers)))
        elif kind == "pause worker":
            worker = self.random.choice(self.workers)
            thaw = worker.thawed = self.env.event()
            yield self.env.timeout(2)
            thaw.succeed()
        elif kind == "kill database":
            self.database.up = False
            yield self.env.timeout(2)
            self.database.up = True
        else:
            yield from self.break_node(kind)
        self.open_faults -= 1

    def break_node(self, kind: str) -> Steps:
        """A node dies and boots, or is cut off."""
        node = self.random.choice(self.broker.nodes)
        if kind == "kill node":
            node.up = False
        else:
            node.cut = True
        self.broker.changed()
        yield self.env.timeout(2)
        if kind == "kill node":
            yield self.env.timeout(BOOT_S)
        node.up, node.cut = True, False
        self.broker.changed()


def run(seed: int, *, jobs: int = 50, workers: int = 3, nodes: int = 3, faults: int = 3) -> int:
    """One scenario; returns how many jobs have an effect."""
    world = World(seed, jobs=jobs, workers=workers, nodes=nodes, faults=faults)
    world.env.run(until=world.finished)
    return len(world.database.effects)
