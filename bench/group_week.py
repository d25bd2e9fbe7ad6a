"""A week of an Auto Scaling group in virtual time, and how its cost grows with the group."""

from __future__ import annotations

import gc
import math
import time
from typing import Any

from parity.model.scaling.api import Region
from parity.model.scaling.state import SECOND_US, Image, State, Zone
from parity.model.scaling.virtual import World
from parity.model.scaling.world import Input, LaunchFailed, Measured, Removed, Running

#: Monday, 2026-03-02T00:00:00Z.
BEGIN_US = 1_772_409_600 * SECOND_US
MINUTE_US = 60 * SECOND_US
DAY_US = 24 * 60 * MINUTE_US
WEEK_US = 7 * DAY_US
TARGET_PERCENT = 50.0
RATIO_MAX = 1.2
NAME = "workers"
IMAGE_ID = "ami-0123456789abcdef0"
ZONES = [
    Zone(name=f"us-east-1{letter}", zone_id=f"use1-az{n}", subnet_id=f"subnet-{n:017x}", cidr=f"172.31.{16 * n}.0/20")
    for n, letter in enumerate("abc")
]


class Week:
    """A group whose load goes up and down with the day, half as much at night as at noon.

    Args:
        size: How many instances the load needs at noon.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.told = {Running: 0, Removed: 0, LaunchFailed: 0}
        image = Image(image_id=IMAGE_ID, name="worker", tag="worker:1", created_us=BEGIN_US)
        state = State(seed=1, zones=ZONES, images={IMAGE_ID: image}, now_us=BEGIN_US)
        self.world = World(Region(state), listen=self._count)

    def begin(self) -> None:
        """Make the group: a target-tracking policy, and a schedule that has the night's minimum go down."""
        self._call("CreateLaunchConfiguration", LaunchConfigurationName=NAME, ImageId=IMAGE_ID, InstanceType="m5.large")
        self._call(
            "CreateAutoScalingGroup",
            AutoScalingGroupName=NAME,
            LaunchConfigurationName=NAME,
            AvailabilityZones=[zone.name for zone in ZONES],
            MinSize=self.size // 4,
            MaxSize=self.size * 2,
            DesiredCapacity=self.size // 2,
        )
        self._call(
            "PutScalingPolicy",
            AutoScalingGroupName=NAME,
            PolicyName="cpu",
            PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration={
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                "TargetValue": TARGET_PERCENT,
            },
        )
        for name, recurrence, smallest in (("day", "0 7 * * 1-5", 0.7), ("night", "0 20 * * 1-5", 0.25)):
            self._call(
                "PutScheduledUpdateGroupAction",
                AutoScalingGroupName=NAME,
                ScheduledActionName=name,
                Recurrence=recurrence,
                MinSize=int(self.size * smallest),
            )
        self.world.every(MINUTE_US, self._measure)

    def pass_until(self, day: float) -> None:
        """Let time pass until a day of the week, 0 to 7."""
        self.world.run_until(BEGIN_US + int(day * DAY_US))

    def _call(self, operation: str, **request: Any) -> None:
        self.world.call("autoscaling", operation, request)

    def _measure(self) -> None:
        """Tell the processors' load of the minute: what all have to do, shared out among those in service."""
        serving = self.told[Running] - self.told[Removed]
        if not serving:
            return
        day = (self.world.now_us % DAY_US) / DAY_US
        needed = self.size * (0.75 - 0.25 * math.cos(2 * math.pi * day))
        percent = min(100.0, TARGET_PERCENT * needed / serving)
        self.world.tell(
            Measured(
                namespace="AWS/EC2",
                name="CPUUtilization",
                dimensions=(("AutoScalingGroupName", NAME),),
                total=percent * serving,
                count=float(serving),
                low=percent,
                high=percent,
            )
        )

    def _count(self, _now_us: int, fact: Input) -> None:
        if type(fact) in self.told:
            self.told[type(fact)] += 1


def week(size: int) -> dict[str, Any]:
    """A week of one group: processor seconds, and what happened in it."""
    group = Week(size)
    gc.collect()
    began_s = time.process_time()
    group.begin()
    sizes = []
    for hour in range(1, 7 * 24 + 1):
        group.pass_until(hour / 24)
        sizes.append(group.world.region.state.groups[NAME].desired)
    spent_s = time.process_time() - began_s
    launched, ended = group.told[Running], group.told[Removed]
    return {
        "instances": size,
        "cpu_s": round(spent_s, 2),
        "cpu_us_per_launch_or_end": round(spent_s * 1e6 / (launched + ended), 1),
        "launched": launched,
        "terminated": ended,
        "desired_least": min(sizes),
        "desired_most": max(sizes),
    }


def bench() -> dict[str, Any]:
    """A thousand instances, and ten times as many."""
    week(100)
    small, large = week(1_000), week(10_000)
    return {
        "name": "group-week",
        "figures": {
            "of_1000": small,
            "of_10000": large,
            "cpu_per_instance_of_10000_to_1000": round(large["cpu_s"] / small["cpu_s"] / 10, 2),
        },
        "bound": {"cpu_per_instance_ratio_max": RATIO_MAX},
    }
