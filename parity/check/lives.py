"""The lives of witnesses: what a history tells of the jobs that a finding names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from parity.history.events import Delivery, Effect, Event, Fault, Found, Instance, Point, Submit, Submitted


def lives(events: Iterable[Event], jobs: Collection[int]) -> dict[int, list[Event]]:
    """Everything a history tells of some jobs, in its order.

    To a job's own events come the exits of the instance that held it and the faults applied to that instance
    while it held it.

    Args:
        events: The history; a second pass over it, after the one that found the witnesses.
        jobs: The numbers of the jobs.

    Returns:
        The events by job, with an entry for each job asked for.
    """
    told: dict[int, list[Event]] = {job: [] for job in jobs}
    holders: dict[int, str] = {}
    for event in events:
        if isinstance(event, Submit | Submitted | Delivery | Point | Effect | Found):
            if event.job in told:
                told[event.job].append(event)
                _hand_over(event, holders)
            continue
        for name in _taken_away(event):
            for job, holder in holders.items():
                if holder == name:
                    told[job].append(event)
    return told


def _hand_over(event: Event, holders: dict[int, str]) -> None:
    if isinstance(event, Delivery):
        holders[event.job] = event.worker
    elif isinstance(event, Point) and event.point == "acknowledged" and holders.get(event.job) == event.worker:
        del holders[event.job]


def _taken_away(event: Event) -> tuple[str, ...]:
    """The instances an event took away from their jobs."""
    if isinstance(event, Instance) and event.state == "exited":
        return (event.instance,)
    if isinstance(event, Fault) and event.phase == "applied":
        return event.on
    return ()
