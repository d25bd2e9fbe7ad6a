"""Faults of the broker and the database as services: alarms, policies, connections taken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from parity.scenario.steps import Step
from parity.stack.database import Connection
from parity.stack.engine import wait_for
from parity.stack.faults.live import Live, Subject


@dataclass(frozen=True, kw_only=True)
class _Alarm:
    """How an alarm is raised and shown.

    Args:
        command: The rabbitmqctl command that sets the limit.
        extreme: Its arguments that raise the alarm.
        read: The expression that gives the limit as it is.
        shown_as: The management API's member that tells.
    """

    command: str
    extreme: tuple[str, ...]
    read: str
    shown_as: str


_DISK = _Alarm(
    command="set_disk_free_limit",
    # The largest unit that 3.10 takes.
    extreme=("900000GB",),
    read="rabbit_disk_monitor:get_disk_free_limit().",
    shown_as="disk_free_alarm",
)
_MEMORY = _Alarm(
    command="set_vm_memory_high_watermark",
    extreme=("absolute", "1MB"),
    read="vm_memory_monitor:get_vm_memory_high_watermark().",
    shown_as="mem_alarm",
)


@contextlib.contextmanager
def disk_alarm(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The free-disk limit goes above what any disk has."""
    del step
    with _alarm(_DISK, subjects, live) as proof:
        yield proof


@contextlib.contextmanager
def memory_alarm(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The memory watermark goes below what the node uses."""
    del step
    with _alarm(_MEMORY, subjects, live) as proof:
        yield proof


@contextlib.contextmanager
def _alarm(alarm: _Alarm, subjects: list[Subject], live: Live) -> Iterator[str]:
    broker = live.stack.broker
    # A second or two for each call of rabbitmqctl, so that nodes are better asked side by side.
    with contextlib.ExitStack() as undo, ThreadPoolExecutor(max_workers=8) as pool:
        limits = list(pool.map(lambda subject: broker.control(subject.name, "eval", alarm.read), subjects))
        for subject, before in zip(subjects, limits, strict=True):
            entry = {"do": "control", "container": subject.container.id, "name": subject.name}
            undo.enter_context(live.stack.undo.pending(entry | {"arguments": [alarm.command, before.strip()]}))
        list(pool.map(lambda subject: broker.control(subject.name, alarm.command, *alarm.extreme), subjects))

        def look() -> tuple[str | None, str]:
            shown = {
                subject.name: (
                    broker.request("GET", f"nodes/rabbit@{subject.name}?columns={alarm.shown_as}") or {}
                ).get(alarm.shown_as)
                for subject in subjects
            }
            last = ", ".join(f"{name} {alarm.shown_as}={value}" for name, value in shown.items())
            return (last if all(shown.values()) else None), last

        yield wait_for(f"{alarm.shown_as} on {', '.join(s.name for s in subjects)}", look, within_s=30)


@contextlib.contextmanager
def connections_exhausted(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """Every connection of the database is taken, the application's own included."""
    del step, subjects
    database = live.stack.database
    # Parity's own way of counting effects keeps its place.
    database.query(live.virtual_host, "SELECT 1")
    taken: list[Connection] = []

    def look() -> tuple[str | None, str]:
        # In this order: no place was free when the sessions were looked at, and none was anybody else's.
        taken.extend(database.take_connections(live.virtual_host))
        ended = database.end_sessions(live.virtual_host, None, spare=taken)
        return (None if ended else f"{len(taken)} connections taken, the next one refused"), f"{ended} sessions ended"

    try:
        yield wait_for("the database without sessions of the application", look, within_s=20, every_s=0.02)
    finally:
        for connection in taken:
            connection.close()
