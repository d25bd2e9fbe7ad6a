"""Target groups, load balancers, and who is behind them."""

from __future__ import annotations

from typing import Any

import pytest
from scaling_region import IMAGE_ID, SUBNET_A, SUBNET_B, Elb

from parity.model.scaling.balancing.health_checks import health_check_of
from parity.model.scaling.balancing.routing import Routing, routing_of
from parity.model.scaling.world import (
    CutOff,
    Deregister,
    Deregistered,
    Register,
    Removed,
    Running,
    Stopped,
    TargetHealth,
)


@pytest.fixture
def bench() -> Elb:
    return Elb()


def test_a_target_group_has_the_defaults_of_its_protocol(bench: Elb) -> None:
    http = bench.elb("DescribeTargetGroups", TargetGroupArns=[bench.target_group()])["TargetGroups"][0]
    assert (http["HealthCheckProtocol"], http["HealthCheckPath"], http["Matcher"]) == ("HTTP", "/", {"HttpCode": "200"})
    assert (http["HealthCheckTimeoutSeconds"], http["LoadBalancerArns"]) == (5, [])
    bench.target_group("wire", Protocol="TCP")
    tcp = bench.elb("DescribeTargetGroups", Names=["wire"])["TargetGroups"][0]
    assert (tcp["HealthCheckProtocol"], tcp["HealthCheckTimeoutSeconds"]) == ("TCP", 10)
    assert "HealthCheckPath" not in tcp


def test_to_create_the_same_again_gives_what_is_there(bench: Elb) -> None:
    assert bench.target_group() == bench.target_group()
    assert bench.balancer() == bench.balancer()
    other = {"Name": "web", "Protocol": "HTTP", "Port": 1, "VpcId": bench.vpc_id()}
    assert bench.refused("elbv2", "CreateTargetGroup", **other) == (
        "DuplicateTargetGroupName",
        "A target group with the same name 'web' exists, but with different settings",
    )
    other = {"Name": "front", "Subnets": [SUBNET_B, SUBNET_A], "Scheme": "internal"}
    assert bench.refused("elbv2", "CreateLoadBalancer", **other)[0] == "DuplicateLoadBalancerName"


def test_a_target_is_unused_until_a_listener_sends_to_its_group(bench: Elb) -> None:
    group, instance_id = bench.target_group(), bench.running()
    bench.register(group, instance_id, Port=9000)
    assert bench.health(group) == {instance_id: ("unused", "Target.NotInUse")}
    assert bench.asked(Register) == []
    balancer = bench.balancer()
    listener = bench.listener(balancer, group)
    assert bench.asked(Register) == [Register(group, instance_id, 9000)]
    assert bench.health(group) == {instance_id: ("initial", "Elb.RegistrationInProgress")}
    bench.kept()
    bench.tell(TargetHealth(group, instance_id, healthy=True))
    assert bench.health(group) == {instance_id: ("healthy", "")}
    bench.tell(TargetHealth(group, instance_id, healthy=False, reason="Target.Timeout"))
    assert bench.health(group) == {instance_id: ("unhealthy", "Target.Timeout")}
    # A second listener changes nothing; with the last one the load balancer forgets.
    second = bench.listener(balancer, group, port=81)
    assert bench.asked(Register) == []
    bench.elb("DeleteListener", ListenerArn=listener)
    assert bench.asked(Deregister) == []
    bench.elb("DeleteListener", ListenerArn=second)
    assert bench.asked(Deregister) == [Deregister(group, instance_id)]
    assert bench.health(group) == {instance_id: ("unused", "Target.NotInUse")}


def wired(bench: Elb) -> tuple[str, str]:
    """A target group that is used, and a healthy target."""
    group, instance_id = bench.target_group(), bench.running()
    bench.listener(bench.balancer(), group)
    bench.register(group, instance_id)
    bench.tell(TargetHealth(group, instance_id, healthy=True))
    bench.actions.clear()
    return group, instance_id


def test_a_target_drains_until_nothing_is_under_way(bench: Elb) -> None:
    group, instance_id = wired(bench)
    bench.deregister(group, instance_id)
    bench.deregister(group, instance_id)
    assert bench.asked(Deregister) == [Deregister(group, instance_id)]
    assert bench.health(group) == {instance_id: ("draining", "Target.DeregistrationInProgress")}
    # What the health check says of it does not matter any more.
    bench.tell(TargetHealth(group, instance_id, healthy=False))
    assert bench.health(group)[instance_id][0] == "draining"
    bench.tell(Deregistered(group, instance_id))
    assert bench.health(group) == {}


def test_a_target_drains_for_the_deregistration_delay_at_most(bench: Elb) -> None:
    group, instance_id = wired(bench)
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "20"}
    bench.elb("ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=[delay])
    bench.deregister(group, instance_id)
    bench.later(19)
    assert bench.health(group)[instance_id][0] == "draining"
    assert bench.asked(CutOff) == []
    bench.later(1)
    assert bench.health(group) == {}
    assert bench.asked(CutOff) == [CutOff(group, instance_id)]


def test_one_that_has_drained_in_time_is_not_cut_off(bench: Elb) -> None:
    group, instance_id = wired(bench)
    bench.deregister(group, instance_id)
    bench.tell(Deregistered(group, instance_id))
    bench.later(400)
    assert bench.asked(CutOff) == []


def test_a_code_that_does_not_match_is_said(bench: Elb) -> None:
    group, instance_id = wired(bench)

    def described() -> str:
        (one,) = bench.elb("DescribeTargetHealth", TargetGroupArn=group)["TargetHealthDescriptions"]
        return str(one["TargetHealth"]["Description"])

    bench.tell(TargetHealth(group, instance_id, healthy=False, reason="Target.ResponseCodeMismatch", code=404))
    assert described() == "Health checks failed with these codes: [404]"
    bench.tell(TargetHealth(group, instance_id, healthy=False, reason="Target.Timeout"))
    assert described() == "Request timed out"


def test_a_target_that_comes_back_is_not_taken_for_the_one_that_drained(bench: Elb) -> None:
    group, instance_id = wired(bench)
    bench.deregister(group, instance_id)
    bench.later(100)
    bench.register(group, instance_id)
    assert bench.asked(Register) == [Register(group, instance_id, 8080)]
    bench.tell(Deregistered(group, instance_id))
    bench.later(250)
    assert bench.health(group)[instance_id][0] == "initial"
    # Deregistered anew, its delay counts from then.
    bench.deregister(group, instance_id)
    bench.later(299)
    assert bench.health(group)[instance_id][0] == "draining"
    bench.later(1)
    assert bench.health(group) == {}


def test_what_is_terminated_is_no_target_and_what_is_stopped_comes_back(bench: Elb) -> None:
    group, instance_id = wired(bench)
    bench.ec2("StopInstances", InstanceIds=[instance_id])
    bench.tell(Stopped(instance_id))
    assert bench.health(group) == {instance_id: ("unused", "Target.InvalidState")}
    assert bench.asked(Deregister) == [Deregister(group, instance_id)]
    bench.ec2("StartInstances", InstanceIds=[instance_id])
    bench.tell(Running(instance_id))
    assert bench.asked(Register) == [Register(group, instance_id, 8080)]
    bench.ec2("TerminateInstances", InstanceIds=[instance_id])
    bench.tell(Removed(instance_id))
    assert bench.health(group) == {}


def test_a_target_that_is_none_is_shown_as_such(bench: Elb) -> None:
    group, instance_id = wired(bench)
    answer = bench.elb(
        "DescribeTargetHealth", TargetGroupArn=group, Targets=[{"Id": "i-00000000"}, {"Id": instance_id, "Port": 8080}]
    )["TargetHealthDescriptions"]
    assert [one["TargetHealth"]["State"] for one in answer] == ["unused", "healthy"]
    assert answer[0]["TargetHealth"]["Reason"] == "Target.NotRegistered"


def test_load_balancers_and_listeners_are_described_changed_and_deleted(bench: Elb) -> None:
    group, other = bench.target_group(), bench.target_group("other")
    balancer = bench.balancer(Tags=[{"Key": "team", "Value": "a"}])
    listener = bench.listener(balancer, group)
    (shown,) = bench.elb("DescribeLoadBalancers", Names=["front"])["LoadBalancers"]
    assert (shown["State"], shown["Type"], shown["Scheme"]) == ({"Code": "active"}, "application", "internet-facing")
    assert [zone["ZoneName"] for zone in shown["AvailabilityZones"]] == ["us-east-1a", "us-east-1b"]
    (shown,) = bench.elb("DescribeListeners", LoadBalancerArn=balancer)["Listeners"]
    assert (shown["ListenerArn"], shown["Port"]) == (listener, 80)
    assert bench.elb("DescribeTargetGroups", LoadBalancerArn=balancer)["TargetGroups"][0]["TargetGroupArn"] == group
    assert bench.refused("elbv2", "DeleteTargetGroup", TargetGroupArn=group) == (
        "ResourceInUse",
        f"Target group '{group}' is currently in use by a listener or a rule",
    )
    to_other = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": other, "Weight": 1}]}}]
    bench.elb("ModifyListener", ListenerArn=listener, DefaultActions=to_other)
    bench.elb("DeleteTargetGroup", TargetGroupArn=group)
    bench.elb("AddTags", ResourceArns=[balancer, other], Tags=[{"Key": "note", "Value": "x"}])
    bench.elb("RemoveTags", ResourceArns=[balancer], TagKeys=["team"])
    tags = bench.elb("DescribeTags", ResourceArns=[balancer, other, listener])["TagDescriptions"]
    assert [one["Tags"] for one in tags] == [[{"Key": "note", "Value": "x"}]] * 2 + [[]]
    bench.elb("DeleteLoadBalancer", LoadBalancerArn=balancer)
    assert bench.elb("DescribeLoadBalancers")["LoadBalancers"] == []
    bench.elb("DeleteTargetGroup", TargetGroupArn=other)
    assert bench.elb("DescribeTargetGroups")["TargetGroups"] == []


def test_a_protected_load_balancer_is_not_deleted(bench: Elb) -> None:
    balancer = bench.balancer()
    protection = {"Key": "deletion_protection.enabled", "Value": "true"}
    bench.elb("ModifyLoadBalancerAttributes", LoadBalancerArn=balancer, Attributes=[protection])
    assert protection in bench.elb("DescribeLoadBalancerAttributes", LoadBalancerArn=balancer)["Attributes"]
    assert bench.refused("elbv2", "DeleteLoadBalancer", LoadBalancerArn=balancer)[0] == "OperationNotPermitted"


def test_a_health_check_is_changed(bench: Elb) -> None:
    group = bench.target_group()
    answer = bench.elb("ModifyTargetGroup", TargetGroupArn=group, HealthCheckPath="/up", HealthCheckIntervalSeconds=10)
    assert answer["TargetGroups"][0]["HealthCheckPath"] == "/up"
    assert bench.refused("elbv2", "ModifyTargetGroup", TargetGroupArn=group, HealthCheckIntervalSeconds=5) == (
        "ValidationError",
        "Health check timeout '5' must be smaller than the interval '5'",
    )


def test_a_health_check_is_what_is_checked_by(bench: Elb) -> None:
    group = bench.target_group()
    stated = {"HealthCheckPort": "9000", "Matcher": {"HttpCode": "200,301-302"}, "HealthyThresholdCount": 3}
    bench.elb("ModifyTargetGroup", TargetGroupArn=group, **stated)
    check = health_check_of(bench.region.state.target_groups[group])
    assert (check.protocol, check.port, check.path, check.codes) == ("HTTP", 9000, "/", ((200, 200), (301, 302)))
    times = (check.interval_s, check.timeout_s, check.healthy_after, check.unhealthy_after)
    assert times == (30, 5, 3, 2)
    assert [code for code in (199, 200, 201, 301, 302, 303) if check.accepts(code)] == [200, 301, 302]


def test_another_protocol_of_the_check_brings_its_own_settings(bench: Elb) -> None:
    group = bench.target_group("wire", Protocol="TCP")

    def changed(**stated: Any) -> dict[str, Any]:
        answer: dict[str, Any] = bench.elb("ModifyTargetGroup", TargetGroupArn=group, **stated)["TargetGroups"][0]
        return answer

    web = changed(HealthCheckProtocol="HTTP")
    assert (web["HealthCheckPath"], web["Matcher"]) == ("/", {"HttpCode": "200-399"})
    assert bench.refused("elbv2", "ModifyTargetGroup", TargetGroupArn=group, Matcher={"HttpCode": "600"}) == (
        "ValidationError",
        "Health check matcher HTTP code '600' must be within '200-599'",
    )
    wire = changed(HealthCheckProtocol="TCP")
    assert wire.keys().isdisjoint({"HealthCheckPath", "Matcher"})
    assert bench.refused("elbv2", "ModifyTargetGroup", TargetGroupArn=group, HealthCheckPath="/") == (
        "InvalidConfigurationRequest",
        "You cannot specify a health check path with protocol 'TCP'",
    )


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"HealthCheckPath": "up"}, "Health check path 'up' must begin with a '/' character"),
        ({"HealthCheckPath": "/a b"}, "Health check path '/a b' must have printable ASCII characters only"),
        ({"HealthCheckPort": "web"}, "Health check port 'web' must be 'traffic-port' or '1-65535'"),
        ({"HealthCheckPort": "65536"}, "Health check port '65536' must be 'traffic-port' or '1-65535'"),
        ({"HealthCheckProtocol": "TCP"}, "Health check protocol 'TCP' must be one of 'HTTP, HTTPS'"),
        (
            {"HealthCheckEnabled": False},
            "Health check enabled must be true for target groups with target type 'instance'",
        ),
        ({"Matcher": {}}, "Health check matcher HTTP code cannot be empty"),
        ({"Matcher": {"HttpCode": "200-500"}}, "Health check matcher HTTP code '200-500' must be within '200-499'"),
        ({"Matcher": {"HttpCode": "204-200"}}, "Health check matcher HTTP code '204-200' must be within '200-499'"),
        ({"Matcher": {"HttpCode": "2xx"}}, "Health check matcher HTTP code '2xx' must be within '200-499'"),
    ],
)
def test_a_health_check_that_cannot_be_is_refused(bench: Elb, stated: dict[str, Any], message: str) -> None:
    group = bench.target_group()
    assert bench.refused("elbv2", "ModifyTargetGroup", TargetGroupArn=group, **stated) == ("ValidationError", message)
    new = {"Name": "new", "Protocol": "HTTP", "Port": 80, "VpcId": bench.vpc_id(), **stated}
    assert bench.refused("elbv2", "CreateTargetGroup", **new) == ("ValidationError", message)


def test_attributes_say_where_requests_go_and_which_are_not_obeyed(bench: Elb) -> None:
    group, balancer = bench.target_group(), bench.balancer()
    bench.listener(balancer, group)
    assert routing_of(bench.region.state, group) == Routing()
    assert routing_of(bench.region.state, "x") is None
    fewest = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"

    def put(**changes: str) -> None:
        attributes = [{"Key": key, "Value": value} for key, value in changes.items()]
        bench.elb("ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=attributes)

    put(**{f"{fewest}.count": "2", f"{fewest}.percentage": "50", "stickiness.enabled": "true"})
    idle = {"Key": "idle_timeout.timeout_seconds", "Value": "30"}
    bench.elb("ModifyLoadBalancerAttributes", LoadBalancerArn=balancer, Attributes=[idle])
    routing = routing_of(bench.region.state, group)
    unheeded = ("stickiness.enabled=true", "idle_timeout.timeout_seconds=30")
    assert routing == Routing(fewest=2, fewest_percent=50, unheeded=unheeded)
    assert [routing.fewest_healthy(count) for count in (1, 4, 5)] == [2, 2, 3]
    put(**{f"{fewest}.percentage": "off"})
    wrong = [{"Key": f"{fewest}.count", "Value": "off"}]
    assert bench.refused("elbv2", "ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=wrong) == (
        "ValidationError",
        f"'{fewest}.count' value 'off' must be between '1-1000' inclusive",
    )


def test_what_is_refused(bench: Elb) -> None:
    group, balancer = bench.target_group(), bench.balancer()
    stated = {"Name": "new", "Protocol": "HTTP", "Port": 80, "VpcId": bench.vpc_id()}

    def refused(name: str, **request: Any) -> tuple[str, str]:
        return bench.refused("elbv2", name, **request)

    assert refused("DescribeTargetHealth", TargetGroupArn="x") == ("TargetGroupNotFound", "Target groups 'x' not found")
    assert refused("DescribeTargetGroups", Names=["x"]) == (
        "TargetGroupNotFound",
        "One or more target groups not found",
    )
    assert refused("DescribeLoadBalancers", Names=["x"]) == ("LoadBalancerNotFound", "Load balancers '[x]' not found")
    assert refused("CreateTargetGroup", **{**stated, "Name": "-x"})[0] == "ValidationError"
    assert refused("CreateTargetGroup", **{**stated, "Name": "x" * 33}) == (
        "ValidationError",
        f"Target group name '{'x' * 33}' cannot be longer than '32' characters",
    )
    assert refused("CreateTargetGroup", **{**stated, "Port": None}) == ("ValidationError", "A port must be specified")
    assert refused("CreateTargetGroup", **{**stated, "ProtocolVersion": "GRPC"}) == (
        "InvalidConfigurationRequest",
        "Protocol version 'GRPC' is not supported here: targets speak HTTP1",
    )
    assert refused("CreateTargetGroup", **{**stated, "VpcId": "vpc-1"}) == (
        "ValidationError",
        "The VPC ID 'vpc-1' is not found",
    )
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "3601"}]
    assert refused("ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=delay) == (
        "ValidationError",
        "'deregistration_delay.timeout_seconds' value '3601' must be between '0-3600' inclusive",
    )
    unknown = [{"Key": "colour", "Value": "red"}]
    assert refused("ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=unknown) == (
        "ValidationError",
        "Target group attribute key 'colour' is not recognized",
    )
    assert refused("RegisterTargets", TargetGroupArn=group, Targets=[{"Id": "i-0"}])[0] == "InvalidTarget"
    answer = bench.ec2("RunInstances", ImageId=IMAGE_ID, MinCount=1, MaxCount=1)
    pending = answer["Instances"][0]["InstanceId"]
    assert refused("RegisterTargets", TargetGroupArn=group, Targets=[{"Id": pending}]) == (
        "InvalidTarget",
        f"The following targets are not in a running state and cannot be registered: '{pending}'",
    )
    assert refused("CreateLoadBalancer", Name="one", Subnets=[SUBNET_A]) == (
        "ValidationError",
        "At least two subnets in two different Availability Zones must be specified",
    )
    assert refused("CreateLoadBalancer", Name="one", Subnets=["subnet-1"])[0] == "SubnetNotFound"
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    wrong = {"LoadBalancerArn": balancer, "Protocol": "TCP", "Port": 80, "DefaultActions": actions}
    assert refused("CreateListener", **wrong) == (
        "ValidationError",
        "Listener protocol 'TCP' must be one of 'HTTP, HTTPS'",
    )
    bench.listener(balancer, group)
    again = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80, "DefaultActions": actions}
    assert refused("CreateListener", **again)[0] == "DuplicateListener"
    assert refused("DescribeListeners") == (
        "ValidationError",
        "You must specify either listener ARNs or a load balancer ARN",
    )
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert refused("AddTags", ResourceArns=[group], Tags=twice)[0] == "DuplicateTagKeys"
