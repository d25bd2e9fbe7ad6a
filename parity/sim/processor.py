"""What instances take of their processors in the simulator: while they work jobs that need it, nothing otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from parity.model.scaling.world import Measured

NAMESPACE = "AWS/EC2"


class Processor:
    """Makes datapoints of how much processor time instances took since the last time.

    Args:
        processors: How many each may use.
    """

    def __init__(self, processors: float) -> None:
        self._processors = processors
        self._before: dict[str, int] = {}
        self._before_us = 0

    def measure(self, now_us: int, taken_us: Mapping[str, int]) -> list[Measured]:
        """`CPUUtilization` of each instance, in percent of what it may use.

        Args:
            now_us: When.
            taken_us: Processor time that each instance that runs took in all its life, by its id. One that is seen the
                first time has no datapoint yet.
        """
        passed_us = (now_us - self._before_us) * self._processors
        before, self._before, self._before_us = self._before, dict(taken_us), now_us
        return [
            Measured(NAMESPACE, "CPUUtilization", (("InstanceId", one),), total=min(100.0, 100 * taken / passed_us))
            for one, taken in ((one, us - before[one]) for one, us in taken_us.items() if one in before)
        ]
