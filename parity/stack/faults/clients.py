"""The clients of a run, and having the broker close their connections."""

from __future__ import annotations

import time

from parity.stack import launch
from parity.stack.faults.live import Live, Subject, producers_of

#: The management API lists a new connection only after its statistics interval, 5 s by default.
_LISTED_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.2


def clients_of(live: Live) -> list[Subject]:
    """Every living worker and every producer."""
    workers = [Subject(name=name, role="worker", container=live.group.container(name)) for name in live.group.alive()]
    return workers + producers_of(live)


def disconnect(subjects: list[Subject], live: Live) -> tuple[dict[str, int], list[str]]:
    """Have the broker close each client's connections, once.

    Returns:
        How many were closed, by client; and the clients of whom the broker listed none in time.
    """
    waiting = {subject.name: launch.address(subject.container) for subject in subjects}
    closed: dict[str, int] = {}
    deadline = time.monotonic() + _LISTED_WITHIN_S
    while waiting and time.monotonic() < deadline:
        for name, address in list(waiting.items()):
            count = live.stack.broker.close_connections(live.virtual_host, {address})
            if count:
                closed[name] = count
                del waiting[name]
        if waiting:
            time.sleep(_LOOK_EVERY_S)
    return closed, sorted(waiting)
