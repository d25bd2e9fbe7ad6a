"""A region for tests of its parts: two zones, one image, and what was asked of the world so far."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aws_shapes import check_answer, check_request

from parity.errors import ServiceError
from parity.model.scaling.api import Region
from parity.model.scaling.ec2.images import image_id_of
from parity.model.scaling.state import SECOND_US, Image, State, Zone
from parity.model.scaling.world import Action, Input, Running

#: 2026-11-25T18:00:00Z.
BEGIN_US = 1_795_629_600 * SECOND_US
TAG = "shop/worker:v1"
IMAGE_ID = image_id_of(TAG)
SUBNET_A, SUBNET_B = "subnet-0000000000000000a", "subnet-0000000000000000b"


class Bench:
    """A region, its time and its world."""

    def __init__(self) -> None:
        zones = [
            Zone(name="us-east-1a", zone_id="use1-az1", subnet_id=SUBNET_A, cidr="172.31.0.0/20"),
            Zone(name="us-east-1b", zone_id="use1-az2", subnet_id=SUBNET_B, cidr="172.31.16.0/20"),
        ]
        images = {IMAGE_ID: Image(image_id=IMAGE_ID, name="worker v1", tag=TAG, created_us=BEGIN_US)}
        self.region = Region(State(seed=7, zones=zones, images=images, now_us=BEGIN_US))
        self.now_us = BEGIN_US
        self.actions: list[Action] = []

    def ec2(self, name: str, **request: Any) -> dict[str, Any]:
        return self.call("ec2", name, **request)

    def call(self, service: str, name: str, **request: Any) -> dict[str, Any]:
        check_request(service, name, request)
        answer = self.region.call(self.now_us, service, name, request)
        check_answer(service, name, answer)
        self.tell()
        return answer

    def refused(self, service: str, name: str, **request: Any) -> tuple[str, str]:
        """The error a call is answered with; that nothing was changed by it is seen to."""
        before = msgspec.json.encode(self.region.state)
        with pytest.raises(ServiceError) as error:
            self.region.call(self.now_us, service, name, request)
        assert msgspec.json.encode(self.region.state) == before
        return error.value.code, error.value.message

    def tell(self, *inputs: Input) -> list[Action]:
        actions = self.region.step(self.now_us, inputs)
        self.actions += actions
        return actions

    def later(self, seconds: float) -> list[Action]:
        self.now_us += round(seconds * SECOND_US)
        return self.tell()

    def asked(self, kind: type) -> list[Any]:
        """What was asked of the world, of one kind, since this was last called."""
        found = [action for action in self.actions if isinstance(action, kind)]
        self.actions = [action for action in self.actions if not isinstance(action, kind)]
        return found

    def kept(self) -> None:
        """Go on with what is written to disk and read again."""
        self.region = Region(msgspec.json.decode(msgspec.json.encode(self.region.state), type=State))


class Elb(Bench):
    """A region with a load balancer."""

    def elb(self, name: str, **request: Any) -> dict[str, Any]:
        return self.call("elbv2", name, **request)

    def target_group(self, name: str = "web", **more: Any) -> str:
        request = {"Name": name, "Protocol": "HTTP", "Port": 8080, "VpcId": self.vpc_id(), **more}
        return str(self.elb("CreateTargetGroup", **request)["TargetGroups"][0]["TargetGroupArn"])

    def vpc_id(self) -> str:
        return str(self.ec2("DescribeVpcs")["Vpcs"][0]["VpcId"])

    def balancer(self, name: str = "front", **more: Any) -> str:
        answer = self.elb("CreateLoadBalancer", **{"Name": name, "Subnets": [SUBNET_A, SUBNET_B], **more})
        return str(answer["LoadBalancers"][0]["LoadBalancerArn"])

    def listener(self, balancer: str, target_group: str, port: int = 80) -> str:
        answer = self.elb(
            "CreateListener",
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
        return str(answer["Listeners"][0]["ListenerArn"])

    def running(self) -> str:
        answer = self.ec2("RunInstances", ImageId=IMAGE_ID, MinCount=1, MaxCount=1)
        instance_id = str(answer["Instances"][0]["InstanceId"])
        self.tell(Running(instance_id, private_ip="172.31.0.9"))
        return instance_id

    def register(self, target_group: str, instance_id: str, **more: Any) -> None:
        self.elb("RegisterTargets", TargetGroupArn=target_group, Targets=[{"Id": instance_id, **more}])

    def deregister(self, target_group: str, instance_id: str) -> None:
        self.elb("DeregisterTargets", TargetGroupArn=target_group, Targets=[{"Id": instance_id}])

    def health(self, target_group: str) -> dict[str, tuple[str, str]]:
        answer = self.elb("DescribeTargetHealth", TargetGroupArn=target_group)
        return {
            one["Target"]["Id"]: (one["TargetHealth"]["State"], one["TargetHealth"].get("Reason", ""))
            for one in answer["TargetHealthDescriptions"]
        }


class Grouped(Elb):
    """A used target group, and groups of instances that run as soon as they are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.arn = self.target_group()
        self.listener(self.balancer(), self.arn)

    def group(self, desired: int = 1, **more: Any) -> list[str]:
        self.auto("CreateLaunchConfiguration", LaunchConfigurationName="lc", ImageId=IMAGE_ID, InstanceType="t3.micro")
        self.auto(
            "CreateAutoScalingGroup",
            **{
                "AutoScalingGroupName": "g",
                "LaunchConfigurationName": "lc",
                "MinSize": 0,
                "MaxSize": 10,
                "DesiredCapacity": desired,
                "VPCZoneIdentifier": f"{SUBNET_A},{SUBNET_B}",
                **more,
            },
        )
        return self.run()

    def auto(self, name: str, **request: Any) -> dict[str, Any]:
        return self.call("autoscaling", name, **request)

    def run(self) -> list[str]:
        """Have all that is pending run."""
        pending = [one.instance_id for one in self.region.state.instances.values() if one.state == "pending"]
        self.tell(*(Running(instance_id) for instance_id in pending))
        return pending

    def states(self) -> dict[str, str]:
        (group,) = self.auto("DescribeAutoScalingGroups")["AutoScalingGroups"]
        return {one["InstanceId"]: one["LifecycleState"] for one in group["Instances"]}

    def statuses(self) -> list[str]:
        activities = self.auto("DescribeScalingActivities", AutoScalingGroupName="g")["Activities"]
        return [activity["StatusCode"] for activity in activities]

    def failing(self, instance_id: str) -> list[str]:
        return self.region.state.groups["g"].members[instance_id].failing

    def attached(self) -> dict[str, str]:
        answer = self.auto("DescribeLoadBalancerTargetGroups", AutoScalingGroupName="g")
        return {one["LoadBalancerTargetGroupARN"]: one["State"] for one in answer["LoadBalancerTargetGroups"]}

    def sources(self, **more: Any) -> dict[str, tuple[str, str]]:
        answer = self.auto("DescribeTrafficSources", AutoScalingGroupName="g", **more)
        return {one["Identifier"]: (one["Type"], one["State"]) for one in answer["TrafficSources"]}
