"""What the properties of an Auto Scaling group need to know of a history, gathered as its events go by."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from parity.check.terminations import Terminations
from parity.history.events import (
    Activity,
    Archived,
    Capacity,
    Connections,
    Deployed,
    Event,
    Instance,
    Lifecycle,
    Printed,
    Revision,
)

_LAUNCH = "Launching a new EC2 instance"
_TERMINATE = "Terminating EC2 instance"
#: What states begin with in which an instance is no part of the group's capacity: it is on its way out, stands by, or
#: is none of the group's any more.
_LEAVING = ("Terminat", "Detach", "EnteringStandby", "Standby")
#: AWS's sentence for a policy that changed the desired number because of an alarm.
_BY_POLICY = re.compile(
    r"At \S+ a monitor alarm .+? in state \w+ triggered policy (?P<policy>.+?) "
    r"changing the desired capacity from (?P<before>\d+) to (?P<after>\d+)\."
)


class Shrunk(NamedTuple):
    """A policy lowered the desired number.

    Args:
        t_us: When it was seen.
        policy: Which one.
        before: The number.
        after: Likewise.
        backlog: Jobs submitted ok without effect.
        growth: How many more these are than when the desired number changed last.
    """

    t_us: int
    policy: str
    before: int
    after: int
    backlog: int
    growth: int


class Scaling:
    """The group's side of a history.

    The watch is over when the census begins: that ends every worker itself.

    Args:
        terminations: Told of lifecycle states.
    """

    def __init__(self, terminations: Terminations) -> None:
        self._terminations = terminations
        #: The last numbers that were told, and when.
        self.capacity: Capacity | None = None
        #: Since when the numbers differ, in microseconds; None while they agree.
        self.apart_since_us: int | None = None
        #: How long each time took until they agreed, in microseconds.
        self.converged_us: list[int] = []
        #: When what was out of bounds, in words.
        self.out_of_bounds: list[str] = []
        #: Instances that live: started, and not seen to end.
        self.living: set[str] = set()
        self.lived: set[str] = set()
        self.ended: set[str] = set()
        self.states: dict[str, str] = {}
        #: The last status of each activity, with its instance: launches and terminations.
        self.launches: dict[str, Activity] = {}
        self.terminations: dict[str, Activity] = {}
        #: The revision that was deployed last; empty while none was.
        self.deployed = ""
        #: What each instance said last that it has.
        self.revisions: dict[str, str] = {}
        #: Jobs submitted ok that have no effect: now, and when the desired number changed last.
        self.backlog = 0
        self.backlog_before = 0
        self.shrunk: list[Shrunk] = []
        #: Sentences of causes that were read already: each instance that goes has its own activity.
        self._causes: set[str] = set()
        #: When the database had the least room.
        self.connections: Connections | None = None
        #: The fewest that it had.
        self.connections_least = 0
        #: When each instance ended, in microseconds.
        self.ended_us: dict[str, int] = {}
        self.printed: dict[str, Printed] = {}
        self.archived: dict[str, Archived] = {}
        self.handlers: dict[type, Callable[[Any], None]] = {
            Capacity: self._capacity,
            Lifecycle: self._lifecycle,
            Activity: self._activity,
            Deployed: self._deployed,
            Revision: self._revision,
            Connections: self._connections,
            Printed: self._printed,
            Archived: self._archived,
        }

    def instance(self, event: Instance) -> None:
        """An instance changed state, before the census."""
        if event.state == "running":
            self.living.add(event.instance)
            self.lived.add(event.instance)
            self._count(event)
        elif event.state in ("exited", "removed"):
            self.living.discard(event.instance)
            self.ended.add(event.instance)
            self.ended_us.setdefault(event.instance, event.t_us)

    def _capacity(self, event: Capacity) -> None:
        before, self.capacity = self.capacity, event
        if before is None or before.desired != event.desired:
            self.backlog_before = self.backlog
        if not event.min_size <= event.desired <= event.max_size:
            self._wrong(event, f"{event.desired} are desired, of {event.min_size} to {event.max_size}")
        self._count(event)
        if event.in_service == event.desired:
            if self.apart_since_us is not None:
                self.converged_us.append(event.t_us - self.apart_since_us)
            self.apart_since_us = None
        elif self.apart_since_us is None or (before is not None and before.desired != event.desired):
            self.apart_since_us = event.t_us

    def _count(self, event: Event) -> None:
        """See whether more really live than the group may have."""
        numbers = self.capacity
        if numbers is None or numbers.excused:
            return
        staying = [name for name in self.living if not self.states.get(name, "Pending").startswith(_LEAVING)]
        if len(staying) > numbers.max_size:
            self._wrong(event, f"{len(staying)} live and stay, of at most {numbers.max_size}")

    def _wrong(self, event: Event, text: str) -> None:
        told = f"{text} (at {event.t_us / 1e6:.3f} s)"
        if len(self.out_of_bounds) < 3:
            self.out_of_bounds.append(told)

    def _lifecycle(self, event: Lifecycle) -> None:
        self._terminations.lifecycle(event)
        if event.state:
            self.states[event.instance] = event.state
        else:
            self.states[event.instance] = "Detached" if event.instance in self.living else "Terminated"

    def _activity(self, event: Activity) -> None:
        if event.description.startswith(_LAUNCH):
            self.launches[event.activity] = event
        elif event.description.startswith(_TERMINATE):
            self.terminations[event.activity] = event
            self._read_cause(event)

    def _read_cause(self, event: Activity) -> None:
        """See whether it was a policy that wanted fewer. What it changed is told after the activities it made."""
        for found in _BY_POLICY.finditer(event.cause):
            before, after = int(found["before"]), int(found["after"])
            if after < before and found[0] not in self._causes:
                self._causes.add(found[0])
                growth = self.backlog - self.backlog_before
                self.shrunk.append(Shrunk(event.t_us, found["policy"], before, after, self.backlog, growth))

    def _deployed(self, event: Deployed) -> None:
        self.deployed = event.revision

    def _revision(self, event: Revision) -> None:
        self.revisions[event.instance] = event.revision

    def _connections(self, event: Connections) -> None:
        self.connections_least = event.used if self.connections is None else min(event.used, self.connections_least)
        room = event.limit - event.used
        if self.connections is None or room < self.connections.limit - self.connections.used:
            self.connections = event

    def _printed(self, event: Printed) -> None:
        self.printed[event.instance] = event

    def _archived(self, event: Archived) -> None:
        self.archived[event.instance] = event
