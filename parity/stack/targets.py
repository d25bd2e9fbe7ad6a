"""Instances behind target groups: whether they take connections, as a load balancer's health check asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from parity.model.scaling.world import Deregister, Deregistered, Input, Register, TargetHealth

#: How long a connection may take, and how long from one check of all to the next.
_CONNECT_S = 1.0
_EVERY_S = 5.0
#: ELBv2's defaults: so many checks in a row make a target healthy, or unhealthy.
_HEALTHY_AFTER = 1
_UNHEALTHY_AFTER = 2


class Targets:
    """Checks every registered target now and then, by opening a TCP connection to its port.

    Args:
        tell: Where facts go.
        address_of: An instance's address; empty while it does not run.
    """

    def __init__(self, tell: Callable[[Input], None], *, address_of: Callable[[str], str]) -> None:
        self._tell = tell
        self._address_of = address_of
        self._lock = threading.Lock()
        #: How often in a row each answered (above zero) or did not, since it was told last.
        self._streaks: dict[tuple[str, str, int], int] = {}
        self._told: dict[tuple[str, str, int], bool] = {}
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="targets", daemon=True)

    def start(self) -> None:
        """Begin to check."""
        self._thread.start()

    def close(self) -> None:
        """Check no more."""
        self._closed = True
        self._wake.set()

    def apply(self, action: Register | Deregister) -> None:
        """Take a target in, or out. Nothing is balanced here, so one that goes has nothing under way."""
        if isinstance(action, Register):
            key = (action.target_group, action.instance_id, action.port)
            with self._lock:
                self._streaks[key] = 0
                self._told.pop(key, None)
            self._wake.set()
            return
        with self._lock:
            for key in [key for key in self._streaks if key[:2] == (action.target_group, action.instance_id)]:
                del self._streaks[key]
                self._told.pop(key, None)
        self._tell(Deregistered(action.target_group, action.instance_id))

    def _run(self) -> None:
        with ThreadPoolExecutor(max_workers=16, thread_name_prefix="target") as pool:
            while not self._closed:
                self._wake.clear()
                with self._lock:
                    keys = list(self._streaks)
                for key, answers in zip(keys, pool.map(self._answers, keys), strict=True):
                    self._count(key, answers=answers)
                self._wake.wait(_EVERY_S)

    def _answers(self, key: tuple[str, str, int]) -> bool:
        _, instance_id, port = key
        if not (address := self._address_of(instance_id)):
            return False
        try:
            socket.create_connection((address, port), timeout=_CONNECT_S).close()
        except OSError:
            return False
        return True

    def _count(self, key: tuple[str, str, int], *, answers: bool) -> None:
        with self._lock:
            if key not in self._streaks:
                return
            streak = self._streaks[key]
            streak = max(streak, 0) + 1 if answers else min(streak, 0) - 1
            self._streaks[key] = streak
            if self._told.get(key) is answers or -_UNHEALTHY_AFTER < streak < _HEALTHY_AFTER:
                return
            self._told[key] = answers
        reason = "" if answers else "Target.FailedHealthChecks"
        self._tell(TargetHealth(key[0], key[1], healthy=answers, reason=reason))
