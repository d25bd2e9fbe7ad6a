"""When a recurrence is due: crontab's five fields, in a time zone with its daylight saving time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from parity.errors import ServiceError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Crontab's own characters: the library also takes `L` and `#`, which Auto Scaling refuses.
_FIELD = re.compile(
    r"[0-9*,/-]+|(?:[0-9*,/-]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT)+"
)


def following(recurrence: str, time_zone: str, after_us: int) -> int | None:
    """When a recurrence is due next.

    A time that daylight saving time skips is due right after the gap; one that it repeats is due once. A recurrence of
    every so many minutes or hours follows the hours that really pass.

    Args:
        recurrence: Minute, hour, day of the month, month, day of the week.
        time_zone: Its IANA name; empty for UTC.
        after_us: It is due later than this.

    Returns:
        The time in microseconds since 1970, or None where no such day ever comes.

    Raises:
        ServiceError: The recurrence or the time zone is none.
    """
    zone = zone_named(time_zone)
    fields = recurrence.upper().split()
    if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields):
        raise _invalid(recurrence)
    begin = (_EPOCH + timedelta(microseconds=after_us)).astimezone(zone)
    try:
        found = next(CronSim(" ".join(fields), begin), None)
    except CronSimError as error:
        raise _invalid(recurrence) from error
    return None if found is None else (found - _EPOCH) // timedelta(microseconds=1)


def zone_named(time_zone: str) -> ZoneInfo:
    """A time zone by its IANA name; UTC where it is empty.

    Raises:
        ServiceError: There is none.
    """
    try:
        return ZoneInfo(time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ServiceError("ValidationError", f"The time zone {time_zone} is not valid") from error


def _invalid(recurrence: str) -> ServiceError:
    return ServiceError("ValidationError", f"Given recurrence string: {recurrence} is invalid")
