"""The endpoint with the whole model: what a client did is there after the process was killed, whenever that was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from parity.aws.controller import Controller, revive
from parity.aws.endpoint import Endpoint
from parity.aws.fleet import PaperFleet
from parity.aws.journal import Journal, Snapshot
from parity.aws.server import Server, loopback_socket
from parity.model.scaling.groups.zones import of_region
from parity.model.scaling.state import State

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30
GROUP = {
    "AutoScalingGroupName": "g",
    "LaunchConfigurationName": "lc",
    "MinSize": 0,
    "MaxSize": 50,
    "AvailabilityZones": ["us-east-1a", "us-east-1b"],
}


def new():
    return State(seed=3, zones=of_region("us-east-1"))


def clients(url):
    """A function that makes clients."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=DEADLINE_S)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return lambda service: boto3.client(service, endpoint_url=url, config=config, **keys)


@contextmanager
def served(folder):
    """A region of the whole model, on paper: its controller, and a function that makes clients."""
    with ExitStack() as stack:
        journal = Journal(folder)
        region, clock = revive(journal, new)

        def tell(fact):
            controller.tell(fact)

        controller = Controller(region, PaperFleet(tell), clock, journal)
        stack.enter_context(controller)
        server = stack.enter_context(Server(Endpoint(controller), [loopback_socket(0)]))
        yield controller, clients(server.url)


def live(make, controller):
    """Much of what a group can be through."""
    autoscaling, ec2, cloudwatch = make("autoscaling"), make("ec2"), make("cloudwatch")
    template = ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    autoscaling.create_launch_configuration(LaunchConfigurationName="lc", ImageId="ami-1", InstanceType="t3.micro")
    autoscaling.create_auto_scaling_group(**GROUP, DesiredCapacity=3)
    autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="g",
        LifecycleHookName="h",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=60,
    )
    autoscaling.put_scaling_policy(
        AutoScalingGroupName="g",
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        },
    )
    autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName="g",
        ScheduledActionName="night",
        # Once: whether a recurrence came a second time would depend on when the test runs.
        StartTime=datetime.now(UTC) + timedelta(minutes=30),
        DesiredCapacity=5,
    )
    autoscaling.create_or_update_tags(
        Tags=[{"ResourceId": "g", "ResourceType": "auto-scaling-group", "Key": "k", "Value": "v"}]
    )
    controller.advance(3700)
    cloudwatch.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.5}])
    autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="g", LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"}
    )
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    controller.advance(300)
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return [instance["LifecycleState"] for instance in group["Instances"]]


def test_a_life_of_a_group_is_the_same_after_a_restart(tmp_path):
    with served(tmp_path) as (controller, make):
        assert live(make, controller) == ["InService"] * 2
        activities = make("autoscaling").describe_scaling_activities(AutoScalingGroupName="g")["Activities"]
        before = controller.look(msgspec.json.encode)
    with served(tmp_path) as (controller, make):
        assert controller.look(lambda state: msgspec.json.encode(state.groups)) == msgspec.json.encode(
            msgspec.json.decode(before, type=State).groups
        )
        again = make("autoscaling").describe_scaling_activities(AutoScalingGroupName="g")["Activities"]
        assert again == activities
        make("autoscaling").set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=4)
        [group] = make("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        assert len({instance["InstanceId"] for instance in group["Instances"]}) == 4, "no id is given twice"


def test_the_state_after_a_snapshot_and_lines_is_the_state_after_all_lines(tmp_path):
    """A region that was read from a snapshot does the same as one that was there all the time."""
    with served(tmp_path / "lines") as (controller, make):
        live(make, controller)
    with Journal(tmp_path / "lines") as journal:
        region, _ = revive(journal, new)
        entries = [line.read_text().splitlines() for line in sorted((tmp_path / "lines").glob("journal-*"))][-1]
    snapshot = next((tmp_path / "lines").glob("snapshot-*.json"))
    for cut in range(0, len(entries), max(1, len(entries) // 7)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        number = snapshot.stem.partition("-")[2]
        (folder / snapshot.name).write_bytes(snapshot.read_bytes())
        (folder / f"journal-{number}.jsonl").write_text("".join(f"{line}\n" for line in entries[:cut]))
        with Journal(folder) as first:
            half, _ = revive(first, new)
            first.keep(Snapshot(0, half.state))
        [begun] = folder.glob("journal-*.jsonl")
        begun.write_text("".join(f"{line}\n" for line in entries[cut:]))
        with Journal(folder) as second:
            whole, _ = revive(second, new)
        assert msgspec.to_builtins(whole.state) == msgspec.to_builtins(region.state), f"cut after line {cut}"


@contextmanager
def process(folder):
    """The endpoint as a process of its own: the process, and a function that makes clients."""
    command = [sys.executable, "-m", "parity.aws", "--port", "0", "--state", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
    try:
        yield running, clients(running.stdout.readline().strip())
    finally:
        running.kill()
        running.wait(DEADLINE_S)
        running.stdout.close()


@pytest.mark.parametrize("calls", [0, 3, 17])
def test_killed_amid_calls_it_has_all_that_was_answered(tmp_path, calls):
    with process(tmp_path) as (running, make):
        autoscaling = make("autoscaling")
        autoscaling.create_launch_configuration(LaunchConfigurationName="lc", ImageId="ami-1", InstanceType="t3.micro")
        autoscaling.create_auto_scaling_group(**GROUP, DesiredCapacity=1)
        answered = 1
        for number in range(calls):
            answered = 2 + number
            autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=answered)
        # What is on its way when it is killed may have been taken or not.
        sent = subprocess.Popen(
            [sys.executable, "-c", HASTY, make("autoscaling").meta.endpoint_url], stdout=subprocess.PIPE, text=True
        )
        assert sent.stdout.readline() == "first\n"
        os.kill(running.pid, signal.SIGKILL)
        # Not `communicate`: it reads past what `readline` has in its buffer already.
        with sent:
            rest = sent.stdout.read().split()
        answered = int(rest[-1]) if rest else 31
    with process(tmp_path) as (_, make):
        [group] = make("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        assert group["DesiredCapacity"] in {answered, answered + 1}
        assert len(group["Instances"]) == group["DesiredCapacity"]


HASTY = """
import sys, boto3
from botocore.config import Config
client = boto3.client("autoscaling", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="x",
                      aws_secret_access_key="y", config=Config(retries={"total_max_attempts": 1}))
try:
    for number in range(31, 50):
        client.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=number)
        print("first" if number == 31 else number, flush=True)
except Exception:
    pass
"""


def test_alone_it_ends_when_told_and_says_so_when_its_state_is_in_use(tmp_path):
    with process(tmp_path) as (running, make):
        identity = make("sts").get_caller_identity()
        assert identity["Account"] == "000000000000"
        command = [sys.executable, "-m", "parity.aws", "--port", "0", "--state", str(tmp_path)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        second = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=DEADLINE_S, env=environment
        )
        assert second.returncode == 2
        assert "is in use: another process serves this region" in second.stderr
        assert "Traceback" not in second.stderr
        running.terminate()
        assert running.wait(DEADLINE_S) == 0
        with pytest.raises(BotoCoreError):
            make("sts").get_caller_identity()
