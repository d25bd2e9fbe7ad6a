"""What becomes of a group's capacity when alarms call on its policies, or a user does.

Alarms that call at the same moment are answered together: the largest capacity counts, whether it is out or in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import capacity, causes, lifecycle
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.metrics import alarms, reasons
from parity.model.scaling.policies import cooldown, tracking
from parity.model.scaling.policies.adjust import adjusted, clamped, step_for
from parity.model.scaling.region import Region, settler, timer
from parity.model.scaling.state import Alarm, Breach, Group, Policy

SIMPLE, STEP = "SimpleScaling", "StepScaling"
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda points: sum(points) / len(points),
    "Minimum": min,
    "Maximum": max,
}


@alarms.actor("autoscaling")
def called_on(region: Region, alarm: Alarm, arn: str, before: str) -> None:
    """An alarm calls on a policy. It is answered when all alarms of this moment have been evaluated."""
    found = policy_of(region, arn)
    if found is None:
        return
    group, policy = found
    if suspended(group, "AlarmNotification") or not policy.enabled or group.deleting:
        return
    if policy.kind == tracking.KIND and not (alarm.points and alarms.is_fresh(region, alarm)):
        # An alarm can last on what was before the metric went missing. What is missing asks for no capacity.
        return
    if not group.breaches:
        region.at(region.now_us, "decide", group.name)
    points = tuple(alarm.points)
    group.breaches.append(Breach(policy.name, alarm.name, alarm.state, before, points, alarm.given["Threshold"]))


def policy_of(region: Region, arn: str) -> tuple[Group, Policy] | None:
    """A policy by its ARN."""
    group_name, _, name = arn.partition(":autoScalingGroupName/")[2].partition(":policyName/")
    group = region.state.groups.get(group_name)
    policy = group.policies.get(name) if group else None
    return (group, policy) if group and policy and policy.arn == arn else None


@timer("decide")
def decide(region: Region, name: str) -> None:
    """Answer the alarms that called on a group's policies."""
    group = region.state.groups.get(name)
    if group is None:
        return
    breaches, group.breaches = group.breaches, []
    offers = []
    for breach in breaches:
        policy = group.policies.get(breach.policy)
        if policy and (size := _offered(region, group, policy, breach)) is not None:
            offers.append((size, policy, breach))
    if offers:
        size, policy, breach = max(offers, key=lambda offer: offer[0])
        what = f"a monitor alarm {breach.alarm} in state {breach.state} triggered policy {policy.name}"
        alarm = region.state.alarms.get(breach.alarm)
        _apply(
            region, group, policy, size, what, invoking=reasons.invoking(region, alarm, breach.before) if alarm else {}
        )


def execute(region: Region, group: Group, policy: Policy, *, metric: float, threshold: float) -> None:
    """Carry a simple or step policy out because a user says so.

    Args:
        region: Where.
        group: Whose.
        policy: Which.
        metric: What a step policy takes for the metric; of no account for a simple one.
        threshold: What it takes for the alarm's threshold.

    Raises:
        ServiceError: No step is for the metric.
    """
    if policy.kind == SIMPLE:
        size: int | None = _simple(group, policy)
    else:
        breach = Breach(policy=policy.name, alarm="", state="", before="", points=(metric,), threshold=threshold)
        difference = metric - threshold
        if step_for(policy.given["StepAdjustments"], difference) is None:
            raise ServiceError(
                "ValidationError",
                f"No step adjustment found for metric value [{metric}] and breach threshold {threshold}",
            )
        size = _step(region, group, policy, breach)
    if size is not None:
        _apply(region, group, policy, size, f"a user request executed policy {policy.name}")


def _offered(region: Region, group: Group, policy: Policy, breach: Breach) -> int | None:
    """The capacity that a policy asks for; None where it has no say at the moment."""
    if policy.kind == SIMPLE:
        return None if cooldown.cooling(region, group) else _simple(group, policy)
    if policy.kind == STEP:
        return _step(region, group, policy, breach)
    if policy.kind == tracking.KIND:
        if "-AlarmLow-" in breach.alarm:
            return _track_in(region, group, policy)
        return _track_out(region, group, policy, breach)
    return None


def _apply(
    region: Region, group: Group, policy: Policy, size: int, what: str, *, invoking: Mapping[str, Any] | None = None
) -> None:
    before = group.desired
    if size == before:
        return
    if policy.kind == SIMPLE:
        cooldown.begin(group, policy)
    why = causes.changing(region, what, before, size)
    capacity.resize(region, group, size, why)
    group.invoked_by = {opening: told for opening, told in group.invoked_by.items() if opening in group.why}
    if invoking:
        group.invoked_by[why] = dict(invoking)


def _simple(group: Group, policy: Policy) -> int:
    return _bounded(group, _adjusted(policy, group.desired, policy.given["ScalingAdjustment"]))


def _adjusted(policy: Policy, base: int, amount: int) -> int:
    given = policy.given
    magnitude = given.get("MinAdjustmentMagnitude") or given.get("MinAdjustmentStep") or 0
    return adjusted(base, given["AdjustmentType"], amount, magnitude)


def _bounded(group: Group, size: int) -> int:
    return clamped(size, group.min_size, group.max_size)


def _step(region: Region, group: Group, policy: Policy, breach: Breach) -> int | None:
    """What a step policy asks for.

    Out, instances that warm up are no part of the capacity that is adjusted, but of the one that must be reached: the
    same step again asks for nothing more. In, nothing happens until all are warm, and instances that terminate are
    still part of the capacity, so that the same step again takes nothing more.
    """
    if not breach.points:
        return None
    metric = AGGREGATES[policy.given.get("MetricAggregationType", "Average")](breach.points)
    amount = step_for(policy.given["StepAdjustments"], metric - breach.threshold)
    if amount is None:
        return None
    warmed, warming = _warmed(region, group, policy)
    size = _adjusted(policy, warmed, amount)
    if size > warmed:
        return max(group.desired, _bounded(group, size))
    if size == warmed:
        return group.desired
    if warming:
        return None
    leaving = sum(
        group.members[one].weight for one in group.in_transit if group.members[one].lifecycle in lifecycle.TERMINATING
    )
    return min(group.desired, _bounded(group, _adjusted(policy, group.desired + leaving, amount)))


def _track_out(region: Region, group: Group, policy: Policy, breach: Breach) -> int:
    """What a target-tracking policy asks for when its metric is above the target."""
    warmed, _ = _warmed(region, group, policy)
    # Where there is no instance, the metric is what a first one would have.
    base = warmed if group.desired else 1
    return max(group.desired, _bounded(group, _needed(policy, base, breach.points[-1])))


def _track_in(region: Region, group: Group, policy: Policy) -> int | None:
    """What target tracking asks for when its metrics are low: nothing before all policies want less."""
    ready = tracking.ready_to_shrink(region, group)
    warmed, warming = _warmed(region, group, policy)
    if not ready or warming:
        return None
    sizes = [_needed(each, warmed, alarm.points[-1]) for each, alarm in ready]
    return min(group.desired, _bounded(group, max(sizes)))


def _needed(policy: Policy, base: int, metric: float) -> int:
    return tracking.needed(base, metric, policy.given["TargetTrackingConfiguration"]["TargetValue"])


def _warmed(region: Region, group: Group, policy: Policy) -> tuple[int, int]:
    """The capacity that is in service and warm, and how much is on its way to that."""
    warming = sum(member.weight for member in capacity.warming(region, group, warmup_s(group, policy)))
    return group.capacity - warming, warming


def warmup_s(group: Group, policy: Policy) -> int:
    """How long instances warm up for a policy, in seconds: its own time, the group's, or the cooldown."""
    if (stated := policy.given.get("EstimatedInstanceWarmup")) is not None:
        return int(stated)
    return group.cooldown_s if group.warmup_s is None else group.warmup_s


@settler
def settle(region: Region, group: Group) -> None:
    """Begin a cooldown where a simple policy's activities are over. After `capacity`, which begins them."""
    cooldown.end_of_activities(region, group)
