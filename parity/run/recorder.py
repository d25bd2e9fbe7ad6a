"""The recorder: one clock and one file for everything a run sees, and the live counts that steps wait for."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

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
    Revision,
    Submit,
    Submitted,
)
from parity.history.file import HistoryWriter
from parity.stack.description import LogSection

#: Stands where a point's name does, and can be none.
_REVISION = "a revision"
#: Where a stranger's identity was seen.
_Seen = Literal["effect", "delivery", "point", "queue", "submitted"]


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
        self._revision = re.compile(log.revision) if log.revision else None
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
        self._revisions: dict[str, str] = {}

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

    def _append(self, events: Sequence[Event]) -> None:
        """Append events that were seen together, in one write; whoever waits looks again once."""
        if events:
            self._writer.write(*events)
            self._changed.notify_all()

    def _count(self, name: str, instance: str = "") -> None:
        self._counts[name] += 1
        self._latest[name] = instance

    def submit(self, numbers: Sequence[int], kind: str) -> list[str]:
        """Record that jobs are handed over.

        Returns:
            Their identities, for the application.
        """
        identities = [self._job_id.format(number=number) for number in numbers]
        with self._changed:
            now_us = self.now_us()
            self._numbers.update(zip(identities, numbers, strict=True))
            self._pending.update(numbers)
            self._counts["submit"] += len(numbers)
            self._append([Submit(t_us=now_us, job=number, kind=kind) for number in numbers])
        return identities

    def outcomes(self, told: Iterable[tuple[str, Outcome, str]]) -> None:
        """Record how submits ended: identity, outcome and reason of each."""
        with self._changed:
            now_us = self.now_us()
            events: list[Event] = []
            for identity, outcome, reason in told:
                number = self._number(identity, "submitted", now_us, events)
                if number is None:
                    continue
                self._pending.discard(number)
                if outcome == "ok":
                    self._ok.add(number)
                events.append(Submitted(t_us=now_us, job=number, outcome=outcome, reason=reason))
                self._count("submitted")
            self._append(events)

    def lines(self, instance: str, texts: Iterable[str]) -> None:
        """Record what a worker's lines tell, those that tell anything."""
        told = [found for text in texts if (found := self._read(text)) is not None]
        with self._changed:
            now_us = self.now_us()
            events: list[Event] = []
            for point, match in told:
                self._tell(instance, point, match, now_us, events)
            self._append(events)

    def _read(self, text: str) -> tuple[str, re.Match[str]] | None:
        """The point that a line tells of, empty for a delivery, `_REVISION` for that; and what its pattern found."""
        if self._delivery and (match := self._delivery.search(text)):
            return "", match
        for point, pattern in self._points.items():
            if match := pattern.search(text):
                return point, match
        if self._revision and (match := self._revision.search(text)):
            return _REVISION, match
        return None

    def _tell(self, instance: str, point: str, match: re.Match[str], now_us: int, events: list[Event]) -> None:
        """Add what one line tells to the events."""
        if point == _REVISION:
            self._revisions[instance] = match["revision"]
            events.append(Revision(t_us=now_us, instance=instance, revision=match["revision"]))
            return
        number = self._number(match["job"], "point" if point else "delivery", now_us, events)
        if number is None:
            return
        if point:
            self._pass(number, instance, point)
            events.append(Point(t_us=now_us, job=number, worker=instance, point=point))
            self._count(point, instance)
            return
        flag = match.groupdict().get("redelivered")
        self._holders.pop(number, None)
        self._holders[number] = (instance, set(self._ends))
        redelivered = None if flag is None else flag == "1"
        events.append(Delivery(t_us=now_us, job=number, worker=instance, redelivered=redelivered))
        self._count("delivery", instance)

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
            now_us = self.now_us()
            events: list[Event] = []
            for identity, count in counted.items():
                number = self._number(identity, "effect", now_us, events)
                if number is None or self._effects.get(number) == count:
                    continue
                if number not in self._effects:
                    self._counts["effect"] += 1
                self._effects[number] = count
                if not self._ends:
                    self._holders.pop(number, None)
                events.append(Effect(t_us=now_us, job=number, count=count))
            self._append(events)

    def found(self, identity: str) -> int | None:
        """The number of a job whose message the census found; a stranger's is recorded and None."""
        with self._changed:
            events: list[Event] = []
            number = self._number(identity, "queue", self.now_us(), events)
            self._append(events)
        return number

    def remark(self, text: str) -> None:
        """Record a thing worth knowing."""
        self.record(Remark, text=text)

    def _number(self, identity: str, seen: _Seen, now_us: int, events: list[Event]) -> int | None:
        """A job's number; None for a stranger's, which is added to the events the first time."""
        number = self._numbers.get(identity)
        if number is None and identity not in self._phantoms:
            self._phantoms.add(identity)
            events.append(Phantom(t_us=now_us, identity=identity, seen=seen))
        return number

    def holding(self) -> list[str]:
        """The instances that hold a job now, the one with the youngest delivery first."""
        with self._changed:
            return list(dict.fromkeys(holder for holder, _ in reversed(self._holders.values())))

    def latest(self, name: str) -> str:
        """The instance that made the latest event of a name; empty where none did."""
        with self._changed:
            return self._latest.get(name, "")

    def revision_of(self, instance: str) -> str:
        """The revision that an instance said last that it has; empty where it said none."""
        with self._changed:
            return self._revisions.get(instance, "")

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
