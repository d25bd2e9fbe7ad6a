"""Tags of EC2's resources: put, taken, found."""

from __future__ import annotations

import pytest
from scaling_region import IMAGE_ID, SUBNET_A, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def tagged(bench: Bench, *filters: tuple[str, list[str]]) -> list[tuple[str, str, str]]:
    given = [{"Name": name, "Values": values} for name, values in filters]
    return [(tag["ResourceId"], tag["Key"], tag["Value"]) for tag in bench.ec2("DescribeTags", Filters=given)["Tags"]]


def test_tags_are_put_and_found_on_every_kind(bench: Bench) -> None:
    started = bench.ec2("RunInstances", ImageId=IMAGE_ID, MinCount=1, MaxCount=1)
    instance_id = started["Instances"][0]["InstanceId"]
    template = bench.ec2("CreateLaunchTemplate", LaunchTemplateName="one", LaunchTemplateData={})["LaunchTemplate"]
    vpc_id = bench.ec2("DescribeVpcs")["Vpcs"][0]["VpcId"]
    resources = [instance_id, template["LaunchTemplateId"], IMAGE_ID, SUBNET_A, vpc_id]
    bench.ec2("CreateTags", Resources=resources, Tags=[{"Key": "team", "Value": "a"}, {"Key": "note"}])
    bench.kept()
    assert {row[0] for row in tagged(bench, ("tag:team", ["a"]))} == set(resources)
    assert tagged(bench, ("resource-type", ["subnet"]), ("key", ["note"])) == [(SUBNET_A, "note", "")]
    mine = [{"Name": "tag:team", "Values": ["a"]}]
    assert len(bench.ec2("DescribeInstances", Filters=mine)["Reservations"]) == 1
    assert len(bench.ec2("DescribeImages", Filters=mine)["Images"]) == 1
    assert [one["SubnetId"] for one in bench.ec2("DescribeSubnets", Filters=mine)["Subnets"]] == [SUBNET_A]
    assert len(bench.ec2("DescribeLaunchTemplates", Filters=mine)["LaunchTemplates"]) == 1
    assert len(bench.ec2("DescribeVpcs", Filters=mine)["Vpcs"]) == 1


def test_tags_are_taken_by_key_by_value_or_all(bench: Bench) -> None:
    tags = [{"Key": key, "Value": key.upper()} for key in "abcd"]
    bench.ec2("CreateTags", Resources=[SUBNET_A], Tags=tags)
    bench.ec2(
        "DeleteTags", Resources=[SUBNET_A], Tags=[{"Key": "a"}, {"Key": "b", "Value": "B"}, {"Key": "c", "Value": "x"}]
    )
    assert [row[1] for row in tagged(bench)] == ["c", "d"]
    bench.ec2("CreateTags", Resources=[SUBNET_A], Tags=[{"Key": "c", "Value": "new"}])
    assert tagged(bench, ("key", ["c"])) == [(SUBNET_A, "c", "new")]
    bench.ec2("DeleteTags", Resources=[SUBNET_A])
    assert tagged(bench) == []


def test_what_is_refused(bench: Bench) -> None:
    put = {"Tags": [{"Key": "a", "Value": "b"}]}
    assert bench.refused("ec2", "CreateTags", Resources=["vol-1"], **put) == (
        "InvalidID",
        "The ID 'vol-1' is not valid",
    )
    assert bench.refused("ec2", "CreateTags", Resources=[SUBNET_A, "ami-00000000"], **put) == (
        "InvalidAMIID.NotFound",
        "The image id '[ami-00000000]' does not exist",
    )
    assert bench.refused("ec2", "CreateTags", Resources=["i-00000000"], **put)[0] == "InvalidInstanceID.NotFound"
    many = [{"Key": str(number), "Value": ""} for number in range(51)]
    assert bench.refused("ec2", "CreateTags", Resources=[SUBNET_A], Tags=many)[0] == "TagLimitExceeded"
    bench.ec2("CreateTags", Resources=[SUBNET_A], Tags=many[:50])
    assert bench.refused("ec2", "CreateTags", Resources=[SUBNET_A], **put)[0] == "TagLimitExceeded"
    bench.ec2("CreateTags", Resources=[SUBNET_A], Tags=many[:1])
    reserved = bench.refused("ec2", "CreateTags", Resources=[SUBNET_A], Tags=[{"Key": "AWS:x", "Value": ""}])
    assert reserved[0] == "InvalidParameterValue"
