"""Durations as people write them: `250ms`, `3s`, `2m`, `1h`, or a bare number of seconds."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from parity.scenario.source import found

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")


def parse_duration_s(value: object) -> float:
    """Seconds from a duration.

    Args:
        value: `250ms`, `3s`, `2m`, `1h`, or a number of seconds.

    Returns:
        The duration in seconds, not negative.

    Raises:
        ValueError: The value is none of these.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"expected a duration that is not negative, found {value}")
        if math.isfinite(value):
            return float(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a duration such as 250ms, 3s or 2m, found {found(value)}")
    return float(match[1]) * _UNIT_S[match[2]]


Seconds = Annotated[float, BeforeValidator(parse_duration_s), Field(ge=0)]
"""A duration in seconds, written as `250ms`, `3s`, `2m`, `1h` or a number."""
