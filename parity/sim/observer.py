"""The observer: what parity would see of a simulated run, as a history, and the counts that steps wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.history.events import Delivery, Effect, Event, Instance, Node, Point, Submit, Submitted
from parity.sim.engine import Engine

#: The points that end a job's time in its worker's hands.
_ENDS = frozenset({"committed", "acknowledged"})


class Observer:
    """Writes the history of a simulated run.

    Args:
        engine: The clock.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.events: list[Event] = []
        #: Events so far, of the names that somebody waits for from the start of the workload on.
        self.counts: dict[str, int] = {}
        #: The instance that made the latest event of a name.
        self.latest: dict[str, str] = {}
        #: Told of the end of a worker's process, with the exit code; and of every line that one prints.
        self.on_exit: Callable[[str, int], None] = lambda _worker, _exit_code: None
        self.on_line: Callable[[str], None] | None = None
        self.pending: set[int] = set()
        self.done: set[int] = set()
        self._holders: dict[int, tuple[str, set[str]]] = {}
        self._waiters: dict[str, list[tuple[int, Callable[[], None]]]] = {}
        self._jobs = 0

    def record(self, make: Callable[..., Event], **fields: Any) -> None:
        """Append an event, stamped with the time."""
        self.events.append(make(t_us=self._engine.now_us, **fields))

    def when(self, name: str, count: int, call: Callable[[], None]) -> None:
        """Have something called when there were so many events of a name; said before the first of them."""
        self.counts.setdefault(name, 0)
        self._waiters.setdefault(name, []).append((count, call))

    def _count(self, name: str) -> None:
        if name in self._waiters:
            self.counts[name] = count = self.counts[name] + 1
            self._wake(name, count)

    def _wake(self, name: str, count: int) -> None:
        waiters = self._waiters[name]
        for waiter in list(waiters):
            if count >= waiter[0]:
                waiters.remove(waiter)
                self._engine.after(0, waiter[1])
        if not waiters:
            del self._waiters[name]

    def submit(self, kind: str) -> int:
        """A job is handed over; returns its number."""
        job = self._jobs
        self._jobs += 1
        self.pending.add(job)
        self.events.append(Submit(t_us=self._engine.now_us, job=job, kind=kind))
        if self._waiters:
            self._count("submit")
        return job

    def submitted(self, job: int, outcome: Any, reason: str = "") -> None:
        """An outcome came back."""
        self.pending.discard(job)
        self.events.append(Submitted(t_us=self._engine.now_us, job=job, outcome=outcome, reason=reason))
        if self._waiters:
            self._count("submitted")

    def delivery(self, job: int, worker: str, *, redelivered: bool) -> None:
        """A worker was handed a job."""
        self._holders.pop(job, None)
        self._holders[job] = (worker, set(_ENDS))
        self.events.append(Delivery(t_us=self._engine.now_us, job=job, worker=worker, redelivered=redelivered))
        self.latest["delivery"] = worker
        if self.on_line is not None:
            self.on_line(worker)
        if self._waiters:
            self._count("delivery")

    def point(self, job: int, worker: str, point: str) -> None:
        """A worker passed a point."""
        held = self._holders.get(job)
        if held is not None and held[0] == worker:
            held[1].discard(point)
            if point == "rejected" or not held[1]:
                del self._holders[job]
        self.events.append(Point(t_us=self._engine.now_us, job=job, worker=worker, point=point))
        self.latest[point] = worker
        if self.on_line is not None:
            self.on_line(worker)
        if self._waiters:
            self._count(point)

    def effect(self, job: int, count: int) -> None:
        """A job's effects changed."""
        self.events.append(Effect(t_us=self._engine.now_us, job=job, count=count))
        if not count:
            self.done.discard(job)
        elif job not in self.done:
            self.done.add(job)
            if self._waiters:
                self._count("effect")

    def node(self, name: str, state: Any) -> None:
        """A node changed state."""
        self.record(Node, node=name, state=state)

    def exited(self, worker: str, exit_code: int) -> None:
        """A worker's process ended."""
        self._holders = {job: held for job, held in self._holders.items() if held[0] != worker}
        self.record(Instance, instance=worker, state="exited", exit_code=exit_code)
        self.on_exit(worker, exit_code)

    def holding(self) -> list[str]:
        """The instances that hold a job now, the one with the youngest delivery first."""
        return list(dict.fromkeys(worker for worker, _ in reversed(self._holders.values())))

    def working(self) -> bool:
        """Whether a living instance was handed a job that has no effect so far."""
        return any(job not in self.done for job in self._holders)
