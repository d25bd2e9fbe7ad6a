"""What the statements are given: groups with instances in service, policies, alarms, and minutes of a metric."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

NAMESPACE = "Parity/Test"
UNTIL_S = 120


class Group:
    """A group, looked at through the API each time."""

    def __init__(self, world: Any, name: str) -> None:
        self.world = world
        self.name = name

    def describe(self) -> dict[str, Any]:
        (found,) = self.world.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])[
            "AutoScalingGroups"
        ]
        return found

    def is_there(self) -> bool:
        answer = self.world.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        return bool(answer["AutoScalingGroups"])

    @property
    def desired(self) -> int:
        return self.describe()["DesiredCapacity"]

    def instances(self) -> dict[str, dict[str, Any]]:
        """Its instances as the group shows them, by id."""
        return {shown["InstanceId"]: shown for shown in self.describe().get("Instances", [])}

    def ids(self) -> set[str]:
        return set(self.instances())

    def states(self) -> list[str]:
        """Its instances' lifecycle states, sorted."""
        return sorted(shown["LifecycleState"] for shown in self.instances().values())

    def in_service(self) -> set[str]:
        return {name for name, shown in self.instances().items() if shown["LifecycleState"] == "InService"}

    def by_zone(self) -> dict[str, set[str]]:
        zones: dict[str, set[str]] = {}
        for name, shown in self.instances().items():
            zones.setdefault(shown["AvailabilityZone"], set()).add(name)
        return zones

    def activities(self, instance_id: str = "") -> list[dict[str, Any]]:
        """Its activities, newest first; where an id is given, those of that instance."""
        answer = self.world.autoscaling.describe_scaling_activities(AutoScalingGroupName=self.name)
        return [a for a in answer["Activities"] if instance_id in a["Description"]]

    def settled(self, size: int, *, within_s: float = UNTIL_S) -> set[str]:
        """Wait until it is this many instances, all in service. Returns their ids."""
        self.world.until(lambda: self.states() == ["InService"] * size, within_s=within_s)
        return self.ids()

    def resize(self, desired: int, **more: Any) -> None:
        self.world.autoscaling.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=desired, **more)

    def hook(self, transition: str, *, heartbeat_s: int = 3600, name: str = "hook") -> None:
        """Put a hook; `transition` is LAUNCHING or TERMINATING."""
        self.world.autoscaling.put_lifecycle_hook(
            AutoScalingGroupName=self.name,
            LifecycleHookName=name,
            LifecycleTransition=f"autoscaling:EC2_INSTANCE_{transition}",
            HeartbeatTimeout=heartbeat_s,
        )

    def policy(self, name: str, **more: Any) -> str:
        """Put a policy. Returns its ARN."""
        answer = self.world.autoscaling.put_scaling_policy(AutoScalingGroupName=self.name, PolicyName=name, **more)
        return answer["PolicyARN"]

    def simple(self, name: str, adjustment: int, *, kind: str = "ChangeInCapacity", **more: Any) -> str:
        return self.policy(name, PolicyType="SimpleScaling", AdjustmentType=kind, ScalingAdjustment=adjustment, **more)

    def steps(
        self,
        name: str,
        steps: Iterable[tuple[float | None, float | None, int]],
        *,
        kind: str = "ChangeInCapacity",
        warmup_s: int,
    ) -> str:
        """Put a step policy of (lower bound, upper bound, adjustment)."""
        adjustments = []
        for lower, upper, adjustment in steps:
            step: dict[str, Any] = {"ScalingAdjustment": adjustment}
            if lower is not None:
                step["MetricIntervalLowerBound"] = lower
            if upper is not None:
                step["MetricIntervalUpperBound"] = upper
            adjustments.append(step)
        return self.policy(
            name,
            PolicyType="StepScaling",
            AdjustmentType=kind,
            EstimatedInstanceWarmup=warmup_s,
            MetricAggregationType="Average",
            StepAdjustments=adjustments,
        )

    def tracking(self, name: str, metric: str, target: float, *, warmup_s: int = 60) -> str:
        """Put a target-tracking policy on a metric of this group."""
        return self.policy(
            name,
            PolicyType="TargetTrackingScaling",
            EstimatedInstanceWarmup=warmup_s,
            TargetTrackingConfiguration={
                "CustomizedMetricSpecification": {
                    "MetricName": metric,
                    "Namespace": NAMESPACE,
                    "Dimensions": self.dimensions(),
                    "Statistic": "Average",
                },
                "TargetValue": target,
            },
        )

    def dimensions(self) -> list[dict[str, str]]:
        return [{"Name": "AutoScalingGroupName", "Value": self.name}]

    def alarm(self, stem: str, policy_arn: str, comparison: str, threshold: float, *, metric: str = "Load") -> str:
        """Put an alarm that one minute of a metric raises; `comparison` is `>=` or `<=`. Returns its name."""
        name = f"{self.name}-{stem}"
        operators = {">=": "GreaterThanOrEqualToThreshold", "<=": "LessThanOrEqualToThreshold"}
        self.world.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace=NAMESPACE,
            MetricName=metric,
            Dimensions=self.dimensions(),
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            ComparisonOperator=operators[comparison],
            Threshold=threshold,
            AlarmActions=[policy_arn],
        )
        return name

    def minute(self, **metrics: float) -> None:
        """Have a minute with these values, and go to the middle of the next one, when alarms have looked at it."""
        now = self.world.now()
        if now.second >= 50:
            # Too near to the end of this minute for anything that takes a moment.
            self.world.advance_to(minutes_later(now, 1, second=10))
            now = self.world.now()
        self.world.cloudwatch.put_metric_data(
            Namespace=NAMESPACE,
            MetricData=[
                {"MetricName": name, "Dimensions": self.dimensions(), "Timestamp": now, "Value": float(value)}
                for name, value in metrics.items()
            ],
        )
        self.world.advance_to(minutes_later(now, 1, second=30))

    def minutes(self, count: int, **metrics: float) -> None:
        for _ in range(count):
            self.minute(**metrics)


def minutes_later(moment: datetime, count: int, *, second: int) -> datetime:
    return moment.replace(second=second, microsecond=0) + timedelta(minutes=count)


def template(world: Any) -> str:
    """A launch template. Returns its name."""
    name = world.name("template")
    world.ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={"ImageId": world.image_id, "InstanceType": world.instance_type},
    )
    return name


def configuration(world: Any) -> str:
    """A launch configuration. Returns its name."""
    name = world.name("configuration")
    world.autoscaling.create_launch_configuration(
        LaunchConfigurationName=name, ImageId=world.image_id, InstanceType=world.instance_type
    )
    return name


def zones(world: Any, count: int) -> list[str]:
    """The names of the first zones."""
    names = sorted(zone["ZoneName"] for zone in world.ec2.describe_availability_zones()["AvailabilityZones"])
    assert len(names) >= count
    return names[:count]


def group(
    world: Any,
    *,
    sizes: tuple[int, int, int],
    in_zones: int = 1,
    grace_s: int = 0,
    launched_from: dict[str, Any] | None = None,
    **more: Any,
) -> Group:
    """A group with its instances in service.

    Args:
        world: Where.
        sizes: Minimum, maximum and desired.
        in_zones: How many zones.
        grace_s: Of its health checks.
        launched_from: What its instances are started from; a launch template of its own by default.
        more: Further parameters of CreateAutoScalingGroup.
    """
    made = Group(world, world.name("group"))
    source = launched_from or {"LaunchTemplate": {"LaunchTemplateName": template(world), "Version": "$Default"}}
    smallest, largest, desired = sizes
    world.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=made.name,
        MinSize=smallest,
        MaxSize=largest,
        DesiredCapacity=desired,
        AvailabilityZones=zones(world, in_zones),
        HealthCheckGracePeriod=grace_s,
        **source,
        **more,
    )
    made.settled(desired)
    return made


def refused(code: str, message: str, call: Any, **request: Any) -> None:
    """Have a call refused with this code and a message that matches wholly."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert re.fullmatch(message, error["Message"]), error["Message"]


def caused_by(activity: dict[str, Any], *sentences: str) -> None:
    """Have an activity's cause be these sentences, each with its `At ...Z` before it; they are patterns."""
    expected = "  ".join(rf"At \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {sentence}" for sentence in sentences)
    assert re.fullmatch(expected, activity["Cause"]), activity["Cause"]
