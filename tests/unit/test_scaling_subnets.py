"""The network there is: one default VPC, one subnet a zone, one security group."""

from __future__ import annotations

import pytest
from scaling_region import SUBNET_A, SUBNET_B, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_everything_is_in_the_default_vpc(bench: Bench) -> None:
    (vpc,) = bench.ec2("DescribeVpcs", Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"]
    assert (vpc["IsDefault"], vpc["CidrBlock"]) == (True, "172.31.0.0/19")
    mine = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = bench.ec2("DescribeSubnets", Filters=mine)["Subnets"]
    assert [(subnet["SubnetId"], subnet["AvailabilityZone"]) for subnet in subnets] == [
        (SUBNET_A, "us-east-1a"),
        (SUBNET_B, "us-east-1b"),
    ]
    assert subnets[0]["AvailableIpAddressCount"] == 4096 - 5
    (group,) = bench.ec2("DescribeSecurityGroups", GroupNames=["default"], Filters=mine)["SecurityGroups"]
    assert group["VpcId"] == vpc["VpcId"]
    assert bench.ec2("DescribeSecurityGroups", GroupIds=[group["GroupId"]])["SecurityGroups"] == [group]
    attributes = bench.ec2("DescribeAccountAttributes", AttributeNames=["default-vpc"])["AccountAttributes"]
    assert attributes[0]["AttributeValues"] == [{"AttributeValue": vpc["VpcId"]}]


def test_what_is_filtered_out_is_not_shown(bench: Bench) -> None:
    elsewhere = [{"Name": "vpc-id", "Values": ["vpc-1"]}]
    assert bench.ec2("DescribeVpcs", Filters=elsewhere)["Vpcs"] == []
    assert bench.ec2("DescribeSubnets", Filters=elsewhere)["Subnets"] == []
    assert bench.ec2("DescribeSecurityGroups", Filters=elsewhere)["SecurityGroups"] == []
    zone_b = [{"Name": "zone-name", "Values": ["*b"]}]
    zones = bench.ec2("DescribeAvailabilityZones", Filters=zone_b)["AvailabilityZones"]
    assert [zone["ZoneId"] for zone in zones] == ["use1-az2"]
    assert bench.ec2("DescribeRegions", Filters=[{"Name": "region-name", "Values": ["eu-*"]}])["Regions"] == []


def test_zones_and_the_region_by_name(bench: Bench) -> None:
    zones = bench.ec2("DescribeAvailabilityZones", ZoneNames=["us-east-1b"])["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == ["us-east-1b"]
    assert bench.ec2("DescribeRegions")["Regions"][0]["RegionName"] == "us-east-1"
    assert bench.ec2("DescribeKeyPairs")["KeyPairs"] == []


@pytest.mark.parametrize(
    ("name", "request_", "code", "message"),
    [
        ("DescribeSubnets", {"SubnetIds": ["s"]}, "InvalidSubnetID.NotFound", "The subnet ID 's' does not exist"),
        ("DescribeVpcs", {"VpcIds": ["vpc-1"]}, "InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist"),
        (
            "DescribeSecurityGroups",
            {"GroupIds": ["sg-00000000"]},
            "InvalidGroup.NotFound",
            "The security group 'sg-00000000' does not exist",
        ),
        (
            "DescribeAvailabilityZones",
            {"ZoneNames": ["us-east-1z"]},
            "InvalidParameterValue",
            "Invalid availability zone: [us-east-1z]",
        ),
        ("DescribeKeyPairs", {"KeyNames": ["k"]}, "InvalidKeyPair.NotFound", "The key pair 'k' does not exist"),
        ("DescribeRegions", {"RegionNames": ["x"]}, "InvalidParameterValue", "Invalid region provided: [x]"),
        (
            "DescribeSubnets",
            {"MaxResults": 1},
            "InvalidParameterValue",
            "Value ( 1 ) for parameter maxResults is invalid. Expecting a value greater than 5.",
        ),
        (
            "DescribeSubnets",
            {"Filters": [{"Name": "colour", "Values": ["x"]}]},
            "InvalidParameterValue",
            "The filter 'colour' is invalid",
        ),
    ],
)
def test_what_is_refused(bench: Bench, name: str, request_: dict[str, object], code: str, message: str) -> None:
    assert bench.refused("ec2", name, **request_) == (code, message)
