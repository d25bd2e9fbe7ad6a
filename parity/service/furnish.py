"""What a new region begins with: the stack's images, and a group that launches the worker service."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from parity.aws.controller import Controller
from parity.model.scaling.ec2.images import image_id_of
from parity.model.scaling.region import Request
from parity.model.scaling.world import ImageMade
from parity.stack.description import BalancerSection, StackFiles
from parity.stack.images import OWN_PREFIX

#: What the launch template says; it makes no difference to containers.
INSTANCE_TYPE = "t3.micro"


#: The swiftest checks that ELBv2 has: whoever tries something need not wait for a minute.
_SWIFT = {
    "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 2,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}


class Told:
    """The tags that were told, on disk, with what they stood for.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._tags: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def new_of(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Those that were not told yet, or stand for something else by now; they count as told."""
        with self._lock:
            new = {tag: digest for tag, digest in tags.items() if self._tags.get(tag) != digest}
            if new:
                self._tags |= new
                aside = self._path.with_suffix(".new")
                aside.write_text(json.dumps(self._tags))
                aside.rename(self._path)
            return new


def tell_images(controller: Controller, tags: Mapping[str, str], *, own: set[str]) -> None:
    """Say which images instances can be started from.

    Args:
        controller: The region's.
        tags: The engine's tags, and the digests that they stand for.
        own: Tags of images that parity built which are of the application; others that it built are not told.
    """
    for tag, digest in tags.items():
        if tag in own or not tag.startswith(OWN_PREFIX):
            controller.tell(ImageMade(image_id_of(tag), name=tag, tag=tag, digest=digest))


def furnish(controller: Controller, files: StackFiles, *, image: str) -> None:
    """Make the launch template and the group, each unless there is one of that name.

    Args:
        controller: The region's; it has been told of the image.
        files: What the stack says of the group, and where its user data is.
        image: The tag that the worker service runs.
    """
    description = files.description
    service, section = description.worker.service, description.group
    name = section.name or service
    smallest, desired, largest = section.sizes(description.worker.count)
    templates = controller.look(lambda state: {template.name for template in state.launch_templates.values()})
    groups, subnets = controller.look(
        lambda state: (set(state.groups), [zone.subnet_id for zone in state.zones if zone.name in section.zones])
    )
    if service not in templates:
        data = {"ImageId": image_id_of(image), "InstanceType": INSTANCE_TYPE}
        if section.user_data:
            data["UserData"] = base64.b64encode((files.folder / section.user_data).read_bytes()).decode()
        _call(
            controller,
            "ec2",
            "CreateLaunchTemplate",
            {
                "LaunchTemplateName": service,
                "VersionDescription": "as the stack's compose file has it",
                "LaunchTemplateData": data,
            },
        )
    if name not in groups:
        _balance(controller, section=description.balancer, subnets=subnets)
        _call(
            controller,
            "autoscaling",
            "CreateAutoScalingGroup",
            {
                "AutoScalingGroupName": name,
                "LaunchTemplate": {"LaunchTemplateName": service, "Version": "$Default"},
                "MinSize": smallest,
                "MaxSize": largest,
                "DesiredCapacity": desired,
                "VPCZoneIdentifier": ",".join(subnets),
                "TargetGroupARNs": controller.look(lambda state: list(state.target_groups)),
            },
        )


def _balance(controller: Controller, *, section: BalancerSection | None, subnets: Sequence[str]) -> None:
    """Make the target group that the stack's load balancer sends to, where it has one and the region does not."""
    if section is None or controller.look(lambda state: state.target_groups):
        return
    network = controller.call("ec2", "DescribeVpcs", {}, lambda answer: str(answer["Vpcs"][0]["VpcId"]))
    group = controller.call(
        "elbv2",
        "CreateTargetGroup",
        {
            "Name": section.service,
            "Protocol": "HTTP",
            "Port": section.target_port,
            "VpcId": network,
            "HealthCheckPath": section.health_path,
            **_SWIFT,
        },
        lambda answer: str(answer["TargetGroups"][0]["TargetGroupArn"]),
    )
    balancer = controller.call(
        "elbv2",
        "CreateLoadBalancer",
        {"Name": section.service, "Subnets": list(subnets)},
        lambda answer: str(answer["LoadBalancers"][0]["LoadBalancerArn"]),
    )
    _call(
        controller,
        "elbv2",
        "CreateListener",
        {
            "LoadBalancerArn": balancer,
            "Protocol": "HTTP",
            "Port": section.port,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
        },
    )


def _call(controller: Controller, service: str, operation: str, request: Request) -> None:
    controller.call(service, operation, request, lambda _answer: None)
