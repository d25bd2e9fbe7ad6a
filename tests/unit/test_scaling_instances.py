"""Instances of nobody's: started, described, stopped, gone."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from scaling_region import IMAGE_ID, SUBNET_B, TAG, Bench

from parity.model.scaling.world import (
    Launch,
    LaunchFailed,
    Reboot,
    Removed,
    Running,
    Start,
    Stop,
    Stopped,
    Terminate,
    ZoneState,
)

DATA = base64.b64encode(b"#!/bin/sh\n").decode()
UNKNOWN = "i-00000000000000000"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def run(bench: Bench, count: int = 1, **request: Any) -> list[str]:
    answer = bench.ec2("RunInstances", **{"ImageId": IMAGE_ID, "MinCount": count, "MaxCount": count, **request})
    return [instance["InstanceId"] for instance in answer["Instances"]]


def running(bench: Bench, **request: Any) -> str:
    (instance_id,) = run(bench, **request)
    bench.tell(Running(instance_id, private_ip="172.31.0.9"))
    return instance_id


def described(bench: Bench, **request: Any) -> dict[str, dict[str, Any]]:
    answer = bench.ec2("DescribeInstances", **request)
    return {one["InstanceId"]: one for reservation in answer["Reservations"] for one in reservation["Instances"]}


def ids(bench: Bench, *given: tuple[str, list[str]]) -> list[str]:
    return list(described(bench, Filters=[{"Name": name, "Values": values} for name, values in given]))


def state(bench: Bench, instance_id: str) -> str:
    return described(bench, InstanceIds=[instance_id])[instance_id]["State"]["Name"]


def test_an_instance_is_asked_for_as_stated(bench: Bench) -> None:
    (instance_id,) = run(
        bench,
        InstanceType="t3.micro",
        SubnetId=SUBNET_B,
        UserData=DATA,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "db"}]}],
    )
    (asked,) = bench.asked(Launch)
    assert asked == Launch(
        instance_id=instance_id,
        image_id=IMAGE_ID,
        instance_type="t3.micro",
        zone="us-east-1b",
        subnet_id=SUBNET_B,
        user_data=DATA,
        tags={"role": "db"},
    )
    bench.kept()
    assert described(bench)[instance_id]["State"] == {"Code": 0, "Name": "pending"}
    bench.tell(Running(instance_id, private_ip="172.31.16.4"))
    shown = described(bench)[instance_id]
    assert shown["State"] == {"Code": 16, "Name": "running"}
    assert shown["PrivateIpAddress"] == "172.31.16.4"
    assert shown["PrivateDnsName"] == "ip-172-31-16-4.ec2.internal"
    assert (shown["PublicIpAddress"], shown["PublicDnsName"]) == ("172.31.16.4", "172.31.16.4")
    assert shown["Tags"] == [{"Key": "role", "Value": "db"}]


def test_instances_of_one_call_share_a_reservation(bench: Bench) -> None:
    two = run(bench, 2)
    one = run(bench)
    answer = bench.ec2("DescribeInstances")
    assert [[one["InstanceId"] for one in each["Instances"]] for each in answer["Reservations"]] == [two, one]
    assert [each["AmiLaunchIndex"] for each in answer["Reservations"][0]["Instances"]] == [0, 1]


def test_a_call_asked_again_starts_nothing_more(bench: Bench) -> None:
    assert run(bench, 2, ClientToken="once") == run(bench, 2, ClientToken="once")
    assert len(bench.asked(Launch)) == 2
    assert run(bench, 2, ClientToken="twice")[0] not in described(
        bench, Filters=[{"Name": "client-token", "Values": ["once"]}]
    )


def test_security_groups_are_shown_as_stated(bench: Bench) -> None:
    (default,) = run(bench)
    (stated,) = run(bench, SecurityGroupIds=["sg-11111111"])
    (inside,) = run(bench, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": SUBNET_B, "Groups": ["sg-22222222"]}])
    groups = {
        instance_id: [group["GroupId"] for group in one["SecurityGroups"]]
        for instance_id, one in described(bench).items()
    }
    assert (groups[stated], groups[inside]) == (["sg-11111111"], ["sg-22222222"])
    assert described(bench)[default]["SecurityGroups"][0]["GroupName"] == "default"
    assert described(bench)[inside]["SubnetId"] == SUBNET_B
    assert ids(bench, ("instance.group-id", ["sg-2*"])) == [inside]


def test_a_template_says_what_the_call_does_not(bench: Bench) -> None:
    template = bench.ec2(
        "CreateLaunchTemplate",
        LaunchTemplateName="db",
        LaunchTemplateData={
            "ImageId": TAG,
            "InstanceType": "t3.large",
            "UserData": DATA,
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "db"}]}],
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    answer = bench.ec2(
        "RunInstances",
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.nano",
        LaunchTemplate={"LaunchTemplateName": "db"},
    )
    (asked,) = bench.asked(Launch)
    assert (asked.image_id, asked.instance_type, asked.user_data) == (IMAGE_ID, "t3.nano", DATA)
    assert asked.tags == {
        "role": "db",
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": "1",
    }
    assert answer["Instances"][0]["InstanceType"] == "t3.nano"


def test_instances_by_filters(bench: Bench) -> None:
    web = running(bench, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "web"}]}])
    other = running(bench, SubnetId=SUBNET_B, InstanceType="t3.micro")
    (early,) = run(bench)
    bench.region.state.instances[web].tags["aws:autoscaling:groupName"] = "workers"
    bench.ec2("TerminateInstances", InstanceIds=[other])
    assert ids(bench, ("tag:aws:autoscaling:groupName", ["workers"])) == [web]
    assert ids(bench, ("instance-state-name", ["pending", "running"])) == [web, early]
    assert ids(bench, ("instance-state-code", ["32"])) == [other]
    assert ids(bench, ("instance-type", ["t3.*"]), ("availability-zone", ["us-east-1b"])) == [other]
    assert ids(bench, ("tag:role", ["web"]), ("instance-state-name", ["running"])) == [web]
    assert ids(bench, ("private-dns-name", ["ip-172-31-0-9.*"]), ("subnet-id", [SUBNET_B])) == [other]
    assert ids(bench, ("instance.group-name", ["default"])) == [web, other, early]
    assert ids(bench, ("instance-lifecycle", ["spot"])) == []


def test_instances_in_pages(bench: Bench) -> None:
    everyone = run(bench, 12)
    found: list[str] = []
    token = ""
    for size in (5, 5, 2):
        answer = bench.ec2("DescribeInstances", MaxResults=5, NextToken=token)
        page = [one["InstanceId"] for each in answer["Reservations"] for one in each["Instances"]]
        assert len(page) == size
        found += page
        token = answer.get("NextToken", "")
    assert (found, token) == (everyone, "")


def test_an_instance_stops_and_starts_again(bench: Bench) -> None:
    instance_id = running(bench)
    (change,) = bench.ec2("StopInstances", InstanceIds=[instance_id])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    assert bench.asked(Stop) == [Stop(instance_id)]
    # Asked again it asks nothing of the world.
    bench.ec2("StopInstances", InstanceIds=[instance_id])
    assert bench.asked(Stop) == []
    assert bench.refused("ec2", "StartInstances", InstanceIds=[instance_id]) == (
        "IncorrectInstanceState",
        f"The instance '{instance_id}' is not in a state from which it can be started.",
    )
    bench.tell(Stopped(instance_id))
    shown = described(bench)[instance_id]
    assert shown["StateTransitionReason"] == "User initiated (2026-11-25 18:00:00 GMT)"
    assert shown["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    (change,) = bench.ec2("StartInstances", InstanceIds=[instance_id])["StartingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    assert bench.asked(Start) == [Start(instance_id)]
    bench.tell(Running(instance_id))
    assert state(bench, instance_id) == "running"
    bench.ec2("RebootInstances", InstanceIds=[instance_id])
    assert bench.asked(Reboot) == [Reboot(instance_id)]


def test_a_terminated_instance_is_shown_for_an_hour(bench: Bench) -> None:
    instance_id = running(bench)
    (change,) = bench.ec2("TerminateInstances", InstanceIds=[instance_id, instance_id])["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    assert bench.asked(Terminate) == [Terminate(instance_id)]
    bench.tell(Removed(instance_id))
    shown = described(bench)[instance_id]
    assert shown["State"] == {"Code": 48, "Name": "terminated"}
    assert "PrivateIpAddress" not in shown
    # To terminate it again is no error.
    bench.ec2("TerminateInstances", InstanceIds=[instance_id])
    assert bench.refused("ec2", "RebootInstances", InstanceIds=[instance_id])[0] == "IncorrectInstanceState"
    bench.later(3599)
    assert instance_id in described(bench)
    bench.later(1)
    assert described(bench) == {}


def test_an_instance_that_could_not_be_started_is_shown_as_terminated(bench: Bench) -> None:
    (instance_id,) = run(bench)
    bench.tell(LaunchFailed(instance_id, message="no such image", code="InvalidAMIID.NotFound"))
    shown = described(bench)[instance_id]
    assert shown["State"]["Name"] == "terminated"
    assert shown["StateReason"] == {
        "Code": "Server.InternalError",
        "Message": "Server.InternalError: no such image",
    }
    bench.later(3600)
    assert described(bench) == {}


def test_the_status_of_instances(bench: Bench) -> None:
    good, bad = running(bench), running(bench)
    run(bench)
    bench.region.state.instances[bad].ok = False
    answer = bench.ec2("DescribeInstanceStatus")["InstanceStatuses"]
    assert [(one["InstanceId"], one["InstanceStatus"]["Status"]) for one in answer] == [(good, "ok"), (bad, "impaired")]
    impaired = [{"Name": "instance-status.status", "Values": ["impaired"]}]
    answer = bench.ec2("DescribeInstanceStatus", Filters=impaired)["InstanceStatuses"]
    assert [one["InstanceStatus"]["Details"][0]["Status"] for one in answer] == ["failed"]
    assert len(bench.ec2("DescribeInstanceStatus", IncludeAllInstances=True)["InstanceStatuses"]) == 3


def test_attributes_are_shown_and_changed(bench: Bench) -> None:
    instance_id = running(bench, UserData=DATA)

    def value(name: str) -> dict[str, Any]:
        answer = bench.ec2("DescribeInstanceAttribute", InstanceId=instance_id, Attribute=name)
        return answer[name[0].upper() + name[1:]]

    assert value("userData") == {"Value": DATA}
    assert value("disableApiTermination") == {"Value": False}
    new = base64.b64encode(b"new").decode()
    assert bench.refused("ec2", "ModifyInstanceAttribute", InstanceId=instance_id, UserData={"Value": b"new"}) == (
        "IncorrectInstanceState",
        f"The instance '{instance_id}' is not in the 'stopped' state.",
    )
    bench.ec2("StopInstances", InstanceIds=[instance_id])
    bench.tell(Stopped(instance_id))
    bench.ec2("ModifyInstanceAttribute", InstanceId=instance_id, UserData={"Value": b"new"})
    assert value("userData") == {"Value": new}
    bench.ec2("ModifyInstanceAttribute", InstanceId=instance_id, Attribute="instanceType", Value="t3.large")
    assert value("instanceType") == {"Value": "t3.large"}
    bench.ec2("ModifyInstanceAttribute", InstanceId=instance_id, DisableApiTermination={"Value": True})
    code, message = bench.refused("ec2", "TerminateInstances", InstanceIds=[instance_id])
    assert code == "OperationNotPermitted"
    assert message.startswith(f"The instance '{instance_id}' may not be terminated. Modify its 'disableApiTermination'")
    bench.ec2("ModifyInstanceAttribute", InstanceId=instance_id, Attribute="disableApiTermination", Value="false")
    bench.ec2("TerminateInstances", InstanceIds=[instance_id])
    assert bench.asked(Terminate) == [Terminate(instance_id)]


def test_instance_types(bench: Bench) -> None:
    (shown,) = bench.ec2("DescribeInstanceTypes", InstanceTypes=["t3.micro"])["InstanceTypes"]
    assert (shown["VCpuInfo"], shown["MemoryInfo"]) == ({"DefaultVCpus": 2}, {"SizeInMiB": 1024})
    large = [{"Name": "memory-info.size-in-mib", "Values": ["524288"]}]
    names = [one["InstanceType"] for one in bench.ec2("DescribeInstanceTypes", Filters=large)["InstanceTypes"]]
    assert names == ["r5.16xlarge", "r6i.16xlarge", "r7i.16xlarge"]
    assert bench.refused("ec2", "DescribeInstanceTypes", InstanceTypes=["t3.micro", "x.y"]) == (
        "InvalidInstanceType",
        "The following supplied instance types do not exist: [x.y]",
    )


def test_a_zone_that_takes_no_launches_is_passed_over_and_refused(bench: Bench) -> None:
    bench.tell(ZoneState(zone="us-east-1a", available=False))
    run(bench)
    assert bench.asked(Launch)[0].zone == "us-east-1b"
    placed = {"ImageId": IMAGE_ID, "MinCount": 1, "MaxCount": 1, "Placement": {"AvailabilityZone": "us-east-1a"}}
    code, message = bench.refused("ec2", "RunInstances", **placed)
    assert code == "InsufficientInstanceCapacity"
    assert message.endswith("choosing us-east-1b.")


def test_there_are_no_more_instances_than_an_account_may_have(bench: Bench) -> None:
    bench.region.state.instances_max = 3
    request = {"ImageId": IMAGE_ID, "MinCount": 1, "MaxCount": 2}
    assert [len(bench.ec2("RunInstances", **request)["Instances"]) for _ in range(2)] == [2, 1]
    code, message = bench.refused("ec2", "RunInstances", **request)
    assert code == "InstanceLimitExceeded"
    assert message.startswith("You have requested more instances (1) than your current instance limit of 3 allows")


@pytest.mark.parametrize(
    ("stated", "code", "message"),
    [
        (
            {"ImageId": "ami-00000000"},
            "InvalidAMIID.NotFound",
            "The image id '[ami-00000000]' does not exist",
        ),
        (
            {"ImageId": "shop/worker:v0"},
            "InvalidAMIID.Malformed",
            'Invalid id: "shop/worker:v0" (expecting "ami-...")',
        ),
        ({"ImageId": ""}, "MissingParameter", "The request must contain the parameter ImageId"),
        ({"UserData": "?"}, "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."),
        (
            {"UserData": base64.b64encode(bytes(16_385)).decode()},
            "InvalidParameterValue",
            "User data is limited to 16384 bytes",
        ),
        ({"InstanceType": "huge"}, "InvalidParameterValue", "Invalid value 'huge' for InstanceType."),
        ({"SubnetId": "subnet-1"}, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
        (
            {"Placement": {"AvailabilityZone": "mars-1a"}},
            "InvalidParameterValue",
            "Invalid availability zone: [mars-1a]",
        ),
        (
            {"MinCount": 3, "MaxCount": 2},
            "InvalidParameterValue",
            "Value ( 3 ) for parameter minCount is invalid. minCount may not exceed maxCount ( 2 ).",
        ),
        (
            {"LaunchTemplate": {"LaunchTemplateName": "none"}},
            "InvalidLaunchTemplateName.NotFoundException",
            "The specified launch template, with template name none, does not exist.",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "y"}]}]},
            "InvalidParameterValue",
            "Invalid value 'aws:x' for tag key. Tag keys starting with 'aws:' are reserved for internal use",
        ),
        ({"DryRun": True}, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
    ],
)
def test_what_run_instances_refuses(bench: Bench, stated: dict[str, Any], code: str, message: str) -> None:
    request = {"ImageId": IMAGE_ID, "MinCount": 1, "MaxCount": 1, **stated}
    assert bench.refused("ec2", "RunInstances", **request) == (code, message)


def test_what_describing_refuses(bench: Bench) -> None:
    assert bench.refused("ec2", "DescribeInstances", DryRun=True) == (
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
    )
    # What would not have succeeded says so.
    assert bench.refused("ec2", "DescribeInstances", InstanceIds=[UNKNOWN], DryRun=True)[0] == (
        "InvalidInstanceID.NotFound"
    )
    assert bench.refused("ec2", "DescribeInstances", InstanceIds=[UNKNOWN]) == (
        "InvalidInstanceID.NotFound",
        f"The instance ID '{UNKNOWN}' does not exist",
    )
    assert bench.refused("ec2", "TerminateInstances", InstanceIds=[UNKNOWN, "i-00000001"]) == (
        "InvalidInstanceID.NotFound",
        f"The instance IDs '{UNKNOWN}, i-00000001' do not exist",
    )
    assert bench.refused("ec2", "StopInstances", InstanceIds=["i-xyz"]) == (
        "InvalidInstanceID.Malformed",
        'Invalid id: "i-xyz"',
    )
    (instance_id,) = run(bench)
    assert bench.refused("ec2", "DescribeInstances", InstanceIds=[instance_id], MaxResults=5) == (
        "InvalidParameterCombination",
        "The parameter instancesSet cannot be used with the parameter maxResults",
    )
    assert bench.refused("ec2", "DescribeInstances", Filters=[{"Name": "x", "Values": []}]) == (
        "InvalidParameterValue",
        "The filter 'x' is invalid",
    )
    assert bench.refused("ec2", "DescribeInstances", NextToken="x")[0] == "InvalidNextToken"
    (spot,) = run(bench, InstanceMarketOptions={"MarketType": "spot"})
    assert bench.refused("ec2", "StopInstances", InstanceIds=[spot])[0] == "UnsupportedOperation"
    assert ids(bench, ("instance-lifecycle", ["spot"])) == [spot]
