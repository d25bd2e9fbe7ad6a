"""Fewer points than there are: no drawing shows more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_POINTS_MAX = 400
_Point = TypeVar("_Point")


def thinned(points: Sequence[_Point], weight: Callable[[_Point], float]) -> tuple[_Point, ...]:
    """At most `_POINTS_MAX` points; of those that must share a place the weightiest stays."""
    if len(points) <= _POINTS_MAX:
        return tuple(points)
    step = -(-len(points) // _POINTS_MAX)
    return tuple(max(points[start : start + step], key=weight) for start in range(0, len(points), step))
