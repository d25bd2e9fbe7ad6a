"""The reference log shipper, against the endpoint: what is in the archive, however its instance ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import pytest
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

SHIPPER = Path(__file__).resolve().parents[2] / "compose" / "images" / "app" / "shipper.py"
DEADLINE_S = 30
#: Prints what it is told, and one line more at SIGTERM.
COMMAND = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("stopped", flush=True), sys.exit(7)))
print("begun", flush=True)
print("trouble", file=sys.stderr, flush=True)
for number in range(3):
    print("line", number, flush=True)
print("ready", flush=True)
signal.pause()
"""
ALL = sorted(["begun", "trouble", "line 0", "line 1", "line 2", "ready", "stopped"])


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


@pytest.fixture
def account(tmp_path):
    with ExitStack() as stack:
        yield Account(stack, tmp_path)


@contextmanager
def shipping(account: Account, how: str, *, batch_s: float = 0.1) -> Iterator[subprocess.Popen[str]]:
    """The shipper with its command, once that is ready."""
    environment = os.environ | account.environment | {"LOG_SHIPPING": how, "LOG_BATCH_S": str(batch_s)}
    command = [sys.executable, str(SHIPPER), sys.executable, "-c", COMMAND]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        assert process.stdout
        printed = [process.stdout.readline().strip() for _ in range(5)]
        assert printed == ["begun", "line 0", "line 1", "line 2", "ready"]
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(look):
    return wait_for("what is awaited", lambda: (look() or None, ""), within_s=DEADLINE_S, every_s=0.05)


def test_lines_are_archived_as_they_come_and_the_last_ones_at_the_end(account):
    with shipping(account, "stream") as process:
        until(lambda: sorted(account.archived()) == sorted(set(ALL) - {"stopped"}))
        process.terminate()
        assert process.wait(DEADLINE_S) == 7
        assert sorted(account.archived()) == ALL


def test_what_was_not_shipped_dies_with_the_instance(account):
    with shipping(account, "stream", batch_s=600) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)
    assert account.archived() == []


def test_in_the_hook_everything_is_archived_before_the_instance_is_given_up(account):
    account.scaling.put_lifecycle_hook(
        AutoScalingGroupName="g",
        LifecycleHookName="logs",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    with shipping(account, "terminate") as process:
        assert account.archived() == []
        account.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        until(lambda: account.member("Terminating:Wait") is None)
        assert sorted(account.archived()) == ALL
        # It is there until it is told that its end has come.
        assert process.poll() is None
        process.terminate()
        assert process.wait(DEADLINE_S) == 7


def test_without_a_hook_nothing_is_archived_at_the_end(account):
    with shipping(account, "terminate") as process:
        process.terminate()
        assert process.wait(DEADLINE_S) == 7
    assert account.archived() == []


def test_settings_that_make_no_sense(account):
    environment = {**os.environ, "LOG_SHIPPING": "sometimes"}
    done = subprocess.run(
        [sys.executable, SHIPPER, "true"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "expected one of stream, terminate, none" in done.stderr) == (2, True)
