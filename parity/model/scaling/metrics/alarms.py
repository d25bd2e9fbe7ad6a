"""CloudWatch alarms: kept, evaluated every minute or faster, and acting when their state changes and while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from parity.model.scaling.metrics import queries
from parity.model.scaling.metrics.alarmrules import ACTIONS, check, period_of
from parity.model.scaling.metrics.evaluation import ALARM, COMPARISONS, FURTHER_PERIODS, judged
from parity.model.scaling.metrics.reasons import data_of, message, told
from parity.model.scaling.region import Answer, Region, Request, operation, timer
from parity.model.scaling.state import SECOND_US, Alarm
from parity.model.scaling.world import Notify

#: CloudWatch evaluates once a minute, and alarms of shorter periods once a period. Its user guide says of actions that
#: scale that the alarm invokes them again "for each minute that the alarm remains in the new state".
EVALUATED_S = 60
REPEATED_US = 60 * SECOND_US
HISTORY_MAX = 50


#: What an action does, by the service in its ARN; called with the region, the alarm and the ARN.
Actor = Callable[[Region, Alarm, str, str], None]
ACTORS: dict[str, Actor] = {}
#: Called with an alarm that came into another state.
ON_STATE: list[Callable[[Region, Alarm], None]] = []


def actor(service: str) -> Callable[[Actor], Actor]:
    """Register what carries out actions of a service."""

    def register(function: Actor) -> Actor:
        ACTORS[service] = function
        return function

    return register


@operation("cloudwatch", "PutMetricAlarm")
def put(region: Region, request: Request) -> Answer:
    """Make an alarm, or change one; a changed one keeps its state until it is evaluated."""
    given = {key: value for key, value in request.items() if value is not None}
    check(given)
    store(region, given)
    return {}


def store(region: Region, given: dict[str, Any]) -> Alarm:
    """Keep an alarm that was looked over, and evaluate it from now on."""
    name = given["AlarmName"]
    tags = {each["Key"]: each["Value"] for each in given.pop("Tags", None) or ()}
    alarm = region.state.alarms.get(name)
    did = "updated"
    if alarm is None:
        did = "created"
        arn = region.arn("cloudwatch", f"alarm:{name}")
        alarm = Alarm(name=name, arn=arn, given={}, reason="Unchecked: Initial alarm creation", tags=tags)
        alarm.updated_us = alarm.changed_us = region.now_us
        region.state.alarms[name] = alarm
    alarm.given = given
    alarm.configured_us = region.now_us
    note(region, alarm, "ConfigurationUpdate", f'Alarm "{name}" {did}', {"type": did.removesuffix("d")})
    _await(region, alarm)
    return alarm


def is_fresh(region: Region, alarm: Alarm) -> bool:
    """Whether there is a datapoint of the period that has just ended."""
    return alarm.newest_us + period_of(alarm.given) * SECOND_US > region.now_us


def delete(region: Region, names: Iterable[str]) -> None:
    """Forget alarms; names that none has are passed over."""
    for name in names:
        region.state.alarms.pop(name, None)


def _await(region: Region, alarm: Alarm) -> None:
    """Have an alarm evaluated when its next period is over."""
    every_us = min(EVALUATED_S, period_of(alarm.given)) * SECOND_US
    alarm.due_us = region.now_us - region.now_us % every_us + every_us
    region.at(alarm.due_us, "alarm", alarm.name, str(alarm.due_us))


@timer("alarm")
def evaluate(region: Region, name: str, due: str) -> None:
    """Evaluate an alarm, and act."""
    alarm = region.state.alarms.get(name)
    if alarm is None or alarm.due_us != int(due):
        return
    _await(region, alarm)
    given = alarm.given
    points = observed(region, given)
    breaches = COMPARISONS[given["ComparisonOperator"]]
    threshold, periods = given["Threshold"], given["EvaluationPeriods"]
    needed, missing = given.get("DatapointsToAlarm", periods), given.get("TreatMissingData", "missing")
    verdict = judged(points, lambda value: breaches(value, threshold), periods=periods, needed=needed, missing=missing)
    ends = {place: value for place in reversed(verdict.places) if (value := points[place]) is not None}
    alarming = verdict.state == ALARM
    crossing = {place: value for place, value in ends.items() if breaches(value, threshold) == alarming}
    if verdict.state is not None:
        alarm.points = list(crossing.values())
    if verdict.places:
        alarm.newest_us = region.now_us - verdict.places[0] * period_of(given) * SECOND_US
    if verdict.state is None or verdict.state == alarm.state:
        if region.now_us - alarm.acted_us >= REPEATED_US:
            _act(region, alarm, repeated=True)
        return

    def timed(values: dict[int, float]) -> list[tuple[int, float]]:
        length_us = period_of(given) * SECOND_US
        return [(region.now_us - (place + 1) * length_us, value) for place, value in values.items()]

    reason = told(given, verdict, timed(crossing))
    _enter(region, alarm, verdict.state, reason, data_of(given, timed(ends), region.now_us))


def observed(region: Region, given: Request) -> list[float | None]:
    """The datapoints an alarm looks at, the newest first; None where one is missing."""
    count = given["EvaluationPeriods"] + FURTHER_PERIODS
    period_s = period_of(given)
    if listed := given.get("Metrics"):
        watched = next(query["Id"] for query in listed if query.get("ReturnData", True))
        return queries.resolve(region, listed, watched, end_us=region.now_us, period_s=period_s, count=count)
    statistic = given.get("Statistic") or given["ExtendedStatistic"]
    return queries.points(region, given, statistic, end_us=region.now_us, period_s=period_s, count=count)


def set_state(region: Region, alarm: Alarm, state: str, reason: str, reason_data: str) -> None:
    """Put an alarm in a state until it is evaluated next; acts where that is another."""
    if state == alarm.state:
        alarm.reason, alarm.reason_data, alarm.updated_us = reason, reason_data, region.now_us
        return
    if stated := _points_in(reason_data):
        alarm.points, alarm.newest_us = stated, region.now_us
    _enter(region, alarm, state, reason, reason_data)


def _points_in(reason_data: str) -> list[float]:
    """The datapoints that a caller of SetAlarmState states, as step policies take them."""
    try:
        stated = msgspec.json.decode(reason_data.encode(), type=dict[str, Any]).get("recentDatapoints")
        return [float(value) for value in stated or ()]
    except (msgspec.MsgspecError, TypeError, ValueError):
        return []


def _enter(region: Region, alarm: Alarm, state: str, reason: str, reason_data: str) -> None:
    before, alarm.state = alarm.state, state
    alarm.reason, alarm.reason_data = reason, reason_data
    alarm.updated_us = alarm.changed_us = region.now_us
    change = {"oldState": {"stateValue": before}, "newState": {"stateValue": state, "stateReason": reason}}
    note(region, alarm, "StateUpdate", f"Alarm updated from {before} to {state}", change)
    _act(region, alarm, before=before)
    for tell in ON_STATE:
        tell(region, alarm)


def _act(region: Region, alarm: Alarm, *, before: str = "", repeated: bool = False) -> None:
    """Run the actions of an alarm's state; those that scale only, where it is not a change."""
    alarm.acted_us = region.now_us
    if not alarm.given.get("ActionsEnabled", True):
        return
    for arn in alarm.given.get(ACTIONS[alarm.state]) or ():
        service = arn.split(":")[2]
        if service in ACTORS:
            ACTORS[service](region, alarm, arn, before or alarm.state)
        elif service in {"sns", "sqs"} and not repeated:
            region.act(Notify(target_arn=arn, message=message(region, alarm, before)))
        if not repeated:
            note(region, alarm, "Action", f"Successfully executed action {arn}", {"actionState": "Succeeded"})


def note(region: Region, alarm: Alarm, kind: str, summary: str, data: dict[str, Any]) -> None:
    """Write an item of an alarm's history."""
    item = {"Timestamp": region.now_us, "HistoryItemType": kind, "HistorySummary": summary}
    alarm.history.append(item | {"HistoryData": msgspec.json.encode({"version": "1.0", **data}).decode()})
    del alarm.history[:-HISTORY_MAX]
