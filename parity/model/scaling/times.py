"""Times as texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(time_us: int) -> str:
    """A time as AWS's messages and EC2's filters have it, such as `2026-11-25T18:00:00.000Z`."""
    text = (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
