"""The world of a simulated run: cluster, queue, database, producers and the group of workers."""

from __future__ import annotations

from collections.abc import Callable

from parity.history.events import Instance, Revision
from parity.model.classic import ClassicQueue
from parity.model.cluster import Cluster
from parity.model.constants import PROCESS_BOOT_US
from parity.model.database import Database
from parity.model.network import Connection
from parity.model.producer import Producer
from parity.model.queue import WorkQueue
from parity.model.quorum import QuorumQueue
from parity.model.settings import ModelSettings
from parity.model.surroundings import Surroundings
from parity.model.timeline import Process
from parity.model.worker import Worker
from parity.scenario.group import GroupSection
from parity.sim.engine import Engine
from parity.sim.group import Group
from parity.sim.hook import TerminateHook
from parity.sim.logs import Logs
from parity.sim.observer import Observer

#: Real: a group's containers are started four side by side, and the others wait. Ours: who is launched while four boot
#: takes twice as long, and so on. Why: when jobs are few, the last of many instances gets none. Source:
#: parity/run/scaled.py, and a group of ten on containers: the last was in service after 2.9 s.
_AT_ONCE = 4


class World:
    """All of a stack, modelled.

    Args:
        engine: Time and chance.
        observer: Told what a client could see.
        settings: What stands for the stack.
        producers: How many.
        workers: How many at the start, where there is no group.
        replace: Whether a worker that died is replaced, where there is no group.
        section: What the scenario says of its Auto Scaling group; None where it has none.
        logs: Whether anybody asks what workers print, and what of it is archived.
    """

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        settings: ModelSettings,
        *,
        producers: int,
        workers: int,
        replace: bool,
        section: GroupSection | None = None,
        logs: bool = False,
    ) -> None:
        self.engine = engine
        self.observer = observer
        self.settings = settings
        names = [f"rabbit{number}" for number in range(1, settings.nodes + 1)]
        self.cluster = Cluster(engine, names, settings.broker, observer)
        kind = QuorumQueue if settings.broker.queue_type == "quorum" else ClassicQueue
        self.queue: WorkQueue = kind(self.cluster, settings.broker)
        self.cluster.residents = self.queue
        self.database = Database(engine, "postgres", settings.database, observer)
        self._place = Surroundings(
            timeline=engine, cluster=self.cluster, queue=self.queue, database=self.database, watcher=observer
        )
        self.workers: dict[str, Worker] = {}
        self._desired = 0
        self._replace = replace
        self._closed = False
        #: The revision of the code that each instance of the group has in place.
        self.revisions: dict[str, str] = {}
        self.producers = [Producer(number, self._place, settings.producer) for number in range(1, producers + 1)]
        observer.on_exit = self._exited
        self.logs = Logs(engine, observer, settings.worker, process=self.process) if logs else None
        self._launched = 0
        #: Instances of the group that are on their way up.
        self._booting: set[str] = set()
        self.group: Group | None = None
        self._hook: TerminateHook | None = None
        if section is None:
            self.scale(workers)
        else:
            self.group = Group(engine, observer, section, self, settings.worker)
            complete, worker = self.group.complete, self.workers.__getitem__
            self._hook = TerminateHook(engine, settings.worker, worker=worker, complete=complete)
            self.group.begin()
        for producer in self.producers:
            engine.after(PROCESS_BOOT_US, producer.begin)

    # The group of workers.

    def alive(self) -> list[str]:
        """The instances that live, oldest first."""
        return [name for name, worker in self.workers.items() if worker.up]

    @property
    def desired(self) -> int:
        """How many there should be."""
        return self._desired if self.group is None else self.group.scaler.group.desired

    def scale(self, desired: int) -> str:
        """Make it so many: launch what is missing, stop the youngest that are too many; or have the group do so.

        Returns:
            Why not; empty where it was done.
        """
        if self.group is not None:
            return self.group.call("SetDesiredCapacity", {"DesiredCapacity": desired})
        self._desired = desired
        alive = self.alive()
        for _ in range(desired - len(alive)):
            self._launch(self._launched + 1)
        for name in alive[desired:]:
            self.workers[name].stop()
        return ""

    def launch(self, worker: str) -> None:
        """Start a worker for the group."""
        self._launch(int(worker.rpartition("-")[2]))

    def end(self, worker: str) -> None:
        """Have a worker leave, for the group."""
        process = self.workers.get(worker)
        if process is None or not process.up:
            self.engine.after(0, self._tell_ended, worker)
            return
        if process.paused:
            self.thaw(process)
        process.stop()

    def depth(self) -> int:
        """How many jobs are queued or in anybody's hands."""
        held = sum(len(each.unacked) for node in self.cluster.nodes for each in node.connections)
        return len(self.queue.contents()) + held

    def processor_us(self) -> dict[str, int]:
        """How much processor time each worker that lives took in all its life."""
        return {name: worker.processor_us() for name, worker in self.workers.items() if worker.up}

    def in_hook(self, worker: str) -> None:
        """Have it found out in a worker's instance that this waits in the terminate hook."""
        if self._hook is not None:
            self._hook.hold(worker)

    def process(self, worker: str) -> Process:
        """A worker's process."""
        return self.workers[worker]

    def _tell_ended(self, worker: str) -> None:
        if self.group is not None:
            self.group.ended(worker)

    def _begin(self, worker: Worker) -> None:
        worker.begin()
        self._booting.discard(worker.name)
        if self.group is not None:
            self._tell_revision(worker.name)
            self.group.running(worker.name)

    def renew(self, worker: str, revision: str, then: Callable[[], None]) -> None:
        """Put a revision in place, and have the worker start anew; it says what it has when it did."""
        process = self.workers[worker]
        self.revisions[worker] = revision

        def renewed() -> None:
            self._tell_revision(worker)
            then()

        process.renew(renewed)

    def _tell_revision(self, worker: str) -> None:
        self.observer.record(Revision, instance=worker, revision=self.revisions[worker])

    def _launch(self, number: int) -> None:
        self._launched = number
        worker = Worker(number, self._place, self.settings)
        self.workers[worker.name] = worker
        # Alive from its launch on: what is on its way up is not launched a second time.
        worker.up = True
        if self.group is not None:
            self.revisions[worker.name] = self.group.scaler.revision_at_boot(worker.name)
        self.observer.record(Instance, instance=worker.name, state="starting")
        self.observer.record(Instance, instance=worker.name, state="running")
        boot_us = PROCESS_BOOT_US + self.engine.integer(0, 2) * PROCESS_BOOT_US // 2
        if self.group is not None:
            boot_us *= 1 + len(self._booting) // _AT_ONCE
            self._booting.add(worker.name)
        self.engine.later(worker, boot_us, self._begin, worker)

    def _exited(self, name: str, exit_code: int) -> None:
        drained = self._hook is not None and self._hook.drained(name, exit_code)
        if self.logs is not None:
            self.logs.ended(name, exit_code, drained=drained)
        if self.group is not None:
            # One that stopped for its hook is there until it is terminated: only its worker has ended.
            if not drained:
                self.engine.after(0, self._tell_ended, name)
        elif not self._closed and self._replace and len(self.alive()) < self.desired:
            self._launch(self._launched + 1)

    def consuming(self) -> int:
        """How many workers consume."""
        return sum(worker.consuming for worker in self.workers.values())

    def close(self) -> None:
        """End every producer and worker."""
        self._closed = True
        if self.group is not None:
            self.group.close()
        for producer in self.producers:
            if producer.up:
                producer.die()
        for worker in list(self.workers.values()):
            if worker.paused:
                self.thaw(worker)
            worker.exit(137)

    # Paths.

    def connections_of(self, process: Process) -> list[Connection]:
        """Every connection of a client that either end believes in."""
        known = [each for node in self.cluster.nodes for each in node.connections if each.process is process]
        own = process.connection if isinstance(process, Worker | Producer) else None
        return known if own is None or own in known else [*known, own]

    def freeze(self, process: Process) -> None:
        """Stand a client still."""
        process.freeze()
        for connection in self.connections_of(process):
            connection.path_changed()

    def thaw(self, process: Process) -> None:
        """Let it go on."""
        connections = self.connections_of(process)
        process.thaw()
        for connection in connections:
            connection.path_changed()

    def empty(self) -> bool:
        """Whether nothing is queued or in anybody's hands."""
        return (
            not self.queue.contents()
            and all(producer.outbox is None or producer.outbox.empty for producer in self.producers)
            and not any(each.unacked for node in self.cluster.nodes for each in node.connections)
            and not self.observer.working()
        )

    def unhealed(self) -> str:
        """What keeps the stack from being whole; empty where it is."""
        wrong = [] if self.cluster.whole() else [self.cluster.describe()]
        if not self.database.ready:
            wrong.append("postgres not ready")
        if not self.queue.whole():
            wrong.append("the queue without leader or with a member missing")
        return ", ".join(wrong)
