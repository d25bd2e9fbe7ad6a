"""A group behind a load balancer: registered before it serves, drained before it goes, replaced when it fails."""

from __future__ import annotations

import pytest
from scaling_region import Grouped

from parity.model.scaling.world import Deregister, Deregistered, Register, Removed, TargetHealth, Terminate


@pytest.fixture
def bench() -> Grouped:
    return Grouped()


def test_an_instance_is_registered_as_it_comes_into_service(bench: Grouped) -> None:
    hook = {
        "LifecycleHookName": "boot",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 60,
    }
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn], LifecycleHookSpecificationList=[hook])
    # Not while a hook holds it back
    assert bench.states() == {instance_id: "Pending:Wait"}
    assert bench.asked(Register) == []
    bench.auto(
        "CompleteLifecycleAction",
        AutoScalingGroupName="g",
        LifecycleHookName="boot",
        InstanceId=instance_id,
        LifecycleActionResult="CONTINUE",
    )
    assert bench.asked(Register) == [Register(bench.arn, instance_id, 8080)]
    assert bench.states() == {instance_id: "InService"}
    assert bench.attached() == {bench.arn: "InService"}


def test_with_the_process_suspended_nothing_is_registered(bench: Grouped) -> None:
    bench.group(0, TargetGroupARNs=[bench.arn])
    bench.auto("SuspendProcesses", AutoScalingGroupName="g", ScalingProcesses=["AddToLoadBalancer"])
    bench.auto("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=1)
    (instance_id,) = bench.run()
    assert bench.states() == {instance_id: "InService"}
    assert bench.asked(Register) == []


def scale_in(bench: Grouped) -> None:
    bench.auto("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=0)


def test_an_instance_drains_before_its_hooks_and_its_end(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    bench.auto(
        "PutLifecycleHook",
        AutoScalingGroupName="g",
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    bench.tell(TargetHealth(bench.arn, instance_id, healthy=True))
    scale_in(bench)
    assert bench.asked(Deregister) == [Deregister(bench.arn, instance_id)]
    assert bench.states() == {instance_id: "Terminating"}
    assert bench.statuses()[0] == "WaitingForELBConnectionDraining"
    bench.kept()
    bench.tell(Deregistered(bench.arn, instance_id))
    assert bench.states() == {instance_id: "Terminating:Wait"}
    assert bench.asked(Terminate) == []


def test_draining_takes_the_deregistration_delay_at_most(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    scale_in(bench)
    bench.later(299)
    assert bench.asked(Terminate) == []
    bench.later(1)
    assert bench.asked(Terminate) == [Terminate(instance_id)]
    bench.tell(Removed(instance_id))
    assert bench.states() == {}
    assert bench.statuses()[0] == "Successful"


def test_every_target_group_has_to_be_drained(bench: Grouped) -> None:
    second = bench.target_group("second")
    bench.listener(bench.balancer("other"), second)
    source = {"Identifier": second, "Type": "elbv2"}
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn], TrafficSources=[source])
    assert bench.asked(Register) == [Register(bench.arn, instance_id, 8080), Register(second, instance_id, 8080)]
    scale_in(bench)
    bench.tell(Deregistered(second, instance_id))
    assert bench.asked(Terminate) == []
    bench.tell(Deregistered(bench.arn, instance_id))
    assert bench.asked(Terminate) == [Terminate(instance_id)]


def test_what_dies_while_it_drains_is_not_waited_for(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    scale_in(bench)
    bench.tell(Removed(instance_id, reason="killed"))
    assert bench.states() == {}
    assert bench.health(bench.arn) == {}


def test_a_target_group_that_nobody_uses_is_not_waited_for(bench: Grouped) -> None:
    idle = bench.target_group("idle")
    (instance_id,) = bench.group(TargetGroupARNs=[idle])
    scale_in(bench)
    assert bench.asked(Terminate) == [Terminate(instance_id)]


def test_force_deletes_do_not_wait(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    bench.auto(
        "PutLifecycleHook",
        AutoScalingGroupName="g",
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    bench.auto("DeleteAutoScalingGroup", AutoScalingGroupName="g", ForceDelete=True)
    assert bench.asked(Terminate) == [Terminate(instance_id)]
    # Nor does the end of draining bring hooks up again.
    bench.tell(Deregistered(bench.arn, instance_id))
    bench.tell(Removed(instance_id))
    assert bench.auto("DescribeAutoScalingGroups")["AutoScalingGroups"] == []


def test_standby_drains_and_comes_back(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    bench.asked(Register)
    there = {"AutoScalingGroupName": "g", "InstanceIds": [instance_id]}
    bench.auto("EnterStandby", ShouldDecrementDesiredCapacity=True, **there)
    assert bench.states() == {instance_id: "EnteringStandby"}
    assert bench.asked(Deregister) == [Deregister(bench.arn, instance_id)]
    bench.tell(Deregistered(bench.arn, instance_id))
    assert bench.states() == {instance_id: "Standby"}
    bench.auto("ExitStandby", **there)
    assert bench.asked(Register) == [Register(bench.arn, instance_id, 8080)]
    assert bench.states() == {instance_id: "InService"}


def test_a_detached_instance_drains_before_it_is_nobodys_and_an_attached_one_is_registered(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    there = {"AutoScalingGroupName": "g", "InstanceIds": [instance_id]}
    bench.auto("DetachInstances", ShouldDecrementDesiredCapacity=True, **there)
    assert bench.states() == {instance_id: "Detaching"}
    bench.later(300)
    assert bench.states() == {}
    assert bench.health(bench.arn) == {}
    bench.asked(Register)
    bench.auto("AttachInstances", **there)
    assert bench.asked(Register) == [Register(bench.arn, instance_id, 8080)]
    assert bench.states() == {instance_id: "InService"}


def replaced(bench: Grouped) -> list[str]:
    """Those on their way out."""
    return [instance_id for instance_id, state in bench.states().items() if state == "Terminating"]


def test_what_fails_its_health_check_is_replaced_after_its_grace(bench: Grouped) -> None:
    good, bad = bench.group(2, TargetGroupARNs=[bench.arn], HealthCheckType="ELB", HealthCheckGracePeriod=60)
    bench.tell(TargetHealth(bench.arn, good, healthy=True), TargetHealth(bench.arn, bad, healthy=False))
    bench.later(59)
    assert replaced(bench) == []
    # In time again, it is spared.
    bench.tell(TargetHealth(bench.arn, bad, healthy=True))
    bench.later(1)
    assert replaced(bench) == []
    # Afterwards it is replaced as soon as it fails, though not before everyone is warm.
    bench.later(300)
    bench.tell(TargetHealth(bench.arn, bad, healthy=False))
    assert replaced(bench) == [bad]
    assert bench.asked(Deregister) == [Deregister(bench.arn, bad)]
    activities = bench.auto("DescribeScalingActivities", AutoScalingGroupName="g")["Activities"]
    causes = [activity["Cause"] for activity in activities]
    assert any("in response to an ELB system health check failure." in cause for cause in causes)


def test_without_elb_health_checks_nothing_is_replaced_until_there_are(bench: Grouped) -> None:
    good, bad = bench.group(2, TargetGroupARNs=[bench.arn])
    bench.later(300)
    bench.tell(TargetHealth(bench.arn, good, healthy=True), TargetHealth(bench.arn, bad, healthy=False))
    assert replaced(bench) == []
    bench.auto("UpdateAutoScalingGroup", AutoScalingGroupName="g", HealthCheckType="ELB", HealthCheckGracePeriod=60)
    assert replaced(bench) == [bad]


def test_a_failing_health_check_is_told_to_the_group(bench: Grouped) -> None:
    good, bad = bench.group(2, TargetGroupARNs=[bench.arn], HealthCheckType="ELB", HealthCheckGracePeriod=300)
    bench.tell(TargetHealth(bench.arn, good, healthy=True), TargetHealth(bench.arn, bad, healthy=False))
    assert (bench.failing(good), bench.failing(bad)) == ([], [bench.arn])
    bench.tell(TargetHealth(bench.arn, bad, healthy=True))
    assert bench.failing(bad) == []
    # A listener that goes takes its verdicts with it.
    bench.tell(TargetHealth(bench.arn, bad, healthy=False))
    (listener,) = bench.elb("DescribeListeners", LoadBalancerArn=bench.balancer())["Listeners"]
    bench.elb("DeleteListener", ListenerArn=listener["ListenerArn"])
    assert bench.failing(bad) == []


def test_an_attached_target_group_counts_once_an_instance_passed(bench: Grouped) -> None:
    one, other = bench.group(2, HealthCheckType="ELB", HealthCheckGracePeriod=300)
    bench.auto("AttachLoadBalancerTargetGroups", AutoScalingGroupName="g", TargetGroupARNs=[bench.arn])
    assert [action.instance_id for action in bench.asked(Register)] == [one, other]
    assert bench.attached() == {bench.arn: "Adding"}
    bench.tell(TargetHealth(bench.arn, one, healthy=False), TargetHealth(bench.arn, other, healthy=False))
    assert bench.attached() == {bench.arn: "Added"}
    assert bench.failing(one) == []
    bench.kept()
    bench.tell(TargetHealth(bench.arn, other, healthy=True))
    assert bench.attached() == {bench.arn: "InService"}
    assert (bench.failing(one), bench.failing(other)) == ([bench.arn], [])


def test_without_elb_health_checks_an_attached_target_group_stays_added(bench: Grouped) -> None:
    (one,) = bench.group()
    bench.auto("AttachTrafficSources", AutoScalingGroupName="g", TrafficSources=[{"Identifier": bench.arn}])
    bench.tell(TargetHealth(bench.arn, one, healthy=True))
    assert bench.sources() == {bench.arn: ("elbv2", "Added")}
    # It is in service as soon as the group looks at it.
    bench.auto("UpdateAutoScalingGroup", AutoScalingGroupName="g", HealthCheckType="ELB", HealthCheckGracePeriod=0)
    assert bench.sources() == {bench.arn: ("elbv2", "InService")}


def test_a_detached_target_group_drains_and_the_instances_stay(bench: Grouped) -> None:
    (instance_id,) = bench.group(TargetGroupARNs=[bench.arn])
    bench.auto("DetachLoadBalancerTargetGroups", AutoScalingGroupName="g", TargetGroupARNs=[bench.arn])
    assert bench.attached() == {bench.arn: "Removing"}
    assert bench.sources() == {bench.arn: ("elbv2", "Removing")}
    assert bench.asked(Deregister) == [Deregister(bench.arn, instance_id)]
    bench.tell(Deregistered(bench.arn, instance_id))
    assert bench.attached() == {}
    assert bench.states() == {instance_id: "InService"}
    # It can be attached again.
    bench.auto("AttachLoadBalancerTargetGroups", AutoScalingGroupName="g", TargetGroupARNs=[bench.arn])
    assert bench.health(bench.arn)[instance_id][0] == "initial"


def test_all_that_sends_requests_is_described(bench: Grouped) -> None:
    bench.group(0, TargetGroupARNs=[bench.arn], LoadBalancerNames=["old"])
    second = bench.target_group("second")
    bench.auto(
        "AttachTrafficSources",
        AutoScalingGroupName="g",
        TrafficSources=[{"Identifier": second, "Type": "elbv2"}, {"Identifier": "lattice", "Type": "vpc-lattice"}],
    )
    assert bench.sources() == {
        bench.arn: ("elbv2", "InService"),
        "old": ("elb", "Added"),
        second: ("elbv2", "Added"),
        "lattice": ("vpc-lattice", "Added"),
    }
    assert list(bench.sources(TrafficSourceType="elbv2")) == [bench.arn, second]
    # Each call shows what calls of its kind attached.
    assert list(bench.attached()) == [bench.arn]
    bench.auto("AttachLoadBalancers", AutoScalingGroupName="g", LoadBalancerNames=["old", "older"])
    bench.auto("DetachLoadBalancers", AutoScalingGroupName="g", LoadBalancerNames=["old"])
    answer = bench.auto("DescribeLoadBalancers", AutoScalingGroupName="g")
    assert answer["LoadBalancers"] == [{"LoadBalancerName": "older", "State": "Added"}]
    bench.auto("DetachTrafficSources", AutoScalingGroupName="g", TrafficSources=[{"Identifier": second}])
    assert list(bench.sources(TrafficSourceType="elbv2")) == [bench.arn]


def test_what_is_refused(bench: Grouped) -> None:
    bench.group(0)
    there = {"AutoScalingGroupName": "g"}
    missing = "Provided Target Groups may not be valid. Please ensure they exist and try again."
    attach = bench.refused("autoscaling", "AttachLoadBalancerTargetGroups", TargetGroupARNs=["x"], **there)
    assert attach == ("ValidationError", missing)
    source = [{"Identifier": "x", "Type": "elbv2"}]
    assert bench.refused("autoscaling", "AttachTrafficSources", TrafficSources=source, **there)[1] == missing
    created = {"LaunchConfigurationName": "lc", "MinSize": 0, "MaxSize": 1, "AvailabilityZones": ["us-east-1a"]}
    new = {"AutoScalingGroupName": "new", **created}
    assert bench.refused("autoscaling", "CreateAutoScalingGroup", TargetGroupARNs=["x"], **new)[1] == missing
    assert bench.refused("autoscaling", "CreateAutoScalingGroup", TrafficSources=source, **new)[1] == missing
    assert bench.refused("autoscaling", "DetachLoadBalancerTargetGroups", TargetGroupARNs=[bench.arn], **there) == (
        "ValidationError",
        "Trying to remove Target Groups that are not part of the group",
    )
    assert bench.refused("autoscaling", "DetachLoadBalancers", LoadBalancerNames=["x"], **there) == (
        "ValidationError",
        "Trying to remove Load Balancers that are not part of the group",
    )
    assert bench.refused("autoscaling", "DetachTrafficSources", TrafficSources=source, **there)[0] == "ValidationError"
    kind = [{"Identifier": "x", "Type": "carrier-pigeon"}]
    assert bench.refused("autoscaling", "AttachTrafficSources", TrafficSources=kind, **there)[0] == "ValidationError"
    assert bench.refused("autoscaling", "DescribeTrafficSources", AutoScalingGroupName="none")[0] == "ValidationError"
