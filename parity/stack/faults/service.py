"""Faults of the broker and the database as services: alarms, policies, connections taken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from parity.scenario.steps import Step
from parity.stack.engine import wait_for
from parity.stack.faults.live import Live, Subject


@contextlib.contextmanager
def disk_alarm(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The free-disk limit goes above what any disk has."""
    del step
    read = "rabbit_disk_monitor:get_disk_free_limit()."
    with _alarm(
        subjects, live, read, ["set_disk_free_limit"], ["set_disk_free_limit", "999TB"], "disk_free_alarm"
    ) as proof:
        yield proof


@contextlib.contextmanager
def memory_alarm(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The memory watermark goes below what the node uses."""
    del step
    read = "vm_memory_monitor:get_vm_memory_high_watermark()."
    low = ["set_vm_memory_high_watermark", "absolute", "1MB"]
    with _alarm(subjects, live, read, ["set_vm_memory_high_watermark"], low, "mem_alarm") as proof:
        yield proof


@contextlib.contextmanager
def _alarm(
    subjects: list[Subject], live: Live, read: str, restore: list[str], raise_it: list[str], shown_as: str
) -> Iterator[str]:
    broker = live.stack.broker
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            before = broker.control(subject.name, "eval", read).strip()
            entry = {"do": "control", "container": subject.container.id, "name": subject.name}
            undo.enter_context(live.stack.undo.pending(entry | {"arguments": [*restore, before]}))
            broker.control(subject.name, *raise_it)

        def look() -> tuple[str | None, str]:
            shown = {
                subject.name: broker.request("GET", f"nodes/rabbit@{subject.name}?columns={shown_as}").get(shown_as)
                for subject in subjects
            }
            last = ", ".join(f"{name} {shown_as}={value}" for name, value in shown.items())
            return (last if all(shown.values()) else None), last

        yield wait_for(f"{shown_as} on {', '.join(s.name for s in subjects)}", look, within_s=30)


@contextlib.contextmanager
def connections_exhausted(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """Every connection of the database is taken, the application's own included."""
    del step, subjects
    database = live.stack.database
    # Parity's own way of counting effects keeps its place.
    database.query(live.virtual_host, "SELECT 1")
    taken = database.take_connections(live.virtual_host)
    try:
        for _ in range(3):
            database.end_sessions(live.virtual_host, None)
            taken += database.take_connections(live.virtual_host)
        yield f"{len(taken)} connections taken, the next one refused"
    finally:
        for connection in taken:
            connection.close()
