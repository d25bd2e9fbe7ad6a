"""A region with a world of its own, for tests: instances start and end as soon as they are asked to, or fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from parity.errors import ServiceError
from parity.model.scaling.api import Region
from parity.model.scaling.groups import zones
from parity.model.scaling.state import SECOND_US, Group, State
from parity.model.scaling.world import (
    Action,
    Input,
    Launch,
    LaunchFailed,
    Removed,
    Running,
    Start,
    Stop,
    Stopped,
    Terminate,
)

T0 = 1_795_629_600 * SECOND_US  # 2026-11-25T18:00:00Z


class World:
    """A region, and instances that start and end as soon as they are asked to."""

    def __init__(self, seed: int = 1) -> None:
        self.region = Region(State(seed=seed, zones=zones.of_region("us-east-1"), now_us=T0))
        self.now_us = T0
        self.lazy = False
        self.broken: dict[str, tuple[str, str]] = {}

    def call(self, name: str, **request: Any) -> dict[str, Any]:
        return self.region.call(self.now_us, "autoscaling", name, request)

    def run(self, seconds: float = 0, *told: Input) -> list[Action]:
        """Let time pass, and carry out what is asked."""
        self.now_us += int(seconds * SECOND_US)
        done: list[Action] = []
        actions = self.region.step(self.now_us, told)
        while actions:
            done += actions
            actions = self.region.step(self.now_us, [] if self.lazy else list(self.answers(actions)))
        return done

    def answers(self, actions: Iterable[Action]) -> Iterator[Input]:
        for action in actions:
            if isinstance(action, Launch) and action.zone in self.broken:
                yield LaunchFailed(action.instance_id, *self.broken[action.zone])
            elif isinstance(action, (Launch, Start)):
                yield Running(action.instance_id, private_ip="10.0.0.1")
            elif isinstance(action, Stop):
                yield Stopped(action.instance_id)
            elif isinstance(action, Terminate):
                yield Removed(action.instance_id)

    def configured(self, name: str = "lc", **more: Any) -> World:
        given = {"ImageId": "ami-1", "InstanceType": "t3.micro", **more}
        self.call("CreateLaunchConfiguration", LaunchConfigurationName=name, **given)
        return self

    def group(self, name: str = "g", **more: Any) -> World:
        given = {"MinSize": 0, "MaxSize": 10, "AvailabilityZones": ["us-east-1a"], "LaunchConfigurationName": "lc"}
        self.call("CreateAutoScalingGroup", AutoScalingGroupName=name, **{**given, **more})
        self.run()
        return self

    def of(self, name: str = "g") -> Group:
        return self.region.state.groups[name]

    def shown(self, name: str = "g") -> dict[str, Any]:
        return self.call("DescribeAutoScalingGroups", AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def states(self, name: str = "g") -> list[str]:
        return [one["LifecycleState"] for one in self.shown(name)["Instances"]]

    def ids(self, name: str = "g") -> list[str]:
        return [one["InstanceId"] for one in self.shown(name)["Instances"]]

    def put_hook(self, name: str, transition: str = "LAUNCHING", **more: Any) -> None:
        given = {"LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}", **more}
        self.call("PutLifecycleHook", AutoScalingGroupName="g", LifecycleHookName=name, **given)

    def complete(self, hook: str, instance_id: str, result: str = "CONTINUE") -> None:
        self.call(
            "CompleteLifecycleAction",
            AutoScalingGroupName="g",
            LifecycleHookName=hook,
            InstanceId=instance_id,
            LifecycleActionResult=result,
        )

    def resize(self, desired: int) -> None:
        self.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=desired)
        self.run()

    def activities(self, name: str = "g") -> list[dict[str, Any]]:
        return self.call("DescribeScalingActivities", AutoScalingGroupName=name)["Activities"]


def refused(world: World, name: str, **request: Any) -> tuple[str, str]:
    """What a call is refused with; nothing changed by it."""
    before = msgspec.json.encode(world.region.state)
    with pytest.raises(ServiceError) as caught:
        world.call(name, **request)
    assert msgspec.json.encode(world.region.state) == before
    return caught.value.code, caught.value.message
