"""Scenarios with an Auto Scaling group: what is drawn of the group and done with it, what is claimed, what is fair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from parity.model.settings import WorkerModel
from parity.scenario.group import Call, GroupSection
from parity.scenario.properties import GROUP_PROPERTIES, Properties
from parity.scenario.ranges import SecondsRange
from parity.scenario.scenario import Scenario
from parity.scenario.steps import KINDS, SAME, WORKERS, ZONES, EventCount, Step
from parity.sim.chooser import Chooser, exactly
from parity.sim.space import Space

#: One run in so many has a group; more where the stack has something that only a group can bring to light.
ONE_IN, ONE_IN_WHERE_IT_MATTERS = 4, 2
#: Sizes to set, and of groups at the start, the default of scenario files first.
SIZES = (1, 2, 3, 4, 6, 10)
DESIRED = (3, 1, 2, 4, 6)
MAXES = (10, 6, 4)
ZONE_COUNTS = (2, 1, 3)
PACES = (1.0, 10.0, 60.0)
PROCESSES = ("Launch", "Terminate", "ReplaceUnhealthy", "HealthCheck", "AZRebalance", "AlarmNotification")
REVISION = "two"
#: Metrics are told once a minute of the group's clock: a policy does something in a short run only if that is a second.
_POLICY_PACE_MIN = 60.0
#: A hook holds an instance for so long, in seconds of the run, but for AWS's least time-out.
_HOOK_S = 3.0
_HEARTBEAT_MIN = 30
#: Where workers finish in the terminate hook it holds them for so much longer than they need for the job in hand. An
#: agent finds out within a second that they are held, and tells the hook to go on; on a busy machine later.
_NOTICED_S = 5.0
#: Who tries again to launch does so ever later: after so much trouble work would be left when the drain ends.
_FAILING_MS_MAX = 30_000
#: From a change of the numbers until they agree again, where nothing is in the way: 1 to 3 s, and on a busy machine
#: several times that.
_CONVERGE_S = 30.0
#: A batch of an instance refresh: the old ones finish the job in hand, new ones boot.
_BATCH_S = 15.0
_BATCHES = 3
#: What an instance printed in its last seconds may be lost with it.
_LAST_LINES_S = 5.0
ANY, HOLDING = "any worker", "worker holding a job"
_ABOUT_ONE = ("TerminateInstanceInAutoScalingGroup", "SetInstanceHealth", "EnterStandby")
#: What scenarios with a group claim beside what all do, where it makes sense.
CLAIMED = (*GROUP_PROPERTIES, "connections_under_limit")
#: Without these no number of instances is the desired one.
_ADJUST = frozenset({"Launch", "Terminate"})


def one_in(space: Space) -> int:
    """One run in how many of a space has a group."""
    assert space.group is not None
    matters = (
        space.group.archives
        or "discover" in space.group.deploys
        or space.settings.worker.in_hook != "ignore"
        or space.room <= max(SIZES)
    )
    return ONE_IN_WHERE_IT_MATTERS if matters else ONE_IN


def undisturbed(kinds: tuple[str, ...], space: Space) -> tuple[str, ...]:
    """The kinds of steps among which a worker can finish in its terminate hook, where it is meant to; else none."""
    if space.settings.worker.in_hook == "ignore":
        return ()
    return tuple(kind for kind in kinds if kind not in KINDS or not KINDS[kind].fault)


def _more_of_those_beyond(sizes: tuple[int, ...], space: Space) -> tuple[int, ...]:
    """Sizes to choose from: about every other choice is one that leaves the database no connection, if any is."""
    beyond = tuple(size for size in sizes if size >= space.room)
    return (*sizes, *(beyond * (len(sizes) // len(beyond)))) if beyond else sizes


def draw_section(chooser: Chooser, space: Space, *, busy_s: float) -> GroupSection:
    """A group: sizes, zones, pace, hooks, a policy.

    Args:
        chooser: Makes the choices.
        space: What may be done.
        busy_s: How long a worker is busy with one job at most.
    """
    max_size = chooser.one_of(_more_of_those_beyond(MAXES, space))
    desired = chooser.one_of(tuple(size for size in DESIRED if size <= max_size))
    min_size = chooser.one_of(tuple(dict.fromkeys((1, desired))))
    zones = chooser.one_of(ZONE_COUNTS)
    pace = chooser.one_of(PACES)
    finishes = space.settings.worker.in_hook != "ignore"
    setup: list[Call] = []
    # Where workers finish in the terminate hook it is tried more often, and is long enough.
    if chooser.one_of((False, True, True) if finishes else (False, True)):
        setup.append(_hook("drain", _TERMINATING, holds_s=busy_s + _NOTICED_S if finishes else _HOOK_S, pace=pace))
    if chooser.one_of((False, True)):
        setup.append(_hook("warm-up", _LAUNCHING, holds_s=_HOOK_S, pace=pace))
    if pace >= _POLICY_PACE_MIN and chooser.one_of((False, True)):
        setup.append(POLICY)
    return GroupSection(
        min_size=min_size, max_size=max_size, desired=desired, zones=zones, pace=pace, setup=tuple(setup)
    )


_LAUNCHING, _TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"


def _hook(name: str, transition: str, *, holds_s: float, pace: float) -> Call:
    """A hook that goes on by itself when its time is over."""
    request = {
        "LifecycleHookName": name,
        "LifecycleTransition": transition,
        "HeartbeatTimeout": max(_HEARTBEAT_MIN, math.ceil(holds_s * pace)),
        "DefaultResult": "CONTINUE",
    }
    return Call(call="PutLifecycleHook", request=request)


#: Ten jobs an instance are one too few or too many.
POLICY = Call(
    call="PutScalingPolicy",
    request={
        "PolicyName": "backlog",
        "PolicyType": "TargetTrackingScaling",
        "EstimatedInstanceWarmup": 60,
        "TargetTrackingConfiguration": {
            "TargetValue": 10,
            "CustomizedMetricSpecification": {
                "MetricName": "BacklogPerInstance",
                "Namespace": "Parity",
                "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "workers"}],
                "Statistic": "Average",
            },
        },
    },
)


class GroupSteps:
    """What steps do to a group.

    Args:
        chooser: Makes the choices.
        space: What may be done.
        section: The group.
        before: The steps so far; the list grows.
    """

    def __init__(self, chooser: Chooser, space: Space, section: GroupSection, before: list[Step]) -> None:
        assert space.group is not None
        self._chooser = chooser
        self._space = space
        self._group = space.group
        self._section = section
        self._before = before
        self._sees_deliveries = "delivery" in space.points

    def possible(self, option: str) -> str:
        """A kind that can be done now: the one asked for, else the simplest; empty where none can."""
        return next((one for one in (option, *self._group.kinds) if self._is_possible(one)), "")

    def _is_possible(self, option: str) -> bool:
        before = self._before
        last = before[-1].operation if before else None
        refreshed = any(step.how == "refresh" for step in before)
        aside = any(step.operation in ("SuspendProcesses", "EnterStandby") for step in before)
        possible = {
            "ExitStandby": last == "EnterStandby" and self._room(before[-1]),
            "ResumeProcesses": is_suspended(before),
            "SuspendProcesses": not is_suspended(before) and not refreshed,
            "EnterStandby": not refreshed,
            # An instance refresh waits for those that are aside.
            "deploy": bool(self._ways(aside=aside)) and not any(step.how for step in before),
            "fail_launches": self._may_fail(),
            "lose_zone": self._may_fail(),
        }
        return possible.get(option, True)

    def _room(self, entered: Step) -> bool:
        """Whether one more can be desired than are now."""
        return _shrinks(entered) or _most(self._section, self._before) < self._section.max_size

    def _may_fail(self) -> bool:
        return _failing_ms(self._before) < _FAILING_MS_MAX

    def _ways(self, *, aside: bool) -> tuple[str, ...]:
        return tuple(way for way in self._group.deploys if not (aside and way == "refresh"))

    def sizes(self) -> tuple[int, ...]:
        """Sizes to set that are within the group's bounds, whenever others steps take their part of it."""
        low = self._section.min_size + sum(map(_shrinks, self._before))
        sizes = tuple(size for size in SIZES if low <= size <= self._section.max_size)
        return _more_of_those_beyond(sizes, self._space)

    def lasting(self, options: Sequence[SecondsRange]) -> tuple[SecondsRange, ...]:
        """How long launches may fail, of some durations."""
        left_ms = _FAILING_MS_MAX - _failing_ms(self._before)
        return tuple(duration for duration in options if duration.low_ms <= left_ms) or (
            SecondsRange(low_ms=left_ms, high_ms=left_ms),
        )

    def written(self, option: str) -> dict[str, Any]:
        """A deploy or a call, as a step is written, but for its moment where it has none of its own."""
        if option == "deploy":
            aside = any(step.operation in ("SuspendProcesses", "EnterStandby") for step in self._before)
            return {"deploy": self._chooser.one_of(self._ways(aside=aside)), "revision": REVISION}
        written: dict[str, Any] = {"call": option}
        if option in _ABOUT_ONE:
            # A call for which nobody comes fails: only when a job was delivered somebody is sure to hold one.
            waits = self._sees_deliveries and not is_suspended(self._before)
            written["whose"] = self._chooser.one_of((ANY, HOLDING) if waits else (ANY,))
            if written["whose"] == ANY:
                written["pick"] = exactly(self._chooser.one_of(range(3)))
        elif option == "ExitStandby":
            written["whose"] = SAME
        request = self._request(option)
        return written | ({"request": request} if request else {})

    def _request(self, option: str) -> dict[str, Any]:
        if option == "SetDesiredCapacity":
            return {"DesiredCapacity": self._chooser.one_of(self.sizes())}
        if option == "SetInstanceHealth":
            return {"HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
        if option in ("TerminateInstanceInAutoScalingGroup", "EnterStandby"):
            can_shrink = _fewest(self._section, self._before) > self._section.min_size
            shrinks = can_shrink and self._chooser.one_of((False, True))
            return {"ShouldDecrementDesiredCapacity": shrinks}
        return {"ScalingProcesses": [self._chooser.one_of(PROCESSES)]} if option == "SuspendProcesses" else {}


def is_suspended(steps: Sequence[Step]) -> bool:
    """Whether processes are suspended after these steps."""
    operations = [step.operation for step in steps if step.operation in ("SuspendProcesses", "ResumeProcesses")]
    return bool(operations) and operations[-1] == "SuspendProcesses"


def resume(gap: dict[str, Any]) -> Step:
    """The step that ends a suspension, at its moment."""
    return Step.model_validate({"call": "ResumeProcesses", **gap})


def _shrinks(step: Step) -> bool:
    return bool((step.request or {}).get("ShouldDecrementDesiredCapacity"))


def _set(step: Step) -> list[int]:
    """What a step makes the desired capacity."""
    if step.operation == "SetDesiredCapacity":
        return [int((step.request or {}).get("DesiredCapacity", 0))]
    return [step.workers.value] if step.workers is not None else []


def _desired(section: GroupSection, steps: Sequence[Step]) -> list[int]:
    """What the desired capacity may be, as steps set it; a policy may make it anything."""
    bounds = [section.min_size, section.max_size] if POLICY in section.setup else []
    return [section.desired, *bounds, *(size for step in steps for size in _set(step))]


def _fewest(section: GroupSection, steps: Sequence[Step]) -> int:
    return min(_desired(section, steps)) - sum(map(_shrinks, steps))


def _most(section: GroupSection, steps: Sequence[Step]) -> int:
    return max(_desired(section, steps)) + sum(step.operation == "ExitStandby" for step in steps)


def _failing_ms(steps: Sequence[Step]) -> int:
    return sum(step.lasts.low_ms for step in steps if step.target in ZONES and step.lasts)


# What is claimed.


def _claims(space: Space, scenario: Scenario) -> Properties:
    """What is claimed of a scenario: with a group that it does as it should, where the steps let it."""
    section, steps = scenario.group, scenario.steps
    if section is None:
        return space.properties if space.claims_more else without_a_group(space.properties)
    if not space.claims_more or space.group is None:
        return space.properties
    adjusts = not any(_ADJUST & {*(step.request or {}).get("ScalingProcesses", ())} for step in steps)
    more = {
        "capacity_converges_within": _converges_s(section, steps) if adjusts else None,
        "capacity_in_bounds": True,
        "activities_match": True,
        "drained_before_termination": _can_drain(section, steps, space.settings_of(scenario).worker),
        "on_revision": any(step.how for step in steps),
        # A step that takes all of them is seen to do so on containers.
        "connections_under_limit": all(step.kind != "exhaust_connections" for step in steps),
        "logs_archived": _LAST_LINES_S + _held_s(steps) if space.group.archives and steps else None,
    }
    return space.properties.model_copy(update=more)


def claimed(scenario: Scenario, space: Space) -> Scenario:
    """The scenario with what is claimed of it as it is now."""
    return scenario.model_copy(update={"properties": _claims(space, scenario)})


def without_a_group(properties: Properties) -> Properties:
    """What is left of claims where there is no group."""
    nothing = Properties()
    return properties.model_copy(update={name: getattr(nothing, name) for name in GROUP_PROPERTIES})


def busy_s(worker: WorkerModel) -> float:
    """How long a worker is busy with one job at most."""
    return worker.job_duration[1] + worker.acknowledge_delay


def _can_drain(section: GroupSection, steps: Sequence[Step], worker: WorkerModel) -> bool:
    """Whether workers are meant to finish in the terminate hook, have time to, and nothing but the group ends them."""
    needed_s = busy_s(worker) + _NOTICED_S
    hooks = {
        call.request["LifecycleTransition"]: call.request["HeartbeatTimeout"] / section.pace
        for call in section.setup
        if call.call == "PutLifecycleHook"
    }
    return (
        worker.in_hook != "ignore"
        and hooks.get(_TERMINATING, 0.0) >= needed_s
        # Who works already while it waits in a launch hook is terminated without the other.
        and _LAUNCHING not in hooks
        and not any(KINDS[step.kind].fault for step in steps)
    )


def _held_s(steps: Sequence[Step]) -> float:
    """How long faults last that keep workers from doing anything."""
    lasting = [step.lasts.low_ms for step in steps if step.lasts and step.target in (*WORKERS, *ZONES, SAME)]
    return sum(lasting) / 1000


def _converges_s(section: GroupSection, steps: Sequence[Step]) -> float:
    """How long it takes at most until as many instances are in service as should be."""
    hooks_s = sum(call.request.get("HeartbeatTimeout", 0) for call in section.setup) / section.pace
    # Who is taken away while it waits in a hook is followed by another that waits.
    taken = sum(bool(step.whose) or step.target in (*WORKERS, *ZONES, SAME) for step in steps)
    refreshes = any(step.how == "refresh" for step in steps)
    batches_s = _BATCHES * (_BATCH_S + hooks_s) if refreshes else 0.0
    # After a failure the next try is as far away as the failing lasted.
    return float(round(_CONVERGE_S + (1 + taken) * hooks_s + batches_s + 2 * _held_s(steps)))


# What is fair.


def is_fair(scenario: Scenario, space: Space) -> bool:
    """Whether the group can do its jobs: what is suspended is resumed, what fails ends, and no call must be refused."""
    section, steps = scenario.group, scenario.steps
    if section is None:
        needed = space.group is not None and space.group.always
        return not needed and all(step.how is None and step.operation is None for step in steps)
    if space.group is None or not 1 <= section.min_size <= section.desired <= section.max_size:
        return False
    refreshes = any(step.how == "refresh" for step in steps)
    aside = any(step.operation in ("SuspendProcesses", "EnterStandby") for step in steps)
    checks: tuple[Callable[[], bool], ...] = (
        lambda: not is_suspended(steps) and not _overtaken(steps),
        lambda: _failing_ms(steps) <= _FAILING_MS_MAX,
        lambda: sum(step.how is not None for step in steps) <= 1 and not (refreshes and aside),
        lambda: all(section.min_size <= size <= section.max_size for size in _desired(section, steps)),
        lambda: _fewest(section, steps) >= section.min_size or not any(map(_shrinks, steps)),
        lambda: all(_follows(steps, index) for index, step in enumerate(steps) if step.operation == "ExitStandby"),
    )
    return all(check() for check in checks)


def _overtaken(steps: Sequence[Step]) -> bool:
    """Whether a step during a suspension waits for an event: then the order of the list is not that of time."""
    return any(is_suspended(steps[:index]) and isinstance(step.at, EventCount) for index, step in enumerate(steps))


def _follows(steps: Sequence[Step], index: int) -> bool:
    return index > 0 and steps[index - 1].operation == "EnterStandby" and steps[index].at is None
