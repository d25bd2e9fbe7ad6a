"""A region: takes calls, facts and the time; gives answers and actions.

The parts register here what they answer, take in and do; `parity.model.scaling.api` imports them all.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.state import Group, State
from parity.model.scaling.world import Action, Input

Request = Mapping[str, Any]
Answer = dict[str, Any]
Operation = Callable[["Region", Request], Answer]


class Kept(dict[str, Any]):
    """A part of answers that is the same object as long as it says the same: whoever writes it may keep that here."""

    __slots__ = ("written",)
    written: Any


OPERATIONS: dict[tuple[str, str], Operation] = {}
#: Operations that change nothing, by service and name: need not be kept to have the same state again.
READS: set[tuple[str, str]] = set()
_TIMERS: dict[str, Callable[..., None]] = {}
_FACTS: dict[type, Callable[[Region, Any], None]] = {}
_SETTLERS: list[Callable[[Region, Group], None]] = []


def operation(service: str, name: str, *, reads: bool = False) -> Callable[[Operation], Operation]:
    """Register what answers an operation: called with the region and the request as botocore's shapes have it.

    Times in requests and answers are microseconds since 1970; structures, lists and maps are dicts and lists.
    """

    def register(function: Operation) -> Operation:
        OPERATIONS[service, name] = function
        if reads:
            READS.add((service, name))
        return function

    return register


def timer(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register what a kind of timer calls: with the region and the strings that were given to `Region.after`.

    A timer is never taken back. What it calls looks whether there still is something to do.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        _TIMERS[kind] = function
        return function

    return register


def fact(kind: type) -> Callable[[Callable[[Region, Any], None]], Callable[[Region, Any], None]]:
    """Register what takes in a kind of input."""

    def register(function: Callable[[Region, Any], None]) -> Callable[[Region, Any], None]:
        _FACTS[kind] = function
        return function

    return register


def settler(function: Callable[[Region, Group], None]) -> Callable[[Region, Group], None]:
    """Register what is called with every group that was touched.

    It does what there is to do, and touches the group again if that changed what others look at.
    """
    _SETTLERS.append(function)
    return function


class Region:
    """One account in one region.

    Args:
        state: What it knows; changed in place.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._actions: list[Action] = []
        #: Answers that hold until what they show changes; whoever keeps one says when it does.
        self.kept: dict[str, Any] = {}
        #: Groups that may have something to do; in order, each once.
        self._touched: dict[str, None] = dict.fromkeys(state.groups)

    @property
    def now_us(self) -> int:
        """The time of what happens at the moment."""
        return self.state.now_us

    def call(self, now_us: int, service: str, name: str, request: Request) -> Answer:
        """Carry out a call of the API.

        Args:
            now_us: The time; one that is before the last counts as the last.
            service: Such as `autoscaling`.
            name: Such as `CreateAutoScalingGroup`.
            request: Its parameters, shaped as botocore's models have them.

        Returns:
            The answer, shaped likewise. What is in it must not be changed.

        Raises:
            ServiceError: AWS would refuse it; nothing was changed.
            KeyError: The operation is not modelled.
        """
        handler = OPERATIONS[service, name]
        self._advance(now_us)
        answer = handler(self, request)
        if (service, name) not in READS:
            self._settle()
        return answer

    def step(self, now_us: int, inputs: Iterable[Input] = ()) -> list[Action]:
        """Let time pass, and take facts in.

        Args:
            now_us: The time; one that is before the last counts as the last.
            inputs: What the world told, in order.

        Returns:
            What the world must do, what calls since the last step brought about included.
        """
        self._advance(now_us)
        for given in inputs:
            _FACTS[type(given)](self, given)
        self._settle()
        actions, self._actions = self._actions, []
        return actions

    def due_us(self) -> int | None:
        """When it must be stepped at the latest, if nothing else happens."""
        if self._actions:
            return self.now_us
        return self.state.timers[0][0] if self.state.timers else None

    def _advance(self, now_us: int) -> None:
        """Let what was due happen, each at its own time."""
        # Groups of a state that was read again have nothing to do, and must not come before others for it.
        self._settle()
        timers = self.state.timers
        while timers and timers[0][0] <= now_us:
            due_us, _, kind, arguments = heapq.heappop(timers)
            self.state.now_us = max(self.now_us, due_us)
            _TIMERS[kind](self, *arguments)
            self._settle()
        self.state.now_us = max(self.now_us, now_us)

    def _settle(self) -> None:
        """Let every group that was touched do what it has to, until none has anything."""
        while self._touched:
            name = next(iter(self._touched))
            del self._touched[name]
            if group := self.state.groups.get(name):
                for settle in _SETTLERS:
                    settle(self, group)

    # What the parts use.

    def act(self, action: Action) -> None:
        """Ask something of the world."""
        self._actions.append(action)

    def touch(self, group: Group) -> None:
        """Have a group looked at: what it has or should have, or what is shown of it, may have changed."""
        group.changed += 1
        self._touched[group.name] = None

    def at(self, due_us: int, kind: str, *arguments: str) -> None:
        """Set a timer."""
        self.state.timers_set += 1
        heapq.heappush(self.state.timers, (due_us, self.state.timers_set, kind, arguments))

    def draw(self, count: int) -> int:
        """A choice of 0 to count - 1."""
        return int(self._digest()[:15], 16) % count

    def new_id(self, prefix: str) -> str:
        """An id as EC2 gives them: `i-` and 17 hexadecimal digits."""
        return prefix + self._digest()[:17]

    def new_uuid(self) -> str:
        """An id as Auto Scaling gives them, such as an activity's."""
        text = self._digest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"

    def arn(self, service: str, rest: str) -> str:
        """An ARN in this account and region."""
        return f"arn:aws:{service}:{self.state.region}:{self.state.account_id}:{rest}"

    def group(self, name: str) -> Group:
        """A group by name.

        Raises:
            ServiceError: There is none.
        """
        if name not in self.state.groups:
            raise ServiceError(
                "ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup {name} not found"
            )
        return self.state.groups[name]

    def _digest(self) -> str:
        self.state.drawn += 1
        return hashlib.blake2b(f"{self.state.seed}.{self.state.drawn}".encode(), digest_size=16).hexdigest()
