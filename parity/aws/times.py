"""Times between the wire and microseconds since 1970."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

SECOND_US = 1_000_000
#: The years 1 to 9999.
FIRST_S, LAST_S = -62_135_596_800, 253_402_300_799


def parse_time(text: str | float) -> int:
    """A time as clients write it: ISO 8601, UTC where no zone is stated, or seconds since 1970.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(text, str):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _of_seconds(float(text))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds
    return _of_seconds(text)


def _of_seconds(seconds: float) -> int:
    if not FIRST_S <= seconds <= LAST_S:
        raise ValueError(f"not a time: {seconds}")
    return round(seconds * SECOND_US)


def iso_time(time_us: int) -> str:
    """A time as AWS writes it in XML: to the millisecond."""
    seconds, rest_us = divmod(time_us, SECOND_US)
    return f"{_second(seconds)}.{rest_us // 1000:03}Z"


def iso_second(time_us: int) -> str:
    """A time as the metadata service writes it: to the second."""
    return f"{_second(time_us // SECOND_US)}Z"


@lru_cache(maxsize=8192)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def epoch_time(time_us: int) -> float:
    """A time as AWS writes it in JSON and CBOR: seconds since 1970, to the millisecond."""
    return time_us // 1000 / 1000
