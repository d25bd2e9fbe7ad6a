"""What is described: groups, instances, tags, launch configurations, choices; in pages."""

from __future__ import annotations

import pytest
from scaling_world import World, refused

from parity.model.scaling.state import LaunchTemplate, TemplateVersion


def test_groups_come_in_pages():
    world = World().configured()
    for number in range(5):
        world.group(f"g{number}")
    first = world.call("DescribeAutoScalingGroups", MaxRecords=2)
    second = world.call("DescribeAutoScalingGroups", MaxRecords=3, NextToken=first["NextToken"])

    names = [group["AutoScalingGroupName"] for page in (first, second) for group in page["AutoScalingGroups"]]
    assert names == ["g0", "g1", "g2", "g3", "g4"]
    assert "NextToken" not in second
    assert refused(world, "DescribeAutoScalingGroups", NextToken="x")[0] == "InvalidNextToken"


@pytest.mark.parametrize(
    ("name", "key", "what"),
    [
        ("DescribeAutoScalingGroups", "AutoScalingGroupNames", "group names"),
        ("DescribeAutoScalingInstances", "InstanceIds", "instance ids"),
    ],
)
def test_no_more_than_50_are_named_at_once(name, key, what):
    """As observed: https://github.com/kubernetes/autoscaler/pull/1261 and hjacobs/kube-aws-autoscaler/issues/40."""
    world = World()
    world.call(name, **{key: ["x"] * 50})
    message = f"The number of {what} that may be passed in is limited to 50"
    assert refused(world, name, **{key: ["x"] * 51}) == ("ValidationError", message)


def test_a_hundred_groups_are_named_where_as_many_are_asked_for():
    world = World()
    world.call("DescribeAutoScalingGroups", AutoScalingGroupNames=["x"] * 100, MaxRecords=100)
    world.call("DescribeAutoScalingGroups", AutoScalingGroupNames=["x"] * 3, MaxRecords=2)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("DescribeTags", "auto-scaling-group key value propagate-at-launch"),
        ("DescribeAutoScalingGroups", "tag-key tag-value tag:<key>"),
    ],
)
def test_a_filter_that_there_is_none_of(name, known):
    message = f"Filter type color is not correct. Allowed Filter types are: {known}"
    filters = [{"Name": "color", "Values": ["red"]}]
    assert refused(World(), name, Filters=filters) == ("ValidationError", message)


def test_activities_come_in_pages_those_under_way_first():
    world = World().configured().group(DesiredCapacity=3)
    world.run(60)
    world.lazy = True
    world.resize(4)
    first = world.call("DescribeScalingActivities", AutoScalingGroupName="g", MaxRecords=2)
    second = world.call("DescribeScalingActivities", AutoScalingGroupName="g", NextToken=first["NextToken"])

    assert [one["StatusCode"] for one in first["Activities"]] == ["PreInService", "Successful"]
    assert len({one["ActivityId"] for page in (first, second) for one in page["Activities"]}) == 4
    found = world.call(
        "DescribeScalingActivities",
        AutoScalingGroupName="g",
        Filters=[{"Name": "StartTimeLowerBound", "Values": ["2026-11-25T18:00:30Z"]}],
    )
    assert [one["StatusCode"] for one in found["Activities"]] == ["PreInService"]


def test_a_group_is_described_anew_after_each_change():
    world = World().configured().group(DesiredCapacity=1)
    before = world.shown()
    assert world.shown() is before
    world.call("CreateOrUpdateTags", Tags=[{"ResourceId": "g", "Key": "k", "Value": "v", "PropagateAtLaunch": True}])
    after = world.shown()
    assert before["Tags"] == []
    assert after["Tags"] == [
        {
            "ResourceId": "g",
            "ResourceType": "auto-scaling-group",
            "Key": "k",
            "Value": "v",
            "PropagateAtLaunch": True,
        }
    ]
    bare = world.call("DescribeAutoScalingGroups", IncludeInstances=False)["AutoScalingGroups"][0]
    assert "Instances" not in bare


def test_instances_are_described_across_groups_in_capitals():
    world = World().configured().group("g", DesiredCapacity=1).group("h", DesiredCapacity=1)
    every = world.call("DescribeAutoScalingInstances")["AutoScalingInstances"]
    assert [(one["AutoScalingGroupName"], one["HealthStatus"]) for one in every] == [("g", "HEALTHY"), ("h", "HEALTHY")]
    some = world.call("DescribeAutoScalingInstances", InstanceIds=["i-none", *world.ids("h")])
    assert [one["InstanceId"] for one in some["AutoScalingInstances"]] == world.ids("h")


def test_tags_reach_instances_that_are_launched_and_are_found_by_filters():
    tags = [
        {"Key": "seen", "Value": "1", "PropagateAtLaunch": True},
        {"Key": "hidden", "Value": "2", "PropagateAtLaunch": False},
    ]
    world = World().configured().group(DesiredCapacity=1, Tags=tags)
    assert world.region.state.instances[world.ids()[0]].tags == {"seen": "1", "aws:autoscaling:groupName": "g"}
    found = world.call("DescribeTags", Filters=[{"Name": "propagate-at-launch", "Values": ["false"]}])["Tags"]
    assert [one["Key"] for one in found] == ["hidden"]
    assert world.call("DescribeAutoScalingGroups", Filters=[{"Name": "tag:seen", "Values": ["2"]}]) == {
        "AutoScalingGroups": []
    }
    world.call("DeleteTags", Tags=[{"ResourceId": "g", "Key": "seen"}])
    assert [one["Key"] for one in world.call("DescribeTags")["Tags"]] == ["hidden"]
    assert refused(world, "CreateOrUpdateTags", Tags=[{"ResourceId": "none", "Key": "k"}]) == (
        "ValidationError",
        "AutoScalingGroup not found - AutoScaling Group none not found",
    )


def test_a_launch_configuration_that_is_used_stays():
    world = World().configured(UserData="ZWNobw==", KeyName="k").group()
    shown = world.call("DescribeLaunchConfigurations")["LaunchConfigurations"][0]
    assert (shown["UserData"], shown["KeyName"], shown["EbsOptimized"]) == ("ZWNobw==", "k", False)
    assert refused(world, "DeleteLaunchConfiguration", LaunchConfigurationName="lc") == (
        "ResourceInUse",
        "Cannot delete launch configuration lc because it is attached to AutoScalingGroup g",
    )
    assert (
        refused(world, "CreateLaunchConfiguration", LaunchConfigurationName="lc", ImageId="a", InstanceType="t")[0]
        == "AlreadyExists"
    )
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g")
    world.call("DeleteLaunchConfiguration", LaunchConfigurationName="lc")
    assert refused(world, "DeleteLaunchConfiguration", LaunchConfigurationName="lc") == (
        "ValidationError",
        "Launch configuration name not found - Launch configuration lc not found",
    )


def test_a_group_after_an_instance_has_a_launch_configuration_of_its_own():
    world = World().configured(ImageId="ami-7").group(DesiredCapacity=1)
    world.group("h", LaunchConfigurationName=None, InstanceId=world.ids()[0])
    assert world.of("h").source.configuration == "h"
    assert world.region.state.launch_configurations["h"].image_id == "ami-7"


@pytest.mark.parametrize(
    ("stated", "version"), [({}, "1"), ({"Version": "$Latest"}, "2"), ({"Version": "$Default"}, "1")]
)
def test_a_templates_version_is_looked_up_at_each_launch(stated, version):
    world = World().configured()
    versions = {
        number: TemplateVersion(number=number, created_us=0, data={"ImageId": f"ami-{number}"}) for number in (1, 2)
    }
    made = LaunchTemplate(template_id="lt-1", name="t", created_us=0, versions=versions, latest_version=2)
    world.region.state.launch_templates["lt-1"] = made
    source = {"LaunchConfigurationName": None, "LaunchTemplate": {"LaunchTemplateName": "t", **stated}}
    world.group(DesiredCapacity=1, **source)

    member = world.shown()["Instances"][0]
    assert member["LaunchTemplate"] == {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "t", "Version": version}
    assert world.region.state.instances[member["InstanceId"]].image_id == f"ami-{version}"
    assert world.shown()["LaunchTemplate"]["Version"] == stated.get("Version", "$Default")


def test_a_mixed_group_takes_its_first_type_and_so_many_spot_instances():
    world = World().configured()
    data = {"ImageId": "ami-1", "InstanceType": "t3.micro"}
    world.region.state.launch_templates["lt-1"] = LaunchTemplate(
        template_id="lt-1", name="t", created_us=0, versions={1: TemplateVersion(number=1, created_us=0, data=data)}
    )
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1"},
            "Overrides": [{"InstanceType": "c5.large"}, {"InstanceType": "m5.large"}],
        },
        "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 50},
    }
    world.group(LaunchConfigurationName=None, MixedInstancesPolicy=policy, DesiredCapacity=5)
    instances = world.region.state.instances.values()
    assert {one.instance_type for one in instances} == {"c5.large"}
    assert sum(one.spot for one in instances) == 2
    assert (
        world.shown()["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] == "$Default"
    )


def test_a_group_needs_one_source_and_one_only():
    world = World().configured()
    given = {"AutoScalingGroupName": "g", "MinSize": 0, "MaxSize": 1, "AvailabilityZones": ["us-east-1a"]}
    message = (
        "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
        "MixedInstancesPolicy parameter."
    )
    assert refused(world, "CreateAutoScalingGroup", **given) == ("ValidationError", message)
    both = {"LaunchConfigurationName": "lc", "InstanceId": "i-1"}
    assert refused(world, "CreateAutoScalingGroup", **given, **both) == ("ValidationError", message)


@pytest.mark.parametrize(
    "wrong",
    [
        {"MinSize": 2, "MaxSize": 1},
        {"HealthCheckType": "PING"},
        {"TerminationPolicies": ["Youngest"]},
        {"MaxInstanceLifetime": 3600},
        {"DefaultInstanceWarmup": 3601},
        {"InstanceMaintenancePolicy": {"MinHealthyPercentage": 50, "MaxHealthyPercentage": 200}},
        {"InstanceMaintenancePolicy": {"MinHealthyPercentage": 90}},
        {"DefaultCooldown": -1},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(wrong):
    world = World().configured().group()
    assert refused(world, "UpdateAutoScalingGroup", AutoScalingGroupName="g", **wrong)[0] == "ValidationError"


def test_settings_are_shown_as_stated_and_cleared():
    stated = {
        "DefaultInstanceWarmup": 60,
        "InstanceMaintenancePolicy": {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120},
        "MaxInstanceLifetime": 86_400,
        "HealthCheckType": "EC2,ELB",
        "DeletionProtection": "prevent-force-deletion",
    }
    world = World().configured().group(**stated)
    shown = world.shown()
    assert {key: shown[key] for key in stated} == stated
    world.call(
        "UpdateAutoScalingGroup",
        AutoScalingGroupName="g",
        DefaultInstanceWarmup=-1,
        InstanceMaintenancePolicy={"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1},
        MaxInstanceLifetime=0,
    )
    assert not {"DefaultInstanceWarmup", "InstanceMaintenancePolicy", "MaxInstanceLifetime"} & set(world.shown())
    assert refused(world, "DeleteAutoScalingGroup", AutoScalingGroupName="g", ForceDelete=True)[0] == "ValidationError"
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g")


def test_metrics_are_enabled_by_name_or_all():
    world = World().configured().group()
    world.call("EnableMetricsCollection", AutoScalingGroupName="g", Granularity="1Minute", Metrics=["GroupMinSize"])
    assert world.shown()["EnabledMetrics"] == [{"Metric": "GroupMinSize", "Granularity": "1Minute"}]
    world.call("EnableMetricsCollection", AutoScalingGroupName="g", Granularity="1Minute")
    every = [one["Metric"] for one in world.call("DescribeMetricCollectionTypes")["Metrics"]]
    assert [one["Metric"] for one in world.shown()["EnabledMetrics"]] == every
    world.call("DisableMetricsCollection", AutoScalingGroupName="g")
    assert world.shown()["EnabledMetrics"] == []


def test_honoring_a_cooldown_is_refused_while_it_lasts():
    world = World().configured().group(DesiredCapacity=1)
    world.of().cooldown_until_us = world.now_us + 300_000_000
    asked = {"AutoScalingGroupName": "g", "DesiredCapacity": 2}
    code, message = refused(world, "SetDesiredCapacity", **asked, HonorCooldown=True)
    activity_id = world.activities()[0]["ActivityId"]
    assert (code, message) == (
        "ScalingActivityInProgress",
        f"Scaling activity {activity_id} is in progress and blocks this action",
    )
    world.call("SetDesiredCapacity", **asked)
    world.run(300)
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=1, HonorCooldown=True)
    assert world.of().desired == 1
