"""An AWS account on this machine for what runs on an instance: its endpoint, its group, and the instance's metadata."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import boto3
from botocore.config import Config

from parity.aws.clock import Clock
from parity.aws.controller import Controller
from parity.aws.endpoint import Endpoint
from parity.aws.fleet import PaperFleet
from parity.aws.metadata import Metadata
from parity.aws.others import Others
from parity.aws.server import Server, loopback_socket
from parity.model.scaling.ec2.images import image_id_of
from parity.model.scaling.groups.zones import of_region
from parity.model.scaling.region import Region
from parity.model.scaling.state import Image, State
from parity.stack.engine import wait_for

#: Where the scripts are that run on instances.
APPLICATION = Path(__file__).resolve().parents[2] / "compose" / "images" / "app"
DEADLINE_S = 30


class Account:
    """An account with a group of one instance, and what instances are told to find it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        image = image_id_of("worker:v1")
        state = State(seed=1, zones=of_region("us-east-1"), images={image: Image(image_id=image, name="w", tag="w")})
        region = Region(state)
        others = Others(state.account_id)
        stack.callback(others.close)
        controller = Controller(region, PaperFleet(self._tell), Clock(), None)
        self._controller = controller
        stack.enter_context(controller)
        endpoint = stack.enter_context(Server(Endpoint(controller, others), [loopback_socket(0)]))
        self.scaling = self.client("autoscaling", endpoint.url)
        self.s3 = self.client("s3", endpoint.url)
        template = {"ImageId": image, "InstanceType": "t3.small"}
        self.client("ec2", endpoint.url).create_launch_template(
            LaunchTemplateName="workers", LaunchTemplateData=template
        )
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName="g",
            MinSize=0,
            MaxSize=1,
            DesiredCapacity=1,
            LaunchTemplate={"LaunchTemplateName": "workers"},
            AvailabilityZones=["us-east-1a"],
        )
        self.instance = until(lambda: self.member("InService"))["InstanceId"]
        metadata = stack.enter_context(Server(Metadata(controller, lambda _: self.instance), [loopback_socket(0)]))
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "k",
            "LOG_BUCKET": f"logs-{folder.name.replace('_', '-')}",
        }

    def _tell(self, fact):
        self._controller.tell(fact)

    def hold_terminations(self):
        """Have a hook hold the instance when it is terminated."""
        self.scaling.put_lifecycle_hook(
            AutoScalingGroupName="g",
            LifecycleHookName="h",
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        )

    def scale_in(self):
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)

    def client(self, service, url):
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "k", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=url, config=Config(retries={"max_attempts": 1}), **keys)

    def member(self, state):
        members = self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
        return next((member for member in members if member["LifecycleState"] == state), None)

    def archived(self):
        bucket = self.environment["LOG_BUCKET"]
        if bucket not in [one["Name"] for one in self.s3.list_buckets()["Buckets"]]:
            return []
        keys = [one["Key"] for one in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        assert all(key.startswith(f"{self.instance}/") for key in keys)
        contents = [self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys]
        return "".join(contents).splitlines()


def until(look):
    return wait_for("what is awaited", lambda: (look() or None, ""), within_s=DEADLINE_S, every_s=0.05)
