"""A load balancer in the stack: the targets of a target group are servers of HAProxy's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from parity.errors import StackError
from parity.model.scaling.balancing.routing import Routing
from parity.model.scaling.world import CutOff, Deregister, Deregistered, Input, Measured, Register, TargetHealth
from parity.stack.haproxy import Runtime, ServerState
from parity.stack.trouble import Trouble

#: How often servers are looked at.
_EVERY_S = 1.0


@dataclass
class _Target:
    """A target; what it was found to be is told once HAProxy has been told."""

    target_group: str
    port: int
    #: What its checks came to last.
    found: TargetHealth | None = None
    told: TargetHealth | None = None
    draining: bool = False
    #: HAProxy was told to send it nothing new.
    drained: bool = False
    #: Its deregistration delay is over.
    cut_off: bool = False
    #: The requests that it had answered when they were counted last; None: it was there before anybody counted.
    counted: int | None = None

    @property
    def healthy(self) -> bool | None:
        return None if self.found is None else self.found.healthy


class Balancer:
    """Keeps HAProxy's servers as the target group's targets are, and tells of their health once HAProxy knows.

    What HAProxy has is looked at again and again and made what it should be: so one that was started again, and has
    forgotten every server, has them again a second later.

    Args:
        runtime: HAProxy's.
        name: The target group's name: whatever its account and region.
        tell: Where facts go.
        address_of: An instance's address; empty while it does not run.
        routing_of: Where requests to a target group, by its ARN, go; None: it is gone.
        say: Told when HAProxy does not do what it should, and when it does again.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        name: str,
        tell: Callable[[Input], None],
        address_of: Callable[[str], str],
        routing_of: Callable[[str], Routing | None],
        say: Callable[[str], None],
    ) -> None:
        self._runtime = runtime
        self._part = f":targetgroup/{name}/"
        self._tell = tell
        self._address_of = address_of
        self._routing_of = routing_of
        self._say = say
        self._trouble = Trouble(say, over="the load balancer does what it should again")
        self._unheeded: tuple[str, ...] = ()
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

    def apply(self, action: Register | Deregister | CutOff | TargetHealth) -> None:
        """Take a target in, have it drain or be cut off, or take in how it is; what becomes of that is told."""
        with self._lock:
            target = self._targets.get(action.instance_id)
            match action:
                case Register():
                    self._targets[action.instance_id] = _Target(action.target_group, action.port)
                case Deregister():
                    target = target or _Target(action.target_group, 0)
                    target.draining = True
                    self._targets[action.instance_id] = target
                case CutOff() if target is not None and target.draining:
                    target.cut_off = True
                case TargetHealth() if target is not None and not target.draining:
                    target.found = action
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
                self._trouble.found("")
            except StackError as error:
                self._trouble.found(str(error))
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
            self._remove(name, servers[name])
        for name, target in targets.items():
            if name in servers:
                self._count(target, servers[name])
        too_few = self._too_few([target for target in targets.values() if not target.draining])
        for name, target in targets.items():
            if target.draining:
                self._drain(name, target, servers.get(name))
            else:
                self._keep(name, target, servers.get(name), unhealthy_too=too_few)
        with self._lock:
            self._healthy = sum(target.healthy is True and not target.draining for target in self._targets.values())

    def _too_few(self, targets: list[_Target]) -> bool:
        """Whether so few are healthy that requests go to the unhealthy ones as well."""
        routing = self._routing_of(targets[0].target_group) if targets else None
        if routing is None:
            return False
        for one in routing.unheeded:
            if one not in self._unheeded:
                self._say(f"the load balancer does not obey {one}")
        self._unheeded = routing.unheeded
        return sum(target.healthy is True for target in targets) < routing.fewest_healthy(len(targets))

    def _count(self, target: _Target, server: ServerState) -> None:
        with self._lock:
            if target.counted is not None:
                # Fewer than before: HAProxy was started again, and counts anew.
                new = server.requests - target.counted
                self._requests += new if new >= 0 else server.requests
            target.counted = server.requests

    def _drain(self, name: str, target: _Target, server: ServerState | None) -> None:
        over = target.cut_off or not self._address_of(name)
        if server is not None and not over:
            if not target.drained:
                # What is under way was counted before this: a request may have come in between. The next look knows.
                self._runtime.set_ready(name, ready=False)
                target.drained = True
                return
            if server.under_way:
                return
        if server is not None:
            self._remove(name, server)
        with self._lock:
            if self._targets.get(name) is not target:
                return
            del self._targets[name]
        if not target.cut_off:
            self._tell(Deregistered(target.target_group, name))

    def _remove(self, name: str, server: ServerState) -> None:
        """Have a server gone, now or at one of the next looks: HAProxy keeps it while it has connections."""
        if server.ready:
            self._runtime.set_ready(name, ready=False)
        if server.under_way:
            self._runtime.cut_off(name)
        self._runtime.remove(name)

    def _keep(self, name: str, target: _Target, server: ServerState | None, *, unhealthy_too: bool) -> None:
        host = self._address_of(name)
        address = f"{host}:{target.port}"
        if server is not None and host and server.address != address:
            self._remove(name, server)
            return
        if server is None:
            if not host:
                return
            self._runtime.add(name, address)
            target.counted = 0
        # Before it was checked, one that is there stays as an earlier process had it.
        before = server is not None and server.ready
        ready = bool(host) and (before if target.healthy is None else target.healthy or unhealthy_too)
        if ready is not before:
            self._runtime.set_ready(name, ready=ready)
        if target.found is not target.told and target.found is not None:
            target.told = target.found
            self._tell(target.found)
