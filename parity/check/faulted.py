"""How long a run was under fault: time that the scenario asks for, whatever the stack and parity make of it."""

from __future__ import annotations

from collections.abc import Iterable

from parity.history.events import Event, Fault
from parity.scenario.steps import KINDS


def faulted_s(events: Iterable[Event]) -> float:
    """Seconds during which a fault was being applied, was applied, or was being healed; overlaps count once.

    A fault lasts from `applying` to `healed`, or to `failed` where it was never applied; one that is not over when
    the history stops lasts until then. Steps that are no faults, such as a burst of jobs, do not count.

    Args:
        events: The history, in its order; read once, and never held.
    """
    active: set[int] = set()
    applied: set[int] = set()
    began_us = total_us = now_us = 0
    for event in events:
        now_us = event.t_us
        # One that was applied and cannot be healed says `failed` too, and is still there.
        if not isinstance(event, Fault) or not _is_fault(event.kind):
            continue
        if event.phase == "applying":
            began_us = began_us if active else now_us
            active.add(event.fault)
        elif event.phase == "applied":
            applied.add(event.fault)
        elif event.fault in active and (event.phase == "healed" or _never_applied(event, applied)):
            active.discard(event.fault)
            applied.discard(event.fault)
            total_us += 0 if active else now_us - began_us
    if active:
        total_us += now_us - began_us
    return total_us / 1e6


def _never_applied(event: Fault, applied: set[int]) -> bool:
    return event.phase == "failed" and event.fault not in applied


def _is_fault(kind: str) -> bool:
    return kind not in KINDS or KINDS[kind].fault
