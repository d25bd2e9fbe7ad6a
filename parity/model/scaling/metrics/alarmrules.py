"""What an alarm must be like. Messages are CloudWatch's where users and tools have seen them."""

from __future__ import annotations

from parity.errors import ServiceError
from parity.model.scaling.metrics import queries
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.metrics.evaluation import ALARM, COMPARISONS, INSUFFICIENT, OK
from parity.model.scaling.region import Request

ACTIONS = {ALARM: "AlarmActions", OK: "OKActions", INSUFFICIENT: "InsufficientDataActions"}
MISSING = ("missing", "notBreaching", "breaching", "ignore")
STATISTICS = {"SampleCount", "Average", "Sum", "Minimum", "Maximum"}
DAY_S, HOUR_S = 86_400, 3600
#: What CloudWatch has beside thresholds on metrics, and this model has not.
_LACKING = ("EvaluationCriteria", "ThresholdMetricId", "WarmUpConfiguration")


def check(given: Request) -> None:
    """Look an alarm over, as PutMetricAlarm states it.

    Raises:
        ServiceError: CloudWatch would not take it, or this model cannot evaluate it.
    """
    lacking = [key for key in _LACKING if key in given]
    if lacking or "WallClockWindow" in given.get("EvaluationWindow", {}):
        raise _refused(f"The parameter {(*lacking, 'EvaluationWindow')[0]} is not supported here")
    _check_subject(given)
    _check_comparison(given)
    _check_periods(given)
    if given.get("TreatMissingData", "missing") not in MISSING:
        raise _refused(f"Option {given['TreatMissingData']} for parameter TreatMissingData is not supported.")
    for key in ACTIONS.values():
        for arn in given.get(key) or ():
            if not arn.startswith("arn:") or arn.count(":") < 5:
                raise _refused(f"Invalid arn syntax: {arn}")


def _check_subject(given: Request) -> None:
    """Look at what an alarm watches: one metric, or one of several queries."""
    if listed := given.get("Metrics"):
        if given.get("MetricName"):
            raise _refused("The parameters MetricName and Metrics are mutually exclusive and you have specified both.")
        queries.check(listed)
        if sum(query.get("ReturnData", True) for query in listed) != 1:
            raise _refused("Exactly one element of the metrics list should return data.")
        if len(set(queries.periods_in(listed))) != 1:
            raise _refused("All metrics in the alarm should have the same period")
        return
    if not (given.get("MetricName") and given.get("Namespace") and given.get("Period")):
        raise _refused("You must specify MetricName, Namespace and Period, or Metrics, for the alarm")
    plain, extended = given.get("Statistic"), given.get("ExtendedStatistic")
    if bool(plain) == bool(extended):
        raise _refused("You must specify either Statistic or ExtendedStatistic for the alarm, and not both")
    known = plain in STATISTICS if plain else metrics.is_statistic(str(extended)) and extended not in STATISTICS
    if not known:
        raise _refused(f"Invalid statistic: {plain or extended}")


def _check_comparison(given: Request) -> None:
    for key in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if key not in given:
            raise _refused(f"The parameter {key} is required for the alarm")
    if given["ComparisonOperator"] not in COMPARISONS:
        raise _refused(
            f"1 validation error detected: Value '{given['ComparisonOperator']}' at 'comparisonOperator' failed to "
            f"satisfy constraint: Member must satisfy enum value set: [{', '.join(COMPARISONS)}]"
        )


def _check_periods(given: Request) -> None:
    periods = given["EvaluationPeriods"]
    if min(periods, given.get("DatapointsToAlarm", 1)) < 1:
        raise _refused("EvaluationPeriods and DatapointsToAlarm must be at least 1")
    if given.get("DatapointsToAlarm", periods) > periods:
        raise _refused("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    period_s = period_of(given)
    if period_s not in {10, 20, 30} and period_s % 60:
        raise _refused("Period must be 10, 20, 30 or a multiple of 60")
    days, span = (7, "seven days") if period_s >= HOUR_S else (1, "a day")
    if period_s * periods > days * DAY_S:
        raise _refused(
            f"Metrics cannot be checked across more than {span} (EvaluationPeriods * Period must be <= {days * DAY_S})."
        )


def period_of(given: Request) -> int:
    """An alarm's period in seconds."""
    return int(given["Period"]) if "Period" in given else queries.periods_in(given["Metrics"])[0]


def _refused(text: str) -> ServiceError:
    return ServiceError("ValidationError", text)
