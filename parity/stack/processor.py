"""What instances take of the processor and the network, by the engine's own statistics and the kernel's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker.errors
import requests

from parity.model.scaling.world import Measured
from parity.stack.engine import engine
from parity.stack.threads import Thread, control_group, held_back_s, threads

NAMESPACE = "AWS/EC2"
_AT_A_TIME = 8


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a container had used at a moment.

    Args:
        at_s: When.
        cpu_s: Processor seconds since it started.
        cpus: How many processors it may use.
        received_bytes: Over all its networks.
        sent_bytes: Likewise.
        throttled_s: How long it was stopped because its quota was used up, since it started.
        threads: Its threads by their numbers; None where the kernel that runs them cannot be asked.
    """

    at_s: float
    cpu_s: float
    cpus: float
    received_bytes: int
    sent_bytes: int
    throttled_s: float = 0.0
    threads: Mapping[int, Thread] | None = None


def reading(
    stats: Mapping[str, Any], *, cpus: float = 0.0, threads: Mapping[int, Thread] | None = None
) -> Reading | None:
    """What the engine's statistics of a container say; None where it does not run.

    Args:
        stats: As the Engine API has them.
        cpus: How many processors it is limited to; 0: all that there are.
        threads: What the kernel says of its threads; None where it cannot be asked.
    """
    cpu = stats.get("cpu_stats") or {}
    if not cpu.get("online_cpus"):
        return None
    networks = (stats.get("networks") or {}).values()
    return Reading(
        # Nanoseconds, which Python's own reading of such a time cannot have.
        at_s=datetime.fromisoformat(stats["read"][:26].rstrip("Z")).replace(tzinfo=UTC).timestamp(),
        cpu_s=cpu["cpu_usage"]["total_usage"] / 1e9,
        cpus=cpus or float(cpu["online_cpus"]),
        received_bytes=sum(network["rx_bytes"] for network in networks),
        sent_bytes=sum(network["tx_bytes"] for network in networks),
        throttled_s=(cpu.get("throttling_data") or {}).get("throttled_time", 0) / 1e9,
        threads=threads,
    )


def used(before: Reading, after: Reading) -> dict[str, float]:
    """What was used between two readings, by the metric's name: a percentage, and bytes.

    Real: an instance has its processors to itself, and what wants to run does. Ours: what its container used and what
    it would have used besides, had nothing else been on the processors; its limit at most. Why: on a busy machine
    containers get less than their limit. By usage alone, the more there is to do the more idle a group would seem, and
    its policy would make it smaller. Source: `/proc/PID/schedstat`, https://docs.kernel.org/scheduler/sched-stats.html
    """
    passed_s = after.at_s - before.at_s
    if passed_s <= 0 or after.cpu_s < before.cpu_s:
        # It was started anew in between.
        return {}
    used_s = after.cpu_s - before.cpu_s
    held_s = 0.0
    if before.threads is not None and after.threads is not None:
        held_s = held_back_s(
            before.threads,
            after.threads,
            passed_s=passed_s,
            throttled_s=max(0.0, after.throttled_s - before.throttled_s),
            quota_s=used_s / after.cpus,
        )
    return {
        "CPUUtilization": min(100.0, 100 * (used_s + held_s) / (passed_s * after.cpus)),
        "NetworkIn": float(max(0, after.received_bytes - before.received_bytes)),
        "NetworkOut": float(max(0, after.sent_bytes - before.sent_bytes)),
    }


class Processor:
    """Reads instances' statistics, and makes datapoints of the differences: of each instance, as EC2 tells them.

    Args:
        container: The name or id of an instance's container.
        cpus: How many processors each is limited to; 0: all that there are.
    """

    def __init__(self, container: Callable[[str], str], *, cpus: float = 0.0) -> None:
        self._container = container
        self._cpus = cpus
        self._before: dict[str, Reading] = {}
        #: Where the kernel lists instances' threads: the same place for as long as there is the container.
        self._groups: dict[str, Path] = {}

    def notice(self, instances: Iterable[str]) -> None:
        """Take a first reading of those that have none, so that the next makes a datapoint."""
        self._before |= self._read(set(instances) - set(self._before))

    def measure(self, instances: Iterable[str]) -> list[Measured]:
        """Datapoints since the last time. What counts for an instance's group, and from when on, the region knows.

        Args:
            instances: Those that run.
        """
        now = self._read(instances)
        before, self._before = self._before, now
        self._groups = {instance_id: group for instance_id, group in self._groups.items() if instance_id in now}
        return [
            Measured(NAMESPACE, name, (("InstanceId", instance_id),), total=value)
            for instance_id, after in now.items()
            if instance_id in before
            for name, value in used(before[instance_id], after).items()
        ]

    def _read(self, instances: Iterable[str]) -> dict[str, Reading]:
        wanted = list(instances)
        with ThreadPoolExecutor(max_workers=_AT_A_TIME) as pool:
            found = list(pool.map(self._read_one, wanted))
        return {instance_id: one for instance_id, one in zip(wanted, found, strict=True) if one is not None}

    def _read_one(self, instance_id: str) -> Reading | None:
        # One that goes while it is read has nothing to tell any more.
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            container = self._container(instance_id)
            # Before the engine's: what was throttled since then is taken off too much rather than too little.
            found = self._threads(instance_id, container)
            stats = engine().api.stats(container, stream=False, one_shot=True)
            return reading(stats, cpus=self._cpus, threads=found)
        return None

    def _threads(self, instance_id: str, container: str) -> dict[int, Thread] | None:
        group = self._groups.get(instance_id)
        if group is None:
            shown = engine().api.inspect_container(container)
            group = control_group(shown["Id"], shown["State"]["Pid"])
            if group is None:
                return None
            self._groups[instance_id] = group
        return threads(group)
