"""What a scaling policy must be like. Messages are AWS's, as users and tools have seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.metrics import queries
from parity.model.scaling.policies import adjust
from parity.model.scaling.policies.tracking import AVERAGES, REQUESTS

Given = Mapping[str, Any]
STEPS_MAX = 20
AGGREGATIONS = ("Minimum", "Maximum", "Average")
_CUSTOM = ("Dimensions", "MetricName", "Namespace", "Statistic", "Unit", "Period")
_PAIR = ("PredefinedMetricPairSpecification", "CustomizedMetricPairSpecification")
_LOAD = ("PredefinedLoadMetricSpecification", "CustomizedLoadMetricSpecification")
_SCALING = ("PredefinedScalingMetricSpecification", "CustomizedScalingMetricSpecification")


def check(given: Given) -> None:
    """Look a policy over, as PutScalingPolicy states it.

    Raises:
        ServiceError: Auto Scaling would not take it.
    """
    kind = given.get("PolicyType") or "SimpleScaling"
    checks = {
        "SimpleScaling": _simple,
        "StepScaling": _step,
        "TargetTrackingScaling": _tracking,
        "PredictiveScaling": _predictive,
    }
    if kind not in checks:
        raise _refused(f"Unknown policy type: {kind}. Policy type must be one of: {', '.join(checks)}")
    for name in ("Cooldown", "EstimatedInstanceWarmup"):
        if given.get(name, 0) < 0:
            raise _refused(f"{name} must be greater than or equal to 0")
    checks[kind](given)


def _forbid(given: Given, names: Sequence[str], message: str) -> None:
    for name in names:
        if given.get(name) is not None:
            raise _refused(message.format(name))


def _simple(given: Given) -> None:
    forbidden = ("MetricAggregationType", "EstimatedInstanceWarmup", "StepAdjustments", "TargetTrackingConfiguration")
    _forbid(given, forbidden, "{} is not supported for a SimpleScaling policy")
    _adjustment(given, "SimpleScaling")
    if given.get("ScalingAdjustment") is None:
        raise _refused("Scaling increment must be specified for a SimpleScaling policy")
    _amount(given, given["ScalingAdjustment"])


def _step(given: Given) -> None:
    _forbid(given, ("ScalingAdjustment", "TargetTrackingConfiguration"), "{} is not supported for a StepScaling policy")
    _adjustment(given, "StepScaling")
    aggregation = given.get("MetricAggregationType") or "Average"
    if aggregation not in AGGREGATIONS:
        raise _refused(f"Invalid MetricAggregationType: {aggregation}. Valid values are {', '.join(AGGREGATIONS)}")
    steps = given.get("StepAdjustments") or ()
    if not steps:
        raise _refused("You should specify at least one StepAdjustment with a StepScaling policy")
    if len(steps) > STEPS_MAX:
        raise _refused(f"There can be at most {STEPS_MAX} step adjustments per scaling policy")
    for step in steps:
        _amount(given, step["ScalingAdjustment"])
    _intervals(steps)


def _adjustment(given: Given, kind: str) -> None:
    stated = given.get("AdjustmentType")
    if not stated:
        raise _refused(f"You must specify an AdjustmentType for policy type: {kind}")
    if stated not in adjust.TYPES:
        raise _refused(f"Invalid AdjustmentType: {stated}. Valid values are {', '.join(adjust.TYPES)}")
    if given.get("MinAdjustmentMagnitude") is not None and stated != adjust.PERCENT:
        raise _refused("MinAdjustmentMagnitude is not supported with the specified adjustment type")


def _amount(given: Given, amount: int) -> None:
    if given["AdjustmentType"] == adjust.EXACT and amount < 0:
        raise _refused("The lowest value for ScalingAdjustment parameter is 0 with the specified adjustment type")


def _intervals(steps: Sequence[Given]) -> None:
    """Steps must follow one on the other, and reach as far as they begin to."""
    lows = [step.get("MetricIntervalLowerBound") for step in steps]
    highs = [step.get("MetricIntervalUpperBound") for step in steps]
    for low, high in zip(lows, highs, strict=True):
        if low is None and high is None:
            raise _refused("Both lower and upper bounds of a StepAdjustment cannot be left unspecified")
        if low is not None and high is not None and low >= high:
            raise _refused("LowerBound must be less than the UpperBound for StepAdjustment")
    for bounds, name, reach in ((lows, "lower", "negative"), (highs, "upper", "positive")):
        if bounds.count(None) > 1:
            raise _refused(f"At most one StepAdjustment may have an unspecified {name} bound")
        beyond = [bound for bound in bounds if bound is not None and (bound < 0 if name == "lower" else bound > 0)]
        if beyond and None not in bounds:
            raise _refused(
                f"There must be a StepAdjustment with an unspecified {name} bound (i.e., {name} bound is null) when "
                f"one StepAdjustment has a {reach} {name} bound"
            )
    for (_, end), (begin, _) in pairwise(sorted(adjust.bounds(step) for step in steps)):
        if end < begin:
            raise _refused("StepAdjustment intervals cannot have gaps between them")
        if end > begin:
            raise _refused("StepAdjustment intervals cannot overlap")


def _tracking(given: Given) -> None:
    forbidden = (
        "MetricAggregationType",
        "MinAdjustmentMagnitude",
        "ScalingAdjustment",
        "StepAdjustments",
        "PredictiveScalingConfiguration",
    )
    _forbid(given, forbidden, "{} are not supported for a TargetTracking policy")
    config = given.get("TargetTrackingConfiguration")
    if not config:
        raise _refused("You should provide a TargetTrackingConfiguration")
    predefined, custom = config.get("PredefinedMetricSpecification"), config.get("CustomizedMetricSpecification")
    if bool(predefined) == bool(custom):
        raise _refused("You should provide either a CustomizedMetricSpecification or a PredefinedMetricSpecification")
    if not 8.51592e-12 <= config["TargetValue"] <= 1.174271e17:
        raise _refused("Target value must be between 8.51592E-12 and 1.174271E17")
    if predefined:
        _predefined(predefined)
    else:
        _customized(custom)


def _predefined(metric: Given) -> None:
    kind, label = metric["PredefinedMetricType"], metric.get("ResourceLabel")
    if kind not in {*AVERAGES, REQUESTS}:
        raise _refused(f"Unknown predefined metric type: {kind}")
    if kind != REQUESTS and label:
        raise _refused(f"Resource label should not be specified for predefined metric type {kind}")
    if kind == REQUESTS and not label:
        raise _refused(f"Resource label should be specified for predefined metric type {kind}")
    if kind == REQUESTS and "/targetgroup/" not in str(label):
        raise _refused(f"Resource label {label} is malformed: it should be app/<name>/<id>/targetgroup/<name>/<id>")


def _customized(metric: Given) -> None:
    listed = metric.get("Metrics")
    if listed:
        if any(metric.get(name) for name in _CUSTOM):
            raise _refused(
                "A customized metric specification with 'Metrics' specified cannot have any of "
                f"{list(_CUSTOM)} specified as well"
            )
        queries.check(listed)
        if sum(query.get("ReturnData", True) for query in listed) != 1:
            raise _refused("Exactly one element of the metrics list should return data")
        periods = {
            query["MetricStat"].get("Period") or query.get("Period", 60) for query in listed if "MetricStat" in query
        }
        if len(periods) != 1:
            raise _refused("All metrics in the alarm should have the same period")
        period_s = periods.pop()
    else:
        if missing := [name for name in ("MetricName", "Namespace", "Statistic") if not metric.get(name)]:
            raise _refused(f"You should provide {missing[0]} in a CustomizedMetricSpecification")
        period_s = metric.get("Period", 60)
    if period_s > 60:
        raise _refused("A metric period greater than 60 isn't supported")
    if period_s not in {10, 30, 60}:
        raise _refused("A metric period must be 10, 30 or 60")


def _predictive(given: Given) -> None:
    forbidden = (
        "TargetTrackingConfiguration",
        "AdjustmentType",
        "ScalingAdjustment",
        "StepAdjustments",
        "EstimatedInstanceWarmup",
    )
    _forbid(given, forbidden, "You can't specify {} for policy type: PredictiveScaling")
    config = given.get("PredictiveScalingConfiguration")
    if not config:
        raise _refused("You must specify PredictiveScalingConfiguration")
    listed = list(config.get("MetricSpecifications") or ())
    if len(listed) != 1:
        raise _refused("You must specify one metric specification")
    pair, load, scaling = _has(listed[0], _PAIR), _has(listed[0], _LOAD), _has(listed[0], _SCALING)
    if not (load and scaling and not pair) and not (pair and not load and not scaling):
        raise _refused("A policy must have either one scaling metric and one load metric or one metric pair")
    buffer, increase = config.get("MaxCapacityBuffer"), config.get("MaxCapacityBreachBehavior") == "IncreaseMaxCapacity"
    if increase and buffer is None:
        raise _refused("You must specify max capacity buffer when using IncreaseMaxCapacity")
    if not increase and buffer is not None:
        raise _refused("You must not specify max capacity buffer when using HonorMaxCapacity")


def _has(given: Given, names: Sequence[str]) -> bool:
    return any(given.get(name) for name in names)


def _refused(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
