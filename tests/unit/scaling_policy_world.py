"""A region and a world for tests of policies: instances run after a time, and metrics come every minute."""

from __future__ import annotations

import heapq
from typing import Any

import pytest

from parity.errors import ServiceError
from parity.model.scaling.api import Region
from parity.model.scaling.groups import zones
from parity.model.scaling.state import SECOND_US, Group, State
from parity.model.scaling.world import Input, Launch, Measured, Notify, Removed, Running, Terminate

T0 = 1_795_629_600 * SECOND_US  # 2026-11-25T18:00:00Z
MINUTE = 60


class World:
    """Time passes by `pass_time` only. Instances take `boot_s` to run, and `end_s` to be gone."""

    def __init__(self, *, boot_s: int = 5, end_s: int = 1) -> None:
        self.region = Region(State(seed=1, zones=zones.of_region("us-east-1"), now_us=T0))
        self.boot_s, self.end_s = boot_s, end_s
        self.notified: list[Notify] = []
        self._coming: list[tuple[int, int, Input]] = []
        self._told = 0

    @property
    def state(self) -> State:
        return self.region.state

    @property
    def now_s(self) -> float:
        return (self.region.now_us - T0) / SECOND_US

    def call(self, name: str, service: str = "autoscaling", **request: Any) -> dict[str, Any]:
        return self.region.call(self.region.now_us, service, name, request)

    def watch(self, name: str, **request: Any) -> dict[str, Any]:
        return self.call(name, "cloudwatch", **request)

    def refused(self, name: str, service: str = "autoscaling", **request: Any) -> str:
        """Have a call refused. Returns the error's code and message."""
        with pytest.raises(ServiceError) as caught:
            self.call(name, service, **request)
        return f"{caught.value.code}: {caught.value.message}"

    def pass_time(self, seconds: float) -> None:
        end_us = self.region.now_us + round(seconds * SECOND_US)
        while True:
            due = [at for at in (self.region.due_us(), self._coming[0][0] if self._coming else None) if at is not None]
            at_us = min([*due, end_us])
            told = []
            while self._coming and self._coming[0][0] <= at_us:
                told.append(heapq.heappop(self._coming)[2])
            self._carry_out(at_us, told)
            if at_us == end_us and not [
                each for each in (self.region.due_us(),) if each is not None and each <= end_us
            ]:
                return

    def _carry_out(self, at_us: int, told: list[Input]) -> None:
        for action in self.region.step(at_us, told):
            if isinstance(action, Launch):
                self._later(self.boot_s, Running(action.instance_id, private_ip="10.0.0.1"))
            elif isinstance(action, Terminate):
                self._later(self.end_s, Removed(action.instance_id))
            elif isinstance(action, Notify):
                self.notified.append(action)

    def _later(self, seconds: float, told: Input) -> None:
        self._told += 1
        heapq.heappush(self._coming, (self.region.now_us + round(seconds * SECOND_US), self._told, told))

    def group(self, name: str = "g", *, sizes: tuple[int, int, int] = (1, 10, 2), **more: Any) -> Group:
        """A group whose instances are in service, and warm."""
        if "lc" not in self.state.launch_configurations:
            given = {"LaunchConfigurationName": "lc", "ImageId": "ami-1", "InstanceType": "t3.micro"}
            self.call("CreateLaunchConfiguration", **given)
        low, high, desired = sizes
        self.call(
            "CreateAutoScalingGroup",
            AutoScalingGroupName=name,
            LaunchConfigurationName="lc",
            AvailabilityZones=["us-east-1a"],
            MinSize=low,
            MaxSize=high,
            DesiredCapacity=desired,
            **more,
        )
        self.pass_time(10 * MINUTE)
        return self.state.groups[name]

    def policy(self, name: str, group: str = "g", **given: Any) -> str:
        """Put a policy. Returns its ARN."""
        return self.call("PutScalingPolicy", AutoScalingGroupName=group, PolicyName=name, **given)["PolicyARN"]

    def simple(self, name: str, amount: int, *, kind: str = "ChangeInCapacity", group: str = "g", **more: Any) -> str:
        given = {"PolicyType": "SimpleScaling", "AdjustmentType": kind, "ScalingAdjustment": amount}
        return self.policy(name, group, **given, **more)

    def steps(
        self,
        name: str,
        steps: list[tuple[float | None, float | None, int]],
        *,
        kind: str = "ChangeInCapacity",
        **more: Any,
    ) -> str:
        bounds = ("MetricIntervalLowerBound", "MetricIntervalUpperBound", "ScalingAdjustment")
        stated = [{key: value for key, value in zip(bounds, step, strict=True) if value is not None} for step in steps]
        given = {"PolicyType": "StepScaling", "AdjustmentType": kind, "StepAdjustments": stated}
        return self.policy(name, **given, **more)

    def track(self, name: str, target: float, metric: str = "Load", group: str = "g", **more: Any) -> str:
        custom = {"Namespace": "Test", "MetricName": metric, "Dimensions": [], "Statistic": "Average"}
        config = {"CustomizedMetricSpecification": custom, "TargetValue": target, **more}
        return self.policy(
            name,
            group,
            PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration=config,
            EstimatedInstanceWarmup=0,
        )

    def alarm(self, name: str, comparison: str, threshold: float, *actions: str, **more: Any) -> None:
        """An alarm on `Load` of namespace `Test`, of one period of a minute unless it is said otherwise."""
        operators = {
            ">": "GreaterThanThreshold",
            ">=": "GreaterThanOrEqualToThreshold",
            "<": "LessThanThreshold",
            "<=": "LessThanOrEqualToThreshold",
        }
        given = {
            "AlarmName": name,
            "Namespace": "Test",
            "MetricName": "Load",
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": operators[comparison],
            "Threshold": threshold,
            "AlarmActions": list(actions),
        }
        self.watch("PutMetricAlarm", **{**given, **more})

    def minute(self, **values: float) -> None:
        """A minute with these values of metrics, at whose end alarms look at them; T0 begins one."""
        self._carry_out(
            self.region.now_us, [Measured("Test", name, (), float(value)) for name, value in values.items()]
        )
        self.pass_time(MINUTE)

    def minutes(self, count: int, **values: float) -> None:
        for _ in range(count):
            self.minute(**values)

    def state_of(self, alarm: str) -> str:
        return self.state.alarms[alarm].state
