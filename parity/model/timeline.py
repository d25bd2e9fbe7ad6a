"""What models need of whoever runs them: time, chance, and somebody to tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Timeline(Protocol):
    """Time that is handed in, and choices that are drawn. The simulator's is virtual."""

    #: Microseconds since the run began.
    now_us: int

    def after(self, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Have something called later."""

    def later(self, process: Process, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Have a process do something later: never if it died meanwhile, and not before it is thawed."""

    def integer(self, low: int, high: int) -> int:
        """A choice between the two, both included; the low end is the benign one."""

    def rarely(self, site: str) -> bool:
        """Whether something unusual happens at this site; a run has most sites switched off."""

    def reached(self, probe: str) -> None:
        """Note that a rare branch was taken."""


class Process:
    """Anything that can die, stand still, be slow or be far away: a node, a worker, a producer, the database.

    Args:
        timeline: Time and chance.
        name: As the history names it.
    """

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.timeline = timeline
        self.name = name
        self.up = False
        self.paused = False
        #: Raised by every death: what was under way towards an earlier life comes to nothing.
        self.incarnation = 0
        #: False while anything below makes packets late: nearly always true, and quick to know.
        self.near = True
        #: What every packet to or from it takes longer.
        self.delay_us = 0
        #: A share of packets that must be sent again, in percent.
        self.loss_percent = 0
        #: What a message takes on its narrow link, and until when that is taken.
        self.serial_us = 0
        self.line_free_us = 0
        #: What each piece of work takes longer.
        self.slow_us = 0
        #: What reached it while it stood still.
        self.backlog: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    @property
    def running(self) -> bool:
        """Alive and not frozen."""
        return self.up and not self.paused

    def after(self, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Have the process do something later, if it lives then."""
        self.timeline.later(self, delay_us + self.slow_us, call, *arguments)

    def begin(self) -> None:
        """Start, or start again; whatever froze the one before did not freeze this one."""
        self.up = True
        self.paused = False

    def die(self) -> None:
        """End at once, without a word."""
        self.up = False
        self.paused = False
        self.incarnation += 1
        self.backlog.clear()

    def freeze(self) -> None:
        """Stand still: what comes in waits."""
        self.paused = True

    def thaw(self) -> None:
        """Go on, with what came in meanwhile first."""
        self.paused = False
        backlog, self.backlog = self.backlog, []
        for call, arguments in backlog:
            self.timeline.later(self, 0, call, *arguments)

    def measure(self) -> None:
        """Take note that delays, losses or bandwidth changed."""
        self.near = not (self.delay_us or self.loss_percent or self.serial_us)

    def transit_us(self, other: Process, base_us: int) -> int:
        """How long a packet takes to another process."""
        if self.near and other.near:
            return base_us
        delay_us = base_us + self.delay_us + other.delay_us
        if self.loss_percent or other.loss_percent:
            delay_us += self._resent_us(self.loss_percent + other.loss_percent)
        if self.serial_us or other.serial_us:
            delay_us += self._queued_us() + other._queued_us()
        return delay_us

    def _resent_us(self, percent: int) -> int:
        # Real: TCP sends again after 200 ms, then doubles. Ours: at most twice. Why: a lost packet is only late.
        extra_us, wait_us = 0, 200_000
        for _ in range(2):
            # Drawn so that 0, the benign choice, is the packet that arrives.
            if self.timeline.integer(0, 99) < 100 - percent:
                break
            extra_us += wait_us
            wait_us *= 2
        return extra_us

    def _queued_us(self) -> int:
        if not self.serial_us:
            return 0
        now_us = self.timeline.now_us
        start_us = max(now_us, self.line_free_us)
        self.line_free_us = start_us + self.serial_us
        return self.line_free_us - now_us


class Watcher(Protocol):
    """Who is told what a client of the stack could see."""

    def submitted(self, job: int, outcome: str, reason: str = "") -> None:
        """A producer said what became of a job."""

    def delivery(self, job: int, worker: str, *, redelivered: bool) -> None:
        """A worker was handed a job."""

    def point(self, job: int, worker: str, point: str) -> None:
        """A worker passed a point in a job's life."""

    def effect(self, job: int, count: int) -> None:
        """A job's effects changed."""

    def node(self, name: str, state: str) -> None:
        """A node changed state."""

    def exited(self, worker: str, exit_code: int) -> None:
        """A worker's process ended."""
