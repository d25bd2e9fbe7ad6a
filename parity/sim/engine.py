"""The engine: a heap of what is to happen, in virtual microseconds, and a digest over all that happened."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any
from zlib import crc32

from parity.model.timeline import Process
from parity.scenario.ranges import Draws

#: Of all sites, so many are switched on in a run; one that is fires as often (two-level, as FoundationDB's BUGGIFY).
_ONE_IN = 4
#: And no more often than this: what is slow for every job is a stack too small for its load, and no surprise.
_TIMES_MAX = 20


class _Codes(dict[str, int]):
    """A number for each name, the same on every machine and in every process."""

    def __missing__(self, name: str) -> int:
        code = self[name] = crc32(name.encode())
        return code


_CODES = _Codes()


class Engine:
    """Virtual time.

    Args:
        draws: Where choices come from.
    """

    __slots__ = ("_draws", "_heap", "_sequence", "_sites", "digest", "integer", "now_us", "probes", "steps", "stopped")

    def __init__(self, draws: Draws) -> None:
        self.now_us = 0
        self.digest = 0
        self.steps = 0
        self.stopped = False
        self.probes: set[str] = set()
        #: A choice; the low end is the benign one.
        self.integer = draws.integer
        self._heap: list[tuple[int, int, Process | None, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        #: How often each site may still fire.
        self._sites: dict[str, int] = {}

    def after(self, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Have something called later."""
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (self.now_us + delay_us, sequence, None, 0, call, arguments))

    def later(self, process: Process, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Have a process do something later: never if it died meanwhile, and not before it is thawed."""
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (self.now_us + delay_us, sequence, process, process.incarnation, call, arguments))

    def rarely(self, site: str) -> bool:
        """Whether something unusual happens: it can in a quarter of the runs, and then does a quarter of the time."""
        left = self._sites.get(site)
        if left is None:
            left = self._sites[site] = _TIMES_MAX if self.integer(0, _ONE_IN - 1) == _ONE_IN - 1 else 0
        if left and self.integer(0, _ONE_IN - 1) == _ONE_IN - 1:
            self._sites[site] = left - 1
            self.probes.add(site)
            return True
        return False

    def reached(self, probe: str) -> None:
        """Note that a rare branch was taken."""
        self.probes.add(probe)

    def run(self, *, steps_max: int) -> None:
        """Let time pass until something sets `stopped`.

        Args:
            steps_max: Events after which it is given up: something does not come to an end.
        """
        heap, codes = self._heap, _CODES
        digest, steps = self.digest, self.steps
        while heap and steps < steps_max and not self.stopped:
            at_us, sequence, process, incarnation, call, arguments = heappop(heap)
            self.now_us = at_us
            steps += 1
            digest = hash((digest, at_us, sequence, codes[call.__name__]))
            if process is not None:
                if process.incarnation != incarnation or not process.up:
                    continue
                if process.paused:
                    process.backlog.append((call, arguments))
                    continue
            call(*arguments)
        self.digest, self.steps = digest, steps
