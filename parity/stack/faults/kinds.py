"""Each kind of fault, and what applies it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from parity.scenario.steps import Step
from parity.stack.faults import link, process, service, zone
from parity.stack.faults.live import Live, Subject

#: Applies a step to what its role was resolved to; yields the proof that it was applied; leaving it heals.
Apply = Callable[[Step, list[Subject], Live], AbstractContextManager[str]]

FAULTS: dict[str, Apply] = {
    "kill": process.killed,
    "stop": process.stopped,
    "restart": process.restarted,
    "pause": process.paused,
    "out_of_memory": process.out_of_memory,
    "slow_down": process.slowed_down,
    "close_connections": process.connections_closed,
    "isolate": link.isolated,
    "partition": link.partitioned,
    "delay": link.delayed,
    "lose": link.lossy,
    "throttle": link.throttled,
    "disk_alarm": service.disk_alarm,
    "memory_alarm": service.memory_alarm,
    "exhaust_connections": service.connections_exhausted,
    "fail_launches": zone.without_room,
    "lose_zone": zone.lost,
    "spot_notice": zone.noticed,
}
