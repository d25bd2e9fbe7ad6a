"""Launch templates: versions that never change, one of them the default."""

from __future__ import annotations

from typing import Any

import pytest
from scaling_region import BEGIN_US, Bench

from parity.model.scaling.world import Launch


@pytest.fixture
def bench() -> Bench:
    return Bench()


def made(bench: Bench, **data: Any) -> str:
    answer = bench.ec2("CreateLaunchTemplate", LaunchTemplateName="workers", LaunchTemplateData=data)
    return answer["LaunchTemplate"]["LaunchTemplateId"]


def numbers(bench: Bench, **request: Any) -> list[int]:
    answer = bench.ec2("DescribeLaunchTemplateVersions", **request)
    return [version["VersionNumber"] for version in answer["LaunchTemplateVersions"]]


def test_a_template_is_shown_as_it_was_made(bench: Bench) -> None:
    template_id = made(bench, ImageId="ami-1", InstanceType="t3.micro")
    bench.kept()
    (shown,) = bench.ec2("DescribeLaunchTemplates", LaunchTemplateNames=["workers"])["LaunchTemplates"]
    assert (shown["LaunchTemplateId"], shown["CreateTime"]) == (template_id, BEGIN_US)
    assert (shown["DefaultVersionNumber"], shown["LatestVersionNumber"]) == (1, 1)
    (version,) = bench.ec2("DescribeLaunchTemplateVersions", LaunchTemplateId=template_id)["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"] == {"ImageId": "ami-1", "InstanceType": "t3.micro"}
    assert version["DefaultVersion"] is True


def test_a_new_version_takes_from_its_source_what_it_does_not_state(bench: Bench) -> None:
    template_id = made(bench, ImageId="ami-1", InstanceType="t3.micro", Placement={"Tenancy": "default"})
    answer = bench.ec2(
        "CreateLaunchTemplateVersion",
        LaunchTemplateId=template_id,
        SourceVersion="$Latest",
        LaunchTemplateData={"ImageId": "ami-2", "Placement": {"GroupName": "g"}},
    )
    data = answer["LaunchTemplateVersion"]["LaunchTemplateData"]
    assert data == {"ImageId": "ami-2", "InstanceType": "t3.micro", "Placement": {"GroupName": "g"}}
    # Without a source it has what it states and nothing else.
    answer = bench.ec2("CreateLaunchTemplateVersion", LaunchTemplateId=template_id, LaunchTemplateData={"KeyName": "k"})
    assert answer["LaunchTemplateVersion"]["LaunchTemplateData"] == {"KeyName": "k"}
    # The source is as it was.
    first = bench.ec2("DescribeLaunchTemplateVersions", LaunchTemplateId=template_id, Versions=["1"])
    assert first["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"] == "ami-1"


def test_versions_by_number_name_and_range(bench: Bench) -> None:
    template_id = made(bench)
    for _ in range(3):
        bench.ec2("CreateLaunchTemplateVersion", LaunchTemplateId=template_id, LaunchTemplateData={})
    bench.ec2("ModifyLaunchTemplate", LaunchTemplateId=template_id, DefaultVersion="2")
    assert numbers(bench, LaunchTemplateId=template_id) == [4, 3, 2, 1]
    assert numbers(bench, LaunchTemplateId=template_id, MinVersion="2", MaxVersion="3") == [3, 2]
    assert numbers(bench, LaunchTemplateName="workers", Versions=["$Latest", "$Default", "1"]) == [4, 2, 1]
    assert numbers(bench, Versions=["$Default"]) == [2]
    default = [{"Name": "is-default-version", "Values": ["true"]}]
    assert numbers(bench, LaunchTemplateId=template_id, Filters=default) == [2]


def test_numbers_are_not_given_twice_and_the_default_stays(bench: Bench) -> None:
    template_id = made(bench)
    for _ in range(2):
        bench.ec2("CreateLaunchTemplateVersion", LaunchTemplateId=template_id, LaunchTemplateData={})
    answer = bench.ec2("DeleteLaunchTemplateVersions", LaunchTemplateId=template_id, Versions=["3", "1", "9"])
    deleted = answer["SuccessfullyDeletedLaunchTemplateVersions"]
    assert [one["VersionNumber"] for one in deleted] == [3]
    kept = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert [(one["VersionNumber"], one["ResponseError"]["Code"]) for one in kept] == [
        (1, "unexpectedError"),
        (9, "launchTemplateVersionDoesNotExist"),
    ]
    answer = bench.ec2("CreateLaunchTemplateVersion", LaunchTemplateId=template_id, LaunchTemplateData={})
    assert answer["LaunchTemplateVersion"]["VersionNumber"] == 4
    assert numbers(bench, LaunchTemplateId=template_id) == [4, 2, 1]


def test_the_latest_version_is_one_that_is_there(bench: Bench) -> None:
    template_id = made(bench, ImageId="ami-1")
    for image in ("ami-2", "ami-3"):
        data = {"ImageId": image}
        bench.ec2("CreateLaunchTemplateVersion", LaunchTemplateId=template_id, LaunchTemplateData=data)
    bench.ec2("DeleteLaunchTemplateVersions", LaunchTemplateId=template_id, Versions=["3"])
    (shown,) = bench.ec2("DescribeLaunchTemplates")["LaunchTemplates"]
    assert shown["LatestVersionNumber"] == 2
    assert numbers(bench, Versions=["$Latest"]) == [2]
    # So it is for a group.
    bench.call(
        "autoscaling",
        "CreateAutoScalingGroup",
        AutoScalingGroupName="g",
        LaunchTemplate={"LaunchTemplateName": "workers", "Version": "$Latest"},
        MinSize=1,
        MaxSize=1,
        AvailabilityZones=["us-east-1a"],
    )
    assert [launch.image_id for launch in bench.asked(Launch)] == ["ami-2"]


def test_user_data_of_a_template_is_base64(bench: Bench) -> None:
    data = {"UserData": "#!/bin/sh"}
    assert bench.refused("ec2", "CreateLaunchTemplate", LaunchTemplateName="bad", LaunchTemplateData=data) == (
        "InvalidUserData.Malformed",
        "Invalid BASE64 encoding of user data.",
    )


def test_what_is_refused(bench: Bench) -> None:
    template_id = made(bench)
    unknown = "lt-00000000000000000"
    assert bench.refused("ec2", "CreateLaunchTemplate", LaunchTemplateName="workers", LaunchTemplateData={}) == (
        "InvalidLaunchTemplateName.AlreadyExistsException",
        "Launch template name already in use.",
    )
    assert bench.refused("ec2", "DeleteLaunchTemplate", LaunchTemplateId=unknown) == (
        "InvalidLaunchTemplateId.NotFound",
        f"The specified launch template, with template ID {unknown}, does not exist.",
    )
    assert bench.refused("ec2", "DeleteLaunchTemplate", LaunchTemplateName="none") == (
        "InvalidLaunchTemplateName.NotFoundException",
        "The specified launch template, with template name none, does not exist.",
    )
    assert bench.refused("ec2", "ModifyLaunchTemplate", LaunchTemplateId=template_id, DefaultVersion="7") == (
        "InvalidLaunchTemplateId.VersionNotFound",
        f"Could not find the specified version 7 for the launch template with ID {template_id}.",
    )
    codes = [
        bench.refused("ec2", "DeleteLaunchTemplate")[0],
        bench.refused("ec2", "DeleteLaunchTemplate", LaunchTemplateId="workers")[0],
        bench.refused("ec2", "DeleteLaunchTemplate", LaunchTemplateId=template_id, LaunchTemplateName="workers")[0],
        bench.refused("ec2", "DeleteLaunchTemplate", LaunchTemplateId=template_id, DryRun=True)[0],
        bench.refused("ec2", "DescribeLaunchTemplateVersions", Versions=["1"])[0],
        bench.refused("ec2", "DescribeLaunchTemplateVersions")[0],
    ]
    assert codes == [
        "MissingParameter",
        "InvalidLaunchTemplateId.Malformed",
        "InvalidParameterCombination",
        "DryRunOperation",
        "InvalidParameterValue",
        "MissingParameter",
    ]


def test_a_deleted_template_is_gone_and_its_name_free(bench: Bench) -> None:
    first = made(bench)
    bench.ec2("DeleteLaunchTemplate", LaunchTemplateName="workers")
    assert bench.ec2("DescribeLaunchTemplates")["LaunchTemplates"] == []
    assert made(bench) != first
