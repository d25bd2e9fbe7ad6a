"""Watching a run from outside: effects, queues and nodes, polled by threads that end with their block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from parity.errors import ParityError
from parity.history.events import Connections, Node, NodeState, Queue
from parity.run.recorder import Recorder
from parity.stack.broker import QueueState
from parity.stack.stack import Stack

_EVERY_S = 0.5
_EVERY_S_MAX = 5.0


class Watch:
    """Polls a stack for one run, and records what changed.

    Args:
        stack: The stack.
        virtual_host: The run's virtual host; its database is called the same.
        sql: The statement that counts effects.
        recorder: Where changes go.
        connections: Whether the database's connections are counted.
    """

    def __init__(
        self, stack: Stack, virtual_host: str, sql: str, recorder: Recorder, *, connections: bool = False
    ) -> None:
        self._stack = stack
        self._virtual_host = virtual_host
        self._sql = sql
        self._recorder = recorder
        self._stop = threading.Event()
        self._queues: dict[str, QueueState] = {}
        self._nodes: dict[str, str] = {}
        self._connections = (-1, -1)
        looks: list[Callable[[], object]] = [self.look_at_effects, self.look_at_queues, self.look_at_nodes]
        looks += [self.look_at_connections] if connections else []
        self._threads = [
            threading.Thread(target=self._loop, args=(look,), name=look.__name__, daemon=True) for look in looks
        ]
        self._effects_lock = threading.Lock()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the polling; a single look can still be had."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def _loop(self, look: Callable[[], object]) -> None:
        while True:
            start = time.monotonic()
            try:
                look()
            except ParityError:
                # A service that is broken on purpose cannot be looked at; that is no time spent on looking.
                start = time.monotonic()
            # A look that takes long, because there is much to see, must not become the load.
            took_s = time.monotonic() - start
            if self._stop.wait(min(max(_EVERY_S, 10 * took_s), _EVERY_S_MAX)):
                return

    def look_at_effects(self) -> None:
        """Count the effects now.

        Raises:
            StackError: The database does not answer.
        """
        with self._effects_lock:
            self._recorder.effects(self._stack.database.effects(self._virtual_host, self._sql))

    def look_at_queues(self) -> tuple[int, int]:
        """Record the queues that changed.

        Returns:
            Messages ready and unacknowledged, over the work queues.

        Raises:
            StackError: The broker does not answer.
        """
        work = self._stack.plan.files.description.queues.work
        ready = unacknowledged = 0
        for queue in self._stack.broker.queues(self._virtual_host):
            if self._queues.get(queue.name) != queue:
                self._queues[queue.name] = queue
                self._recorder.record(
                    Queue,
                    queue=queue.name,
                    ready=queue.ready,
                    unacknowledged=queue.unacknowledged,
                    leader=queue.leader,
                )
            if queue.name in work:
                ready += queue.ready
                unacknowledged += queue.unacknowledged
        return ready, unacknowledged

    def look_at_connections(self) -> None:
        """Record how many connections the database has, where that changed.

        Raises:
            StackError: The database does not answer.
        """
        with self._effects_lock:
            counted = self._stack.database.connections(self._virtual_host)
        if counted != self._connections:
            self._connections = counted
            used, limit = counted
            self._recorder.record(Connections, used=used, limit=limit)

    def look_at_nodes(self) -> None:
        """Record the nodes that changed.

        Raises:
            EngineError: The engine does not answer.
        """
        states = dict(self._stack.broker.node_states())
        for name, container in self._stack.containers.items():
            container.reload()
            if container.status == "paused":
                states[name] = "paused"
            elif container.status != "running":
                states[name] = "down"
            else:
                states.setdefault(name, "running")
        for name, state in states.items():
            if self._nodes.get(name) != state:
                self._nodes[name] = state
                known: NodeState = "running" if state == "running" else state  # type: ignore[assignment]
                self._recorder.record(Node, node=name, state=known)
