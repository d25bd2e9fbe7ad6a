"""Scaling policies, as the API keeps, shows and executes them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.metrics.alarmlist import actions_of
from parity.model.scaling.metrics.alarmrules import ACTIONS
from parity.model.scaling.paging import page
from parity.model.scaling.policies import adjust, cooldown, decisions, policyrules, tracking
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Group, Policy

POLICIES_MAX = 50
DESCRIBED, DESCRIBED_MAX = 50, 100
PREDICTIVE = "PredictiveScaling"
#: What names a policy or is shown otherwise: the rest of PutScalingPolicy is kept as it was given.
_NAMED = ("AutoScalingGroupName", "PolicyName", "PolicyType", "Enabled")


@operation("autoscaling", "PutScalingPolicy")
def put(region: Region, request: Request) -> Answer:
    """Make a policy, or put another in its place; one of target tracking makes its alarms."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    given = {key: value for key, value in request.items() if value is not None}
    policyrules.check(given)
    name, kind = given["PolicyName"], given.get("PolicyType") or decisions.SIMPLE
    had = group.policies.get(name)
    if had is None and len(group.policies) >= POLICIES_MAX:
        raise ServiceError("LimitExceeded", f"You've reached your limit of {POLICIES_MAX} scaling policies per group")
    place = f"autoScalingGroupName/{group.name}:policyName/{name}"
    arn = had.arn if had else region.arn("autoscaling", f"scalingPolicy:{region.new_uuid()}:{place}")
    policy = Policy(name=name, arn=arn, kind=kind, enabled=given.get("Enabled", True), alarms=had.alarms if had else [])
    policy.given = {key: value for key, value in given.items() if key not in _NAMED}
    group.policies[name] = policy
    if kind == tracking.KIND:
        tracking.arrange(region, group, policy)
    else:
        tracking.withdraw(region, policy)
    return {"PolicyARN": arn, "Alarms": [_alarm(region, each) for each in policy.alarms]}


def _alarm(region: Region, name: str) -> dict[str, str]:
    return {"AlarmName": name, "AlarmARN": region.arn("cloudwatch", f"alarm:{name}")}


@operation("autoscaling", "DescribePolicies", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """Policies of one group or all."""
    name, kinds = request.get("AutoScalingGroupName"), request.get("PolicyTypes")
    names = request.get("PolicyNames")
    groups = [region.group(name)] if name else [group for _, group in sorted(region.state.groups.items())]
    found = [
        (group, policy)
        for group in groups
        for _, policy in sorted(group.policies.items())
        if (not names or policy.name in names or policy.arn in names) and (not kinds or policy.kind in kinds)
    ]
    limit = min(request.get("MaxRecords") or DESCRIBED, DESCRIBED_MAX)
    chosen, token = page(found, token=request.get("NextToken"), limit=limit, key=lambda each: each[1].arn)
    by_action: defaultdict[str, list[str]] = defaultdict(list)
    for _, alarm in sorted(region.state.alarms.items()):
        for arn in actions_of(alarm):
            by_action[arn].append(alarm.name)
    told = [_told(region, group, policy, by_action[policy.arn]) for group, policy in chosen]
    return {"ScalingPolicies": told} | ({"NextToken": token} if token else {})


def _told(region: Region, group: Group, policy: Policy, alarms: list[str]) -> dict[str, Any]:
    """A policy as `ScalingPolicy`, with what it is where nothing was stated."""
    shown = {
        "AutoScalingGroupName": group.name,
        "PolicyName": policy.name,
        "PolicyARN": policy.arn,
        "PolicyType": policy.kind,
        "Alarms": [_alarm(region, name) for name in policy.alarms or alarms],
        "Enabled": policy.enabled,
        "StepAdjustments": [],
    }
    if policy.kind == decisions.STEP:
        shown["MetricAggregationType"] = "Average"
    if config := policy.given.get("TargetTrackingConfiguration"):
        return shown | policy.given | {"TargetTrackingConfiguration": {"DisableScaleIn": False, **config}}
    return shown | policy.given


@operation("autoscaling", "DeletePolicy")
def delete(region: Region, request: Request) -> Answer:
    """Delete a policy: with the alarms that it made, and the actions of those that others made."""
    group, policy = _find(region, request)
    del group.policies[policy.name]
    tracking.withdraw(region, policy)
    for alarm in region.state.alarms.values():
        for key in ACTIONS.values():
            if policy.arn in (alarm.given.get(key) or ()):
                alarm.given[key] = [arn for arn in alarm.given[key] if arn != policy.arn]
    return {}


def _find(region: Region, request: Request) -> tuple[Group, Policy]:
    """A policy by its group and name, or by its ARN.

    Raises:
        ServiceError: There is none.
    """
    name = request["PolicyName"]
    if group_name := request.get("AutoScalingGroupName"):
        group = region.group(group_name)
        found = [policy for policy in group.policies.values() if name in {policy.name, policy.arn}]
        if found:
            return group, found[0]
    elif by_arn := decisions.policy_of(region, name):
        return by_arn
    elif not name.startswith("arn:"):
        raise ServiceError("ValidationError", "Group name is required if policy name is not an ARN")
    raise ServiceError("ValidationError", f"Policy {name} not found")


@operation("autoscaling", "ExecutePolicy")
def execute(region: Region, request: Request) -> Answer:
    """Carry a simple or step policy out now."""
    group, policy = _find(region, request)
    groups.alive(region, group.name)
    metric, threshold = request.get("MetricValue"), request.get("BreachThreshold")
    stated = metric is not None or threshold is not None
    if policy.kind not in {decisions.SIMPLE, decisions.STEP}:
        raise ServiceError("ValidationError", f"Policies of type {policy.kind} cannot be executed")
    if not policy.enabled:
        raise ServiceError("ValidationError", f"Policy {policy.name} is disabled")
    if policy.kind == decisions.STEP:
        if metric is None or threshold is None:
            raise ServiceError(
                "ValidationError", "MetricValue and BreachThreshold are required for a StepScaling policy"
            )
        if request.get("HonorCooldown"):
            raise ServiceError("ValidationError", "HonorCooldown is not supported for a StepScaling policy")
    elif stated:
        raise ServiceError(
            "ValidationError", "MetricValue and BreachThreshold are only supported for a StepScaling policy"
        )
    elif request.get("HonorCooldown"):
        cooldown.check(region, group)
    decisions.execute(region, group, policy, metric=metric or 0.0, threshold=threshold or 0.0)
    return {}


@operation("autoscaling", "DescribeAdjustmentTypes", reads=True)
def describe_adjustment_types(region: Region, request: Request) -> Answer:  # noqa: ARG001
    """The ways a policy can adjust a capacity."""
    return {"AdjustmentTypes": [{"AdjustmentType": name} for name in adjust.TYPES]}


@operation("autoscaling", "GetPredictiveScalingForecast", reads=True)
def forecast(region: Region, request: Request) -> Answer:
    """A predictive policy's forecast: none, since predictive policies are kept and shown, and do nothing here."""
    group, policy = _find(region, request)
    if policy.kind != PREDICTIVE:
        raise ServiceError("ValidationError", f"Policy {policy.name} of group {group.name} is not a predictive policy")
    if request["StartTime"] >= request["EndTime"]:
        raise ServiceError("ValidationError", "The start time must be before the end time")
    nothing: dict[str, list[Any]] = {"Timestamps": [], "Values": []}
    specification = policy.given["PredictiveScalingConfiguration"]["MetricSpecifications"][0]
    load = [nothing | {"MetricSpecification": specification}]
    return {"LoadForecast": load, "CapacityForecast": nothing, "UpdateTime": region.now_us}


def forget(region: Region, group: Group) -> None:
    """A group is no more: the alarms that its policies made go with it."""
    for policy in group.policies.values():
        tracking.withdraw(region, policy)


groups.ON_DELETE.append(forget)
