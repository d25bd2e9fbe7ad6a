"""What CloudWatch says of an alarm's state: in words, as data, and as a message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from parity.model.scaling.metrics.evaluation import ALARM, INSUFFICIENT, Verdict
from parity.model.scaling.region import Region, Request
from parity.model.scaling.state import SECOND_US, Alarm

WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}
#: Datapoints with the beginnings of their periods in microseconds, the oldest first.
Known = Sequence[tuple[int, float]]


def told(given: Request, verdict: Verdict, crossing: Known) -> str:
    """Why an alarm came into a state, in CloudWatch's words.

    Args:
        given: The alarm.
        verdict: What it came to.
        crossing: The datapoints that speak for it: those that breach for ALARM, those that do not for OK.
    """
    periods = given["EvaluationPeriods"]
    if verdict.state == INSUFFICIENT:
        return f"Insufficient Data: {_count(periods, 'datapoint', 'unknown')}."
    if not crossing:
        treated = TREATED.get(given.get("TreatMissingData", ""), "Missing")
        filled = _count(verdict.filled, "missing datapoint", f"treated as [{treated}]")
        return f"Threshold Crossed: no datapoints were received for {_some(periods, 'period')} and {filled}."
    needed = given.get("DatapointsToAlarm", periods)
    change, least = ("OK -> ALARM", needed) if verdict.state == ALARM else ("ALARM -> OK", periods - needed + 1)
    listed = ", ".join(f"{value} ({_moment(at_us):%d/%m/%y %H:%M:%S})" for at_us, value in reversed(crossing))
    verb = ("was" if len(crossing) == 1 else "were") + ("" if verdict.state == ALARM else " not")
    return (
        f"Threshold Crossed: {len(crossing)} out of the last {_some(periods, 'datapoint')} [{listed}] {verb} "
        f"{WORDS[given['ComparisonOperator']]} the threshold ({float(given['Threshold'])}) "
        f"(minimum {_some(least, 'datapoint')} for {change} transition)."
    )


def data_of(given: Request, known: Known, now_us: int) -> str:
    """Why an alarm is in its state, as `StateReasonData`."""
    data: dict[str, Any] = {"version": "1.0", "queryDate": _stamp(now_us)}
    if known:
        data["startDate"] = _stamp(known[0][0])
    if statistic := given.get("Statistic") or given.get("ExtendedStatistic"):
        data |= {"statistic": statistic, "period": given["Period"]}
    data |= {"recentDatapoints": [value for _, value in known], "threshold": float(given["Threshold"])}
    return msgspec.json.encode(data).decode()


def message(region: Region, alarm: Alarm, before: str) -> dict[str, Any]:
    """What CloudWatch sends to a topic when an alarm's state changes."""
    given = alarm.given
    trigger = {
        "MetricName": given.get("MetricName"),
        "Namespace": given.get("Namespace"),
        "StatisticType": "Statistic" if given.get("Statistic") else "ExtendedStatistic",
        "Statistic": (given.get("Statistic") or given.get("ExtendedStatistic") or "").upper(),
        "Unit": given.get("Unit"),
        "Dimensions": [{"name": each["Name"], "value": each["Value"]} for each in given.get("Dimensions") or ()],
        "Period": given.get("Period"),
        "EvaluationPeriods": given["EvaluationPeriods"],
        "DatapointsToAlarm": given.get("DatapointsToAlarm", given["EvaluationPeriods"]),
        "ComparisonOperator": given["ComparisonOperator"],
        "Threshold": given["Threshold"],
        "TreatMissingData": given.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": given.get("EvaluateLowSampleCountPercentile", ""),
    }
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": given.get("AlarmDescription"),
        "AWSAccountId": region.state.account_id,
        "AlarmConfigurationUpdatedTimestamp": _stamp(alarm.configured_us),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": _stamp(alarm.changed_us),
        "Region": region.state.region,
        "AlarmArn": alarm.arn,
        "OldStateValue": before,
        "OKActions": given.get("OKActions") or [],
        "AlarmActions": given.get("AlarmActions") or [],
        "InsufficientDataActions": given.get("InsufficientDataActions") or [],
        "Trigger": trigger,
    }


#: What activities show of an alarm, and of what it looks at.
_SHOWN = ("AlarmArn", "AlarmName", "AlarmDescription", "AWSAccountId", "OldStateValue", "Region", "NewStateValue")
_NOT_SHOWN = ("Dimensions", "DatapointsToAlarm")


def invoking(region: Region, alarm: Alarm, before: str) -> dict[str, Any]:
    """What the details of an activity show of the alarm that caused it, as observed in AWS's notifications."""
    sent = message(region, alarm, before)
    return {
        **{key: sent[key] for key in _SHOWN},
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_us // 1000,
        "StateChangeTime": alarm.changed_us // 1000,
        "Trigger": {key: value for key, value in sent["Trigger"].items() if key not in _NOT_SHOWN},
    }


def _count(count: int, what: str, did: str) -> str:
    return f"{_some(count, what)} {'was' if count == 1 else 'were'} {did}"


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // SECOND_US, UTC)


def _stamp(at_us: int) -> str:
    return f"{_moment(at_us):%Y-%m-%dT%H:%M:%S}.{at_us % SECOND_US // 1000:03}+0000"
