"""What became of the Auto Scaling group, gathered in the same pass as the timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from parity.history.events import Activity, Capacity, Connections
from parity.report.data import Scaling, ScalingActivity, Size
from parity.report.thinning import thinned

ACTIVITIES_MAX = 200
_OVER = ("Successful", "Failed", "Cancelled")


class ScalingBuilder:
    """Sees the events of the group once, in their order."""

    def __init__(self) -> None:
        self._sizes: list[Size] = []
        self._activities: dict[str, ScalingActivity] = {}
        self._more: set[str] = set()
        self._connections: list[tuple[int, int, int]] = []
        #: What is seen, and by which method.
        self.see: Mapping[type, Callable[[Any], None]] = {
            Capacity: self._capacity,
            Activity: self._activity,
            Connections: lambda event: self._connections.append((event.t_us, event.used, event.limit)),
        }

    def build(self) -> Scaling:
        """All that was seen so far."""
        return Scaling(
            sizes=thinned(self._sizes, lambda size: abs(size.desired - size.in_service)),
            activities=tuple(self._activities.values()),
            activities_more=len(self._more),
            connections=thinned(self._connections, lambda point: point[1]),
        )

    def _capacity(self, event: Capacity) -> None:
        self._sizes.append(
            Size(
                t_us=event.t_us,
                desired=event.desired,
                in_service=event.in_service,
                pending=event.pending,
                leaving=event.leaving,
            )
        )

    def _activity(self, event: Activity) -> None:
        before = self._activities.get(event.activity)
        if before is None and len(self._activities) >= ACTIVITIES_MAX:
            self._more.add(event.activity)
            return
        self._activities[event.activity] = ScalingActivity(
            start_us=before.start_us if before else event.t_us,
            end_us=event.t_us if event.status in _OVER else None,
            status=event.status,
            instance=event.instance or (before.instance if before else ""),
            description=event.description,
            cause=event.cause,
            message=event.message,
        )
