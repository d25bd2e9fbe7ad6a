"""Health checks of targets: real requests, as the target group says that they are to be.

Nothing of HAProxy's is used for it: HAProxy 2.6 changes neither interval, thresholds, time-out nor accepted codes of a
server that is there, and a target group's may be changed at any time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from parity.model.scaling.balancing.health_checks import HealthCheck, Standing
from parity.model.scaling.world import TargetHealth

_EVERY_S = 0.5
#: What has just begun to run gets this long to listen before its first check. ELBv2 does not say when it makes it.
_FIRST_AFTER_S = 1.0
#: Source: ELB user guide, "Health checks for Application Load Balancer target groups".
_HEADERS = {"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check came to: nothing where it passed, or ELBv2's reason, and the status code that was not well."""

    reason: str = ""
    code: int = 0


@dataclass(eq=False, kw_only=True)
class _Checked:
    """A target that is checked. Times are of the monotonic clock."""

    target_group: str
    instance_id: str
    port: int
    first_s: float
    #: When the last check began.
    began_s: float | None = None
    under_way: bool = False
    standing: Standing = field(default_factory=Standing)

    def due_s(self, check: HealthCheck) -> float:
        """When the next check is due, if it is made so."""
        return self.first_s if self.began_s is None else self.began_s + check.interval_s


class Checker:
    """Checks targets, in real seconds whatever the region's clock does.

    Args:
        check_of: How a target group, by its ARN, has its targets checked; None: it is gone.
        address_of: An instance's address; empty while it does not run.
        found: Told when a target is otherwise than before.
        first_after_s: How long after its registration a target is checked for the first time.
        every_s: How often it is seen what is due, and whether checks are to be otherwise.
    """

    def __init__(
        self,
        *,
        check_of: Callable[[str], HealthCheck | None],
        address_of: Callable[[str], str],
        found: Callable[[TargetHealth], None],
        first_after_s: float = _FIRST_AFTER_S,
        every_s: float = _EVERY_S,
    ) -> None:
        self._check_of = check_of
        self._address_of = address_of
        self._found = found
        self._first_after_s = first_after_s
        self._every_s = every_s
        self._lock = threading.Lock()
        self._checked: dict[tuple[str, str], _Checked] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checker", daemon=True)

    def start(self) -> None:
        """Begin to check."""
        self._thread.start()

    def close(self) -> None:
        """Check no more."""
        self._closed.set()

    def add(self, target_group: str, instance_id: str, port: int) -> None:
        """Check a target from now on, as one of which nothing is known."""
        first_s = time.monotonic() + self._first_after_s
        checked = _Checked(target_group=target_group, instance_id=instance_id, port=port, first_s=first_s)
        with self._lock:
            self._checked[target_group, instance_id] = checked

    def remove(self, target_group: str, instance_id: str) -> None:
        """Check a target no more."""
        with self._lock:
            self._checked.pop((target_group, instance_id), None)

    def _run(self) -> None:
        while not self._closed.wait(self._every_s):
            for checked, check in self._due():
                # A thread each, at most one for a target: a check may take two minutes, and must not hold up an end.
                threading.Thread(target=self._check, args=(checked, check), name="check", daemon=True).start()

    def _due(self) -> list[tuple[_Checked, HealthCheck]]:
        with self._lock:
            every = list(self._checked.values())
        # Asked without the lock: whoever answers may be waiting for it, to have a target checked.
        checks = {one: self._check_of(one) for one in {checked.target_group for checked in every}}
        now_s = time.monotonic()
        due = []
        for checked in every:
            check = checks[checked.target_group]
            if check is not None and not checked.under_way and checked.due_s(check) <= now_s:
                checked.under_way, checked.began_s = True, now_s
                due.append((checked, check))
        return due

    def _check(self, checked: _Checked, check: HealthCheck) -> None:
        host = self._address_of(checked.instance_id)
        outcome = (
            probe(check, host, check.port or checked.port) if host else Outcome(reason="Target.FailedHealthChecks")
        )
        healthy = not outcome.reason
        with self._lock:
            checked.under_way = False
            if self._checked.get((checked.target_group, checked.instance_id)) is not checked:
                return
            if not checked.standing.take(check, passed=healthy):
                return
        self._found(
            TargetHealth(
                checked.target_group, checked.instance_id, healthy=healthy, reason=outcome.reason, code=outcome.code
            )
        )


def probe(check: HealthCheck, host: str, port: int) -> Outcome:
    """Check once.

    Args:
        check: How.
        host: The target's address.
        port: Its port.
    """
    try:
        if check.protocol == "TCP":
            socket.create_connection((host, port), timeout=check.timeout_s).close()
            return Outcome()
        code = _ask(check, host, port)
    except TimeoutError:
        return Outcome(reason="Target.Timeout")
    except (OSError, http.client.HTTPException):
        return Outcome(reason="Target.FailedHealthChecks")
    return Outcome() if check.accepts(code) else Outcome(reason="Target.ResponseCodeMismatch", code=code)


def _ask(check: HealthCheck, host: str, port: int) -> int:
    connection: http.client.HTTPConnection
    if check.protocol == "HTTPS":
        # As ELBv2: whose certificate it is does not matter.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=check.timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=check.timeout_s)
    try:
        connection.request("GET", check.path, headers=_HEADERS)
        return connection.getresponse().status
    finally:
        connection.close()
