"""Alarms as the API shows and switches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.metrics import alarms
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.metrics.alarmrules import ACTIONS
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Alarm

DESCRIBED = 50
HISTORY = 100
#: What an alarm shows as it was given.
_SHOWN = (
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "MetricName",
    "Metrics",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
    "Unit",
)


@operation("cloudwatch", "DescribeAlarms", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """Alarms by name, prefix, state or action."""
    names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix") or ""
    if names and prefix:
        raise ServiceError("ValidationError", "AlarmNamePrefix and AlarmNames can not both be specified.")
    if "MetricAlarm" not in request.get("AlarmTypes", ["MetricAlarm"]):
        return {"MetricAlarms": [], "CompositeAlarms": []}
    action = request.get("ActionPrefix") or ""
    found = [
        alarm
        for name, alarm in sorted(region.state.alarms.items())
        if (not names or name in names)
        and name.startswith(prefix)
        and request.get("StateValue") in {None, alarm.state}
        and (not action or any(arn.startswith(action) for arn in actions_of(alarm)))
    ]
    limit = request.get("MaxRecords", DESCRIBED)
    chosen, token = page(found, token=request.get("NextToken"), limit=limit, key=lambda alarm: alarm.name)
    shown = {"MetricAlarms": [told(alarm) for alarm in chosen], "CompositeAlarms": []}
    return shown | ({"NextToken": token} if token else {})


@operation("cloudwatch", "DescribeAlarmsForMetric", reads=True)
def describe_for_metric(region: Region, request: Request) -> Answer:
    """Alarms that watch one metric."""
    dimensions = metrics.dimensions_of(request.get("Dimensions"))
    found = [
        told(alarm)
        for _, alarm in sorted(region.state.alarms.items())
        if alarm.given.get("MetricName") == request["MetricName"]
        and alarm.given["Namespace"] == request["Namespace"]
        and metrics.dimensions_of(alarm.given.get("Dimensions")) == dimensions
        and all(
            request.get(key) in {None, alarm.given.get(key)}
            for key in ("Statistic", "ExtendedStatistic", "Period", "Unit")
        )
    ]
    return {"MetricAlarms": found}


def actions_of(alarm: Alarm) -> list[str]:
    """The ARNs of all that an alarm does."""
    return [arn for key in ACTIONS.values() for arn in alarm.given.get(key) or ()]


def told(alarm: Alarm) -> dict[str, Any]:
    """An alarm as `MetricAlarm`."""
    given = alarm.given
    shown = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_us,
        "ActionsEnabled": given.get("ActionsEnabled", True),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.updated_us,
        "StateTransitionedTimestamp": alarm.changed_us,
        "Dimensions": given.get("Dimensions") or [],
    }
    shown |= {key: given.get(key) or [] for key in ACTIONS.values()}
    if alarm.reason_data:
        shown["StateReasonData"] = alarm.reason_data
    return shown | {key: given[key] for key in _SHOWN if key in given}


@operation("cloudwatch", "DeleteAlarms")
def delete(region: Region, request: Request) -> Answer:
    """Delete alarms; a name that none has is no error."""
    alarms.delete(region, request["AlarmNames"])
    return {}


@operation("cloudwatch", "SetAlarmState")
def set_state(region: Region, request: Request) -> Answer:
    """Put an alarm in a state; its next evaluation puts it in the one that its metric makes."""
    alarm = region.state.alarms.get(request["AlarmName"])
    if alarm is None:
        raise ServiceError("ResourceNotFound", "", status=404)
    if request["StateValue"] not in ACTIONS:
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{request['StateValue']}' at 'stateValue' failed to satisfy "
            "constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]",
        )
    data = request.get("StateReasonData") or ""
    alarms.set_state(region, alarm, request["StateValue"], request["StateReason"], data)
    return {}


@operation("cloudwatch", "EnableAlarmActions")
def enable(region: Region, request: Request) -> Answer:
    """Have alarms act again."""
    _switch(region, request["AlarmNames"], on=True)
    return {}


@operation("cloudwatch", "DisableAlarmActions")
def disable(region: Region, request: Request) -> Answer:
    """Have alarms only change their states."""
    _switch(region, request["AlarmNames"], on=False)
    return {}


def _switch(region: Region, names: Sequence[str], *, on: bool) -> None:
    for name in names:
        if alarm := region.state.alarms.get(name):
            alarm.given["ActionsEnabled"] = on
            alarm.configured_us = region.now_us
            did = "enabled" if on else "disabled"
            alarms.note(region, alarm, "ConfigurationUpdate", f'Alarm "{name}" actions {did}', {"type": "Update"})


@operation("cloudwatch", "DescribeAlarmHistory", reads=True)
def describe_history(region: Region, request: Request) -> Answer:
    """What happened to alarms lately: each alarm's last items are kept."""
    begin_us, end_us = request.get("StartDate") or 0, request.get("EndDate") or region.now_us
    found = [
        {"AlarmName": name, "AlarmType": "MetricAlarm"} | item
        for name, alarm in sorted(region.state.alarms.items())
        if request.get("AlarmName") in {None, name}
        for item in alarm.history
        if begin_us <= item["Timestamp"] <= end_us and request.get("HistoryItemType") in {None, item["HistoryItemType"]}
    ]
    newest_first = request.get("ScanBy") != "TimestampAscending"
    found.sort(key=lambda item: item["Timestamp"], reverse=newest_first)
    limit = request.get("MaxRecords", HISTORY)
    token = request.get("NextToken")
    chosen, token = page(found, token=token, limit=limit, key=lambda item: f"{item['AlarmName']} {item['Timestamp']}")
    return {"AlarmHistoryItems": chosen} | ({"NextToken": token} if token else {})


@operation("cloudwatch", "ListTagsForResource", reads=True)
def list_tags(region: Region, request: Request) -> Answer:
    """An alarm's tags."""
    tags = _by_arn(region, request["ResourceARN"]).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


@operation("cloudwatch", "TagResource")
def tag(region: Region, request: Request) -> Answer:
    """Give an alarm tags."""
    alarm = _by_arn(region, request["ResourceARN"])
    alarm.tags |= {each["Key"]: each["Value"] for each in request["Tags"]}
    return {}


@operation("cloudwatch", "UntagResource")
def untag(region: Region, request: Request) -> Answer:
    """Take tags from an alarm."""
    alarm = _by_arn(region, request["ResourceARN"])
    alarm.tags = {key: value for key, value in alarm.tags.items() if key not in request["TagKeys"]}
    return {}


def _by_arn(region: Region, arn: str) -> Alarm:
    alarm = region.state.alarms.get(arn.partition(":alarm:")[2])
    if alarm is None or alarm.arn != arn:
        raise ServiceError("ResourceNotFoundException", f"The resource {arn} does not exist.", status=404)
    return alarm
