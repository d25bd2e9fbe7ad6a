"""The AWS CLI as it comes from PyPI leads a group's whole life on a kept stack: it only knows another URL."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")

from kept import Kept, awaited, kept_stack, said

AWS = Path(sys.executable).with_name("aws")
GROUP = "shop"
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed: pip install 'parity[dev]'"),
]
#: Says which version of the template an instance is of.
SAYS = "template version "
SAYING = f"#!/bin/sh\necho '{SAYS}{{version}}'\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_stack(tmp_path_factory.mktemp("cli")) as kept:
        yield kept


class Cli:
    """The AWS CLI, pointed at a kept stack by its environment alone."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __call__(self, service: str, operation: str, **options: Any) -> Any:
        """What a command prints, read as JSON; None where it prints nothing."""
        text = self._kept.run(*_command(service, operation, options))
        return json.loads(text) if text.strip() else None

    def refused(self, service: str, operation: str, **options: Any) -> str:
        """What a command says that AWS refuses."""
        return self._kept.run(*_command(service, operation, options), code=255).strip()

    def on_group(self, operation: str, **options: Any) -> Any:
        return self("autoscaling", operation, auto_scaling_group_name=GROUP, **options)

    def members(self) -> dict[str, str]:
        """The group's instances and their lifecycle states."""
        (group,) = self("autoscaling", "describe-auto-scaling-groups", auto_scaling_group_names=GROUP)[
            "AutoScalingGroups"
        ]
        return {one["InstanceId"]: one["LifecycleState"] for one in group["Instances"]}

    def settled(self, count: int) -> set[str]:
        """Wait until the CLI shows so many instances, all in service; the containers that run are just these."""

        def look() -> dict[str, str] | None:
            members = self.members()
            running = set(self._kept.containers(GROUP))
            settled = len(members) == count and set(members.values()) == {"InService"} and running == set(members)
            return members if settled else None

        return set(awaited(f"{count} instances in service", look, within_s=120))


def _command(service: str, operation: str, options: dict[str, Any]) -> list[str]:
    command = [str(AWS), service, *operation.split()]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif isinstance(value, list):
            command += [flag, *value]
        else:
            command += [flag, value if isinstance(value, str) else json.dumps(value)]
    return command


@pytest.fixture
def cli(kept: Kept) -> Cli:
    return Cli(kept)


def user_data(version: int) -> str:
    return base64.b64encode(SAYING.format(version=version).encode()).decode()


def versions(kept: Kept) -> list[int]:
    """Of which version of the template the group's containers are, by what each of them prints as it boots."""
    logs = [said(container, SAYS) for container in kept.containers(GROUP).values()]
    return sorted(int(log.partition(SAYS)[2].split()[0]) for log in logs)


def test_the_life_of_a_group(kept: Kept, cli: Cli) -> None:
    """Image, template, group, policies, schedule, hook, refresh, and its end: as shown, and as the containers are."""
    kept.settled(3)
    image = an_image_is_made(kept, cli)
    a_template_is_made(cli, image)
    a_group_is_made(kept, cli)
    what_aws_refuses_is_refused(cli)
    policies_change_the_capacity(cli)
    a_hook_holds_an_instance(kept, cli)
    a_schedule_is_kept(kept, cli)
    instances_are_refreshed(kept, cli, image)
    what_happened_is_told(cli)
    the_group_is_deleted(kept, cli)
    nothing_of_it_is_left(kept, cli, image)


def an_image_is_made(kept: Kept, cli: Cli) -> str:
    (worker,) = cli("autoscaling", "describe-auto-scaling-groups")["AutoScalingGroups"]
    instance = worker["Instances"][0]["InstanceId"]
    kept.containers()[instance].exec_run(["touch", "/app/baked"])
    image = cli("ec2", "create-image", instance_id=instance, name="golden", description="baked")["ImageId"]
    awaited("the image", lambda: cli("ec2", "describe-images", image_ids=image)["Images"][0]["State"] == "available")
    # Packer and scripts wait like this; it looks every 15 seconds, so it comes second.
    cli("ec2", "wait image-available", image_ids=image)
    (shown,) = cli("ec2", "describe-images", owners="self", filters="Name=name,Values=golden")["Images"]
    assert (shown["ImageId"], shown["State"]) == (image, "available")
    return str(image)


def a_template_is_made(cli: Cli, image: str) -> None:
    data = {"ImageId": image, "InstanceType": "t3.micro", "UserData": user_data(1)}
    made = cli("ec2", "create-launch-template", launch_template_name=GROUP, launch_template_data=data)
    assert made["LaunchTemplate"]["LatestVersionNumber"] == 1


def a_group_is_made(kept: Kept, cli: Cli) -> None:
    subnets = [one["SubnetId"] for one in cli("ec2", "describe-subnets")["Subnets"]]
    cli.on_group(
        "create-auto-scaling-group",
        launch_template=f"LaunchTemplateName={GROUP},Version=1",
        min_size="1",
        max_size="6",
        desired_capacity="2",
        default_cooldown="0",
        vpc_zone_identifier=",".join(subnets),
        tags="Key=Name,Value=shop,PropagateAtLaunch=true",
    )
    instances = cli.settled(2)
    assert versions(kept) == [1, 1]
    for container in kept.containers(GROUP).values():
        assert container.exec_run(["test", "-e", "/app/baked"]).exit_code == 0, "it runs the image that was made"
    found = cli("ec2", "describe-instances", filters=f"Name=tag:aws:autoscaling:groupName,Values={GROUP}")
    shown = {one["InstanceId"]: one for each in found["Reservations"] for one in each["Instances"]}
    assert set(shown) == instances
    assert {one["State"]["Name"] for one in shown.values()} == {"running"}
    assert len({one["Placement"]["AvailabilityZone"] for one in shown.values()}) == 2
    assert all({"Key": "Name", "Value": "shop"} in one["Tags"] for one in shown.values())


def what_aws_refuses_is_refused(cli: Cli) -> None:
    too_many = cli.refused("autoscaling", "set-desired-capacity", auto_scaling_group_name=GROUP, desired_capacity="7")
    assert too_many == (
        "An error occurred (ValidationError) when calling the SetDesiredCapacity operation: "
        "New SetDesiredCapacity value 7 is above max value 6 for the AutoScalingGroup."
    )
    in_use = cli.refused("autoscaling", "delete-auto-scaling-group", auto_scaling_group_name=GROUP)
    assert "(ResourceInUse)" in in_use
    assert len(cli.members()) == 2


def policies_change_the_capacity(cli: Cli) -> None:
    target = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 90}
    tracking = cli.on_group(
        "put-scaling-policy",
        policy_name="processor",
        policy_type="TargetTrackingScaling",
        target_tracking_configuration=target,
    )
    names = sorted(one["AlarmName"] for one in tracking["Alarms"])
    alarms = cli("cloudwatch", "describe-alarms", alarm_names=names)["MetricAlarms"]
    assert [one["AlarmActions"] for one in alarms] == [[tracking["PolicyARN"]]] * 2
    assert sorted(one["Threshold"] for one in alarms) == [63.0, 90.0]
    cli.on_group(
        "put-scaling-policy",
        policy_name="one-more",
        policy_type="SimpleScaling",
        adjustment_type="ChangeInCapacity",
        scaling_adjustment="1",
    )
    cli.on_group("execute-policy", policy_name="one-more")
    cli.settled(3)
    shown = cli.on_group("describe-policies")["ScalingPolicies"]
    assert [one["PolicyName"] for one in shown] == ["one-more", "processor"]


def a_hook_holds_an_instance(kept: Kept, cli: Cli) -> None:
    """An instance waits, running, until the hook is completed; one that nobody completes is given up."""
    before = cli.settled(3)
    cli.on_group(
        "put-lifecycle-hook",
        lifecycle_hook_name="warm",
        lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
        heartbeat_timeout="3600",
        default_result="ABANDON",
    )
    cli.on_group("set-desired-capacity", desired_capacity="4")

    def waiting() -> list[str]:
        return [one for one, state in cli.members().items() if state == "Pending:Wait" and one not in before]

    (held,) = awaited("an instance that waits", waiting)
    assert held in kept.containers(GROUP)
    # An hour later it is given up, and another waits in its place.
    kept.parity("clock", "advance", "61m", "--stack", kept.name)
    (another,) = awaited("another that waits", lambda: [one for one in waiting() if one != held])
    cli.on_group(
        "complete-lifecycle-action",
        lifecycle_hook_name="warm",
        lifecycle_action_result="CONTINUE",
        instance_id=another,
    )
    assert cli.settled(4) == before | {another}
    cli.on_group("delete-lifecycle-hook", lifecycle_hook_name="warm")


def a_schedule_is_kept(kept: Kept, cli: Cli) -> None:
    cli.on_group(
        "put-scheduled-update-group-action",
        scheduled_action_name="evening",
        recurrence="0 19 * * *",
        time_zone="Europe/Berlin",
        min_size="1",
        desired_capacity="2",
    )
    (shown,) = cli.on_group("describe-scheduled-actions")["ScheduledUpdateGroupActions"]
    assert (shown["Recurrence"], shown["DesiredCapacity"]) == ("0 19 * * *", 2)
    kept.parity("clock", "advance", "24h", "--stack", kept.name)
    cli.settled(2)
    cli.on_group("delete-scheduled-action", scheduled_action_name="evening")


def instances_are_refreshed(kept: Kept, cli: Cli, image: str) -> None:
    before = cli.settled(2)
    data = {"UserData": user_data(2)}
    version = cli(
        "ec2",
        "create-launch-template-version",
        launch_template_name=GROUP,
        source_version="1",
        launch_template_data=data,
    )["LaunchTemplateVersion"]
    assert (version["VersionNumber"], version["LaunchTemplateData"]["ImageId"]) == (2, image)
    desired = {"LaunchTemplate": {"LaunchTemplateName": GROUP, "Version": "2"}}
    started = cli.on_group(
        "start-instance-refresh",
        desired_configuration=desired,
        preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 0},
    )

    def status() -> str:
        (shown,) = cli.on_group("describe-instance-refreshes", instance_refresh_ids=started["InstanceRefreshId"])[
            "InstanceRefreshes"
        ]
        assert shown["Status"] in ("Pending", "InProgress", "Successful"), shown
        return str(shown["Status"])

    awaited("a successful refresh", lambda: status() == "Successful", within_s=120)
    assert cli.settled(2).isdisjoint(before)
    assert versions(kept) == [2, 2]
    (group,) = cli("autoscaling", "describe-auto-scaling-groups", auto_scaling_group_names=GROUP)["AutoScalingGroups"]
    assert group["LaunchTemplate"]["Version"] == "2"


def what_happened_is_told(cli: Cli) -> None:
    activities = cli.on_group("describe-scaling-activities")["Activities"]
    causes = " ".join(one["Cause"] for one in activities)
    for cause in (
        "a user request created an AutoScalingGroup changing the desired capacity from 0 to 2",
        "a user request executed policy one-more changing the desired capacity from 2 to 3",
        "a user request explicitly set group desired capacity changing the desired capacity from 3 to 4",
        "a scheduled action update of AutoScalingGroup constraints to min: 1, max: 6, desired: 2",
        "an instance was taken out of service in response to an instance refresh",
    ):
        assert cause in causes
    assert {one["StatusCode"] for one in activities} == {"Successful", "Cancelled"}
    (cancelled,) = [one for one in activities if one["StatusCode"] == "Cancelled"]
    assert cancelled["Description"].startswith("Launching a new EC2 instance")


def the_group_is_deleted(kept: Kept, cli: Cli) -> None:
    """As Terraform does it: nothing more is wanted, everything is waited for, then it is deleted."""
    cli.on_group("update-auto-scaling-group", min_size="0", max_size="0", desired_capacity="0")
    awaited("an empty group", lambda: not cli.members(), within_s=120)
    assert not kept.containers(GROUP)
    cli.on_group("delete-auto-scaling-group")
    assert not cli("autoscaling", "describe-auto-scaling-groups", auto_scaling_group_names=GROUP)["AutoScalingGroups"]


def nothing_of_it_is_left(kept: Kept, cli: Cli, image: str) -> None:
    shown = {one["AlarmName"] for one in cli("cloudwatch", "describe-alarms")["MetricAlarms"]}
    assert not [name for name in shown if f"-{GROUP}-" in name]
    cli("ec2", "delete-launch-template", launch_template_name=GROUP)
    assert not cli("ec2", "describe-launch-templates", filters=f"Name=launch-template-name,Values={GROUP}")[
        "LaunchTemplates"
    ]
    cli("ec2", "deregister-image", image_id=image)
    awaited("the image's end", lambda: f"parity/ami:{image}" not in kept.left())
    # The group that the stack came with went on all the while.
    kept.settled(3)


def test_localstack_client_finds_the_endpoint(kept: Kept) -> None:
    """What was made for LocalStack needs nothing but the environment that `parity env` prints."""
    script = (
        "import localstack_client.session as s;"
        "c = s.Session().client('autoscaling');"
        "print(c.meta.endpoint_url, [g['AutoScalingGroupName'] for g in"
        " c.describe_auto_scaling_groups()['AutoScalingGroups']])"
    )
    printed = kept.run(sys.executable, "-c", script)
    port = kept.environment["EDGE_PORT"]
    assert printed.split("[")[0].strip().endswith(f":{port}")
    assert printed.rstrip().endswith("['worker']")
