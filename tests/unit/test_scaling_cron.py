"""When a recurrence is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parity.errors import ServiceError
from parity.model.scaling.policies.cron import following


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def due(recurrence: str, zone: str, after: str, count: int) -> list[str]:
    """The next times, in UTC."""
    found, now_us = [], us(after)
    for _ in range(count):
        now_us = following(recurrence, zone, now_us)
        found.append(datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("recurrence", "zone", "after", "times"),
    [
        ("30 6 * * *", "", "2027-01-01T06:30", ["01-02 06:30"]),
        ("30 6 * * *", "", "2027-01-01T06:29", ["01-01 06:30"]),
        ("0 9 * * MON-FRI", "America/New_York", "2027-03-12T20:00", ["03-15 13:00"]),
        ("*/20 * * * *", "", "2027-01-01T00:05", ["01-01 00:20", "01-01 00:40", "01-01 01:00"]),
        ("0 0 13 * fri", "", "2027-08-01", ["08-06 00:00", "08-13 00:00"]),
        # The clock goes from 2 to 3 on 28 March: due right after, then at local time again.
        ("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00", ["03-28 01:00", "03-29 00:30"]),
        # The clock goes back from 3 to 2 on 31 October: due once.
        ("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00", ["10-31 00:30", "11-01 01:30"]),
        ("0 8 * * *", "Europe/Berlin", "2027-03-27T12:00", ["03-28 06:00"]),
    ],
)
def test_a_recurrence_is_due_by_the_clock_of_its_zone(recurrence, zone, after, times):
    assert due(recurrence, zone, after, len(times)) == times


def test_seconds_do_not_bring_a_recurrence_back():
    """Half a second past the minute, the next is a day off."""
    now_us = us("2027-01-01T06:30") + 500_000
    assert following("30 6 * * *", "", now_us) == us("2027-01-02T06:30")


@pytest.mark.parametrize(
    "recurrence",
    ["", "x", "60 * * * *", "* * * * * *", "* * * *", "0 0 ? * *", "0 0 L * *", "0 0 30 2 *", "cron(0 0 * * *)"],
)
def test_what_is_no_recurrence_is_refused_in_aws_words(recurrence):
    with pytest.raises(ServiceError) as caught:
        following(recurrence, "", 0)
    assert caught.value.message == f"Given recurrence string: {recurrence} is invalid"


@pytest.mark.parametrize("zone", ["Nowhere/City", "../etc/passwd", "/etc/localtime", "Europe"])
def test_what_is_no_time_zone_is_refused(zone):
    with pytest.raises(ServiceError) as caught:
        following("0 0 * * *", zone, 0)
    assert caught.value.code == "ValidationError"
