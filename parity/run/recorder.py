"""The recorder: one clock and one file for everything a run sees, and the live counts that steps wait for."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from parity.history.events import (
    Delivery,
    Effect,
    Event,
    Instance,
    InstanceState,
    Outcome,
    Phantom,
    Point,
    Remark,
    Submit,
    Submitted,
)
from parity.history.file import HistoryWriter
from parity.stack.description import LogSection


class Recorder:
    """Turns what the application says into events of one history.

    Args:
        writer: The history's file.
        job_id: The pattern that makes a job's identity from its number.
        log: What the workers' lines mean.
    """

    def __init__(self, writer: HistoryWriter, *, job_id: str, log: LogSection) -> None:
        self._writer = writer
        self._job_id = job_id
        self._delivery = re.compile(log.delivery) if log.delivery else None
        self._points = {name: re.compile(pattern) for name, pattern in log.points.items()}
        self._start_ns = time.monotonic_ns()
        self._workload_us = 0
        self._changed = threading.Condition(threading.RLock())
        self._numbers: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        #: The instance that made the latest event of a name.
        self._latest: dict[str, str] = {}
        self._ends = {"committed", "acknowledged"} & self._points.keys()
        #: Who was handed a job last, and which of the points that end its work are still to come.
        self._holders: dict[int, tuple[str, set[str]]] = {}
        self._pending: set[int] = set()
        self._ok: set[int] = set()
        self._effects: dict[int, int] = {}
        self._phantoms: set[str] = set()

    def now_us(self) -> int:
        """Microseconds since the run began."""
        return (time.monotonic_ns() - self._start_ns) // 1000

    def start_workload(self) -> None:
        """Say that the workload begins: steps count their moments from here."""
        self._workload_us = self.now_us()

    def since_workload_s(self) -> float:
        """Seconds since the workload began."""
        return (self.now_us() - self._workload_us) / 1e6

    def record(self, make: Callable[..., Event], **fields: Any) -> None:
        """Append an event, stamped with the time it is written."""
        with self._changed:
            self._writer.write(make(t_us=self.now_us(), **fields))

    def _count(self, name: str, instance: str = "") -> None:
        self._counts[name] += 1
        self._latest[name] = instance
        self._changed.notify_all()

    def submit(self, number: int, kind: str) -> str:
        """Record that a job is handed over.

        Returns:
            Its identity, for the application.
        """
        identity = self._job_id.format(number=number)
        with self._changed:
            self._numbers[identity] = number
            self._pending.add(number)
            self.record(Submit, job=number, kind=kind)
            self._count("submit")
        return identity

    def outcome(self, identity: str, outcome: Outcome, reason: str) -> None:
        """Record how a submit ended."""
        with self._changed:
            number = self._number(identity, "submitted")
            if number is None:
                return
            self._pending.discard(number)
            if outcome == "ok":
                self._ok.add(number)
            self.record(Submitted, job=number, outcome=outcome, reason=reason)
            self._count("submitted")

    def line(self, instance: str, text: str) -> None:
        """Record what a worker's line tells, if it tells anything."""
        if self._delivery and (match := self._delivery.search(text)):
            flag = match.groupdict().get("redelivered")
            with self._changed:
                number = self._number(match["job"], "delivery")
                if number is None:
                    return
                self._holders.pop(number, None)
                self._holders[number] = (instance, set(self._ends))
                self.record(Delivery, job=number, worker=instance, redelivered=None if flag is None else flag == "1")
                self._count("delivery", instance)
            return
        for point, pattern in self._points.items():
            if match := pattern.search(text):
                with self._changed:
                    number = self._number(match["job"], "point")
                    if number is None:
                        return
                    self._pass(number, instance, point)
                    self.record(Point, job=number, worker=instance, point=point)
                    self._count(point, instance)
                return

    def _pass(self, number: int, instance: str, point: str) -> None:
        """A job is held until its worker passed every point that ends its work, or gave it back."""
        holder, ends = self._holders.get(number, ("", set()))
        if holder != instance:
            return
        ends.discard(point)
        if point == "rejected" or not ends:
            del self._holders[number]

    def state(self, instance: str, state: InstanceState, exit_code: int | None, reason: str) -> None:
        """Record an instance's change of state."""
        with self._changed:
            if state == "exited":
                self._holders = {job: held for job, held in self._holders.items() if held[0] != instance}
            self.record(Instance, instance=instance, state=state, exit_code=exit_code, reason=reason)
            self._changed.notify_all()

    def effects(self, counted: dict[str, int]) -> None:
        """Record the effects that changed since the last count."""
        with self._changed:
            for identity, count in counted.items():
                number = self._number(identity, "effect")
                if number is None or self._effects.get(number) == count:
                    continue
                first = number not in self._effects
                self._effects[number] = count
                if not self._ends:
                    self._holders.pop(number, None)
                self.record(Effect, job=number, count=count)
                if first:
                    self._counts["effect"] += 1
            self._changed.notify_all()

    def found(self, identity: str) -> int | None:
        """The number of a job whose message the census found; a stranger's is recorded and None."""
        with self._changed:
            return self._number(identity, "queue")

    def remark(self, text: str) -> None:
        """Record a thing worth knowing."""
        self.record(Remark, text=text)

    def _number(self, identity: str, seen: str) -> int | None:
        number = self._numbers.get(identity)
        if number is None and identity not in self._phantoms:
            self._phantoms.add(identity)
            self.record(Phantom, identity=identity, seen=seen)
        return number

    def holding(self) -> list[str]:
        """The instances that hold a job now, the one with the youngest delivery first."""
        with self._changed:
            return list(dict.fromkeys(holder for holder, _ in reversed(self._holders.values())))

    def latest(self, name: str) -> str:
        """The instance that made the latest event of a name; empty where none did."""
        with self._changed:
            return self._latest.get(name, "")

    def working(self) -> bool:
        """Whether a living instance was handed a job that has no effect so far."""
        with self._changed:
            return any(job not in self._effects for job in self._holders)

    def count(self, name: str) -> int:
        """How many events of a name, or points of it, there were."""
        with self._changed:
            return self._counts[name]

    def pending(self) -> int:
        """Jobs handed over whose outcome is not known yet."""
        with self._changed:
            return len(self._pending)

    def unfinished(self) -> set[int]:
        """Jobs submitted ok, or of unknown outcome, without an effect so far."""
        with self._changed:
            return self._ok - self._effects.keys()

    def without_effect(self, jobs: Iterable[int]) -> list[int]:
        """Those of the jobs that have no effect so far."""
        with self._changed:
            return [job for job in jobs if job not in self._effects]

    def wait(self, reached: Callable[[], bool], *, within_s: float) -> bool:
        """Wait until something holds of the counts; false where the time ran out first."""
        with self._changed:
            return self._changed.wait_for(reached, timeout=within_s)
