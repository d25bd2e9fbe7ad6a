"""A scenario's steps in words."""

from __future__ import annotations

import re
from collections.abc import Callable

from parity.scenario.group import GroupSection
from parity.scenario.ranges import SecondsRange
from parity.scenario.scenario import Scenario
from parity.scenario.steps import EventCount, Step

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TARGETS = {
    "any worker": "a worker",
    "worker holding a job": "a worker that holds a job",
    "that worker": "the worker that did so",
    "queue leader": "the queue's leader",
    "queue follower": "a follower of the queue",
    "any node": "a node",
    "every node in turn": "every node in turn",
    "database": "the database",
    "producer": "every producer",
    "any zone": "a zone",
}
_CUT_OFF = {"nodes": "the other nodes", "clients": "its clients", "everything": "everything"}
_DIRECTIONS = {"in": " (what it should hear)", "out": " (what it says)"}
_WAYS = {
    "discover": "to the instances that are found",
    "refresh": "by refreshing the instances",
    "template": "to the launch template only",
}

#: For each kind what it does, as an instruction.
_WORDS: dict[str, Callable[[Step, str], str]] = {
    "kill": lambda _, on: f"kill {on}",
    "stop": lambda _, on: f"stop {on}",
    "restart": lambda _, on: f"restart {on}",
    "pause": lambda _, on: f"freeze {on}",
    "out_of_memory": lambda _, on: f"let {on} run out of memory",
    "close_connections": lambda _, on: f"close the connections of {on}",
    "isolate": lambda step, on: (
        f"cut {on} off from {_CUT_OFF[step.cut or 'nodes']}{_DIRECTIONS.get(step.direction or '', '')}"
    ),
    "partition": lambda step, _: "part the nodes in " + ("halves" if step.shape == "halves" else "a ring"),
    "delay": lambda step, on: f"delay what {on} sends by {in_seconds(step.by)}",
    "lose": lambda step, on: f"lose {_number(step.percent)} % of what is sent to {on}",
    "throttle": lambda step, on: f"limit {on} to {_number(step.kbit)} kbit/s",
    "slow_down": lambda step, on: f"give {on} {_number(step.percent)} % of a processor",
    "exhaust_connections": lambda *_: "take every connection of the database",
    "disk_alarm": lambda _, on: f"raise a disk alarm on {on}",
    "memory_alarm": lambda _, on: f"raise a memory alarm on {on}",
    "set_policy": lambda *_: "set a policy",
    "submit": lambda step, _: (
        f"submit {_number(step.jobs)} more" + (f" of the kind {step.of_kind}" if step.of_kind else "")
    ),
    "scale": lambda step, _: f"scale to {_number(step.workers)} workers",
    "call": lambda step, _: (
        f"call {step.operation}"
        + (f" on {_TARGETS.get(step.whose, step.whose)}" if step.whose else "")
        + "".join(f", {_asked(name, value)}" for name, value in (step.request or {}).items())
    ),
    "deploy": lambda step, _: f"deploy {step.revision} {_WAYS[step.how or '']}",
    "fail_launches": lambda _, on: f"let launches fail in {on}",
    "lose_zone": lambda _, on: f"lose {on}",
    "spot_notice": lambda _, on: f"tell that {on} is taken back",
}


def describe(scenario: Scenario) -> str:
    """The steps of a drawn scenario as one sentence, without its full stop; empty where there are none."""
    steps = "; ".join(_step(step, is_first=index == 0) for index, step in enumerate(scenario.steps))
    if scenario.group is None:
        return steps
    group = _group(scenario.group)
    return f"in {group}: {steps}" if steps else group


def _group(section: GroupSection) -> str:
    """A group in words."""
    named = {"LifecycleHookName": "hook", "PolicyName": "policy", "ScheduledActionName": "schedule"}
    setup = [
        f"{what} {call.request[key]}" for call in section.setup for key, what in named.items() if key in call.request
    ]
    return f"a group of {section.desired}" + (f" with {' and '.join(setup)}" if setup else "")


def in_seconds(duration: SecondsRange | None) -> str:
    """A drawn duration as people write it: `500ms`, `12s`."""
    assert duration is not None
    whole, rest_ms = divmod(duration.low_ms, 1000)
    return f"{duration.low_ms}ms" if rest_ms else f"{whole}s"


def _step(step: Step, *, is_first: bool) -> str:
    words = f"{_moment(step, is_first=is_first)}{_WORDS[step.kind](step, _TARGETS.get(step.target, step.target))}"
    return words + (f" for {in_seconds(step.lasts)}" if step.lasts else "")


def _moment(step: Step, *, is_first: bool) -> str:
    if isinstance(step.at, EventCount):
        return f"at {step.at.event} {step.at.count.value} "
    if step.at is not None:
        return f"{in_seconds(step.at)} after the start "
    if step.after is not None:
        return f"{in_seconds(step.after)} later "
    return "" if is_first else "then "


def _asked(name: str, value: object) -> str:
    """A parameter of a call: its name in words, and what it is."""
    words = _CAPITAL.sub(" ", name).lower()
    return words if value is True else f"not {words}" if value is False else f"{words} {value}"


def _number(value: object) -> str:
    return str(getattr(value, "value", value))
