"""The time that a region lives in: real time plus an offset that only grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _system_us() -> int:
    return time.time_ns() // 1000


def _elapsed_us() -> int:
    return time.monotonic_ns() // 1000


class Clock:
    """Microseconds since 1970 as instances and callers of the API see them.

    Runs with the system's time, but is not set back with it. Safe to be read from any thread; moved by one only.

    Args:
        offset_us: How far it is ahead of the system's time.
        system_us: The system's time.
        elapsed_us: A time that only runs forward.
    """

    def __init__(
        self,
        offset_us: int = 0,
        *,
        system_us: Callable[[], int] = _system_us,
        elapsed_us: Callable[[], int] = _elapsed_us,
    ) -> None:
        self._elapsed_us = elapsed_us
        self._system_us = system_us
        #: What is to be added to the time that elapsed.
        self._base_us = system_us() - elapsed_us() + offset_us
        self._held_us: int | None = None

    def now_us(self) -> int:
        """The time."""
        held_us = self._held_us
        return self._base_us + self._elapsed_us() if held_us is None else held_us

    @property
    def offset_us(self) -> int:
        """How far it is ahead of the system's time: what a later process starts with."""
        return self.now_us() - self._system_us()

    @property
    def held(self) -> bool:
        """Whether it stands still."""
        return self._held_us is not None

    def forward_to(self, now_us: int) -> None:
        """Set it forward; a time that is over already changes nothing."""
        if self._held_us is not None:
            self._held_us = max(self._held_us, now_us)
        else:
            self._base_us = max(self._base_us, now_us - self._elapsed_us())

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let it stand still but for `forward_to`; afterwards it runs on from where it was left."""
        self._held_us = self.now_us()
        try:
            yield
        finally:
            self._base_us = self._held_us - self._elapsed_us()
            self._held_us = None

    def wait_s(self, due_us: int) -> float:
        """How many real seconds it takes until a time has come; 0 when it has."""
        return max(0, due_us - self.now_us()) / 1_000_000
