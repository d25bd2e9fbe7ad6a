"""Security groups and imported keys: kept and shown as EC2 does."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from scaling_region import IMAGE_ID, Bench

KEY = "ssh-ed25519 " + base64.b64encode(b"a key of thirty-two bytes or more").decode() + " me@here"
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def created(bench: Bench, name: str = "web") -> str:
    return str(bench.ec2("CreateSecurityGroup", GroupName=name, Description="for tests")["GroupId"])


def shown(bench: Bench, group_id: str) -> dict[str, Any]:
    (group,) = bench.ec2("DescribeSecurityGroups", GroupIds=[group_id])["SecurityGroups"]
    return group


def test_a_new_group_lets_everything_out_and_nothing_in(bench: Bench) -> None:
    group = shown(bench, created(bench))
    assert group["IpPermissions"] == []
    (out,) = group["IpPermissionsEgress"]
    assert (out["IpProtocol"], out["IpRanges"]) == ("-1", [{"CidrIp": "0.0.0.0/0"}])
    assert group["VpcId"] == bench.ec2("DescribeVpcs")["Vpcs"][0]["VpcId"]


def test_rules_come_and_go(bench: Bench) -> None:
    group_id = created(bench)
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "office"}, {"CidrIp": "192.168.0.0/16"}]
    answer = bench.ec2("AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=[{**SSH, "IpRanges": ranges}])
    assert len(answer["SecurityGroupRules"]) == 2
    bench.ec2(
        "AuthorizeSecurityGroupIngress", GroupName="web", IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0"
    )
    bench.kept()
    ssh, web = shown(bench, group_id)["IpPermissions"]
    assert (ssh["FromPort"], ssh["IpRanges"]) == (22, ranges)
    assert (web["FromPort"], web["IpRanges"]) == (80, [{"CidrIp": "0.0.0.0/0"}])
    office = [{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    bench.ec2("RevokeSecurityGroupIngress", GroupId=group_id, IpPermissions=office)
    first = [{"Name": "group-id", "Values": [group_id]}]
    rules = bench.ec2("DescribeSecurityGroupRules", Filters=first)["SecurityGroupRules"]
    assert [rule.get("CidrIpv4") for rule in rules if not rule["IsEgress"]] == ["192.168.0.0/16", "0.0.0.0/0"]
    egress = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"]]
    bench.ec2("RevokeSecurityGroupEgress", GroupId=group_id, SecurityGroupRuleIds=egress)
    assert shown(bench, group_id)["IpPermissionsEgress"] == []


def test_the_default_group_is_there_from_the_beginning_and_can_be_changed(bench: Bench) -> None:
    (default,) = bench.ec2("DescribeSecurityGroups", GroupNames=["default"])["SecurityGroups"]
    group_id = default["GroupId"]
    (inside,) = default["IpPermissions"]
    assert inside["UserIdGroupPairs"] == [{"GroupId": group_id, "UserId": "000000000000"}]
    other = created(bench)
    peer = [{**SSH, "UserIdGroupPairs": [{"GroupId": other}]}]
    bench.ec2("AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=peer)
    bench.ec2("CreateTags", Resources=[group_id], Tags=[{"Key": "team", "Value": "a"}])
    bench.kept()
    changed = shown(bench, group_id)
    assert [len(changed["IpPermissions"]), changed["Tags"]] == [2, [{"Key": "team", "Value": "a"}]]
    mine = [{"Name": "ip-permission.group-id", "Values": [other]}]
    found = bench.ec2("DescribeSecurityGroups", Filters=mine)["SecurityGroups"]
    assert [group["GroupId"] for group in found] == [group_id]


def test_a_group_in_use_is_not_deleted(bench: Bench) -> None:
    group_id = created(bench)
    request = {"ImageId": IMAGE_ID, "MinCount": 1, "MaxCount": 1, "SecurityGroupIds": [group_id]}
    instance = bench.ec2("RunInstances", **request)["Instances"][0]
    assert instance["SecurityGroups"] == [{"GroupId": group_id, "GroupName": "web"}]
    assert bench.refused("ec2", "DeleteSecurityGroup", GroupId=group_id) == (
        "DependencyViolation",
        f"resource {group_id} has a dependent object",
    )
    free = created(bench, "free")
    bench.ec2("DeleteSecurityGroup", GroupName="free")
    assert bench.refused("ec2", "DescribeSecurityGroups", GroupIds=[free]) == (
        "InvalidGroup.NotFound",
        f"The security group '{free}' does not exist",
    )


def test_a_key_is_imported_shown_and_deleted(bench: Bench) -> None:
    answer = bench.ec2("ImportKeyPair", KeyName="me", PublicKeyMaterial=KEY.encode())
    key_id = answer["KeyPairId"]
    bench.ec2("CreateTags", Resources=[key_id], Tags=[{"Key": "team", "Value": "a"}])
    (pair,) = bench.ec2("DescribeKeyPairs", KeyNames=["me"], IncludePublicKey=True)["KeyPairs"]
    assert (pair["KeyType"], pair["PublicKey"]) == ("ed25519", KEY)
    assert pair["KeyFingerprint"] == answer["KeyFingerprint"]
    assert pair["Tags"] == [{"Key": "team", "Value": "a"}]
    assert bench.refused("ec2", "ImportKeyPair", KeyName="me", PublicKeyMaterial=KEY.encode())[0] == (
        "InvalidKeyPair.Duplicate"
    )
    bench.ec2("DeleteKeyPair", KeyName="me")
    bench.ec2("DeleteKeyPair", KeyName="me")
    assert bench.ec2("DescribeKeyPairs")["KeyPairs"] == []


@pytest.mark.parametrize(
    ("name", "stated", "code", "message"),
    [
        (
            "CreateSecurityGroup",
            {"GroupName": "default", "Description": "x"},
            "InvalidGroup.Duplicate",
            "The security group 'default' already exists for VPC ",
        ),
        (
            "CreateSecurityGroup",
            {"GroupName": "x", "Description": "x", "VpcId": "vpc-1"},
            "InvalidVpcID.NotFound",
            "The vpc ID 'vpc-1' does not exist",
        ),
        ("DeleteSecurityGroup", {"GroupName": "default"}, "CannotDelete", "the specified group: "),
        ("DeleteSecurityGroup", {}, "MissingParameter", "The request must contain the parameter groupName or groupId"),
        (
            "AuthorizeSecurityGroupEgress",
            {"GroupId": "default", "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
            "InvalidPermission.Duplicate",
            'the specified rule "peer: 0.0.0.0/0, -1, ALLOW" already exists',
        ),
        (
            "RevokeSecurityGroupIngress",
            {"GroupName": "default", "IpPermissions": [{**SSH, "IpRanges": [{"CidrIp": "1.2.3.4/32"}]}]},
            "InvalidPermission.NotFound",
            "The specified rule does not exist in this security group.",
        ),
        (
            "DescribeSecurityGroupRules",
            {"SecurityGroupRuleIds": ["sgr-1"]},
            "InvalidSecurityGroupRuleId.NotFound",
            "The security group rule ID 'sgr-1' does not exist",
        ),
        ("DescribeKeyPairs", {"KeyNames": ["k"]}, "InvalidKeyPair.NotFound", "The key pair 'k' does not exist"),
        (
            "ImportKeyPair",
            {"KeyName": "k", "PublicKeyMaterial": b"no key"},
            "InvalidKey.Format",
            "Key is not in valid OpenSSH public key format",
        ),
    ],
)
def test_what_is_refused(bench: Bench, name: str, stated: dict[str, Any], code: str, message: str) -> None:
    if stated.get("GroupId") == "default":
        (default,) = bench.ec2("DescribeSecurityGroups", GroupNames=["default"])["SecurityGroups"]
        stated = {**stated, "GroupId": default["GroupId"]}
    found = bench.refused("ec2", name, **stated)
    assert found[0] == code
    assert found[1].startswith(message)
