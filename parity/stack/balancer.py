"""A load balancer in the stack: the targets of a target group are servers of HAProxy's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from parity.errors import StackError
from parity.model.scaling.world import Deregister, Deregistered, Input, Measured, Register, TargetHealth
from parity.stack.haproxy import Runtime, ServerState

#: How often servers are looked at, and checked.
_EVERY_S = 1.0
_CHECK_EVERY_S = 2.0
#: Real: ELBv2 makes a target healthy after five checks. Ours: one. Why: a new target's first check does that.
_RISE = 1
_FALL = 2
_REASONS = {"L7STS": "Target.ResponseCodeMismatch", "L4TOUT": "Target.Timeout", "L7TOUT": "Target.Timeout"}


@dataclass
class _Target:
    target_group: str
    port: int
    draining: bool = False
    #: HAProxy was told to send it nothing new.
    drained: bool = False
    #: What was told last; None: nothing.
    told: bool | None = None
    #: The requests that it had answered when they were counted last.
    counted: int = 0


class Balancer:
    """Keeps HAProxy's servers as the target group's targets are, and tells of their health.

    What HAProxy has is looked at again and again and made what it should be: so one that was started again, and has
    forgotten every server, has them again a second later.

    Args:
        runtime: HAProxy's.
        name: The target group's name: whatever its account and region.
        tell: Where facts go.
        address_of: An instance's address; empty while it does not run.
        say: Told when HAProxy does not do what it should, and when it does again.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        name: str,
        tell: Callable[[Input], None],
        address_of: Callable[[str], str],
        say: Callable[[str], None],
    ) -> None:
        self._runtime = runtime
        self._part = f":targetgroup/{name}/"
        self._tell = tell
        self._address_of = address_of
        self._say = say
        self._wrong = ""
        self._lock = threading.Lock()
        self._targets: dict[str, _Target] = {}
        #: Requests that were answered since they were measured last.
        self._requests = 0
        self._healthy = 0
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="balancer", daemon=True)

    def serves(self, target_group: str) -> bool:
        """Whether a target group, by its ARN, is this one's."""
        return self._part in target_group

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Leave HAProxy as it is."""
        self._closed = True
        self._wake.set()

    def apply(self, action: Register | Deregister) -> None:
        """Take a target in, or have it drain; that it has is told."""
        with self._lock:
            if isinstance(action, Register):
                self._targets[action.instance_id] = _Target(action.target_group, action.port)
            elif target := self._targets.get(action.instance_id):
                target.draining = True
            else:
                self._targets[action.instance_id] = _Target(action.target_group, 0, draining=True)
        self._wake.set()

    def measure(self) -> list[Measured]:
        """Requests since the last time, altogether and for each healthy target, as ELBv2 has them."""
        with self._lock:
            groups = {target.target_group for target in self._targets.values()}
            requests, self._requests = self._requests, 0
            healthy = self._healthy
        points = []
        for group in groups:
            dimensions = (("TargetGroup", "targetgroup/" + group.partition(":targetgroup/")[2]),)
            values = {"RequestCount": float(requests), "HealthyHostCount": float(healthy)}
            if healthy:
                values["RequestCountPerTarget"] = requests / healthy
            points += [
                Measured(
                    namespace="AWS/ApplicationELB",
                    name=name,
                    dimensions=dimensions,
                    total=value,
                    count=1.0,
                    low=value,
                    high=value,
                )
                for name, value in values.items()
            ]
        return points

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            try:
                self.look()
                self._remark("")
            except StackError as error:
                self._remark(str(error))
            self._wake.wait(_EVERY_S)

    def look(self) -> None:
        """Make HAProxy's servers what they should be, and tell what became of them.

        Raises:
            StackError: HAProxy does not answer, or refuses.
        """
        servers = self._runtime.servers()
        with self._lock:
            targets = dict(self._targets)
        for name in servers.keys() - targets.keys():
            self._runtime.remove(name)
        for name, target in targets.items():
            server = servers.get(name)
            if server is not None:
                self._count(target, server)
            if target.draining:
                self._drain(name, target, server)
            else:
                self._keep(name, target, server)
        with self._lock:
            self._healthy = sum(target.told is True and not target.draining for target in self._targets.values())

    def _count(self, target: _Target, server: ServerState) -> None:
        with self._lock:
            # Fewer than before: HAProxy was started again, and counts anew.
            new = server.requests - target.counted
            self._requests += new if new >= 0 else server.requests
            target.counted = server.requests

    def _drain(self, name: str, target: _Target, server: ServerState | None) -> None:
        if server is not None:
            alive = bool(self._address_of(name))
            if alive and not target.drained:
                # What is under way was counted before this: a request may have come in between. The next look knows.
                self._runtime.drain(name)
                target.drained = True
                return
            if alive and server.under_way:
                return
            self._runtime.remove(name)
        with self._lock:
            if self._targets.get(name) is not target:
                return
            del self._targets[name]
        self._tell(Deregistered(target.target_group, name))

    def _keep(self, name: str, target: _Target, server: ServerState | None) -> None:
        host = self._address_of(name)
        address = f"{host}:{target.port}"
        if server is not None and host and server.address != address:
            self._runtime.remove(name)
            server = None
        if server is None:
            if host:
                self._runtime.add(name, address, every_s=_CHECK_EVERY_S, rise=_RISE, fall=_FALL)
                target.counted = 0
            return
        if server.up is None or server.up is target.told:
            return
        target.told = server.up
        reason = "" if server.up else _REASONS.get(server.check, "Target.FailedHealthChecks")
        self._tell(TargetHealth(target.target_group, name, healthy=server.up, reason=reason))

    def _remark(self, wrong: str) -> None:
        """Say once what is wrong, and once that it is over."""
        if bool(wrong) != bool(self._wrong):
            self._say(wrong or "the load balancer does what it should again")
        self._wrong = wrong
