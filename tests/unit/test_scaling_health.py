"""Health: what is replaced, when, and what is spared."""

from __future__ import annotations

import pytest
from scaling_world import World, refused

from parity.model.scaling.groups import health
from parity.model.scaling.world import Checked, Removed, Stopped, Terminate


def fail(world: World, *ids: str) -> None:
    """A load balancer's health check of some instances fails."""
    for instance_id in ids:
        member = world.of().members[instance_id]
        member.failing = ["tg"]
        health.review(world.region, world.of(), member)
    world.run()


def test_an_instance_that_dies_is_replaced_even_in_grace():
    world = World().configured().group(DesiredCapacity=1, HealthCheckGracePeriod=300)
    first = world.ids()[0]
    world.run(10, Removed(first))

    assert world.states() == ["InService"]
    assert world.ids() != [first]
    launch, terminate = world.activities()[:2]
    if launch["Description"].startswith("Terminating"):
        launch, terminate = terminate, launch
    assert terminate["Cause"] == (
        "At 2026-11-25T18:00:10Z an instance was taken out of service in response to an EC2 health check indicating it "
        "has been terminated or stopped."
    )
    assert launch["Cause"] == (
        "At 2026-11-25T18:00:10Z an instance was launched in response to an unhealthy instance needing to be replaced."
    )


def test_an_instance_that_stops_is_terminated_and_replaced():
    world = World().configured().group(DesiredCapacity=1)
    first = world.ids()[0]
    done = world.run(10, Stopped(first))
    assert Terminate(first) in done
    assert world.states() == ["InService"]


def test_an_instance_that_dies_before_it_is_in_service_is_a_cancelled_launch():
    world = World().configured().group()
    world.put_hook("ready")
    world.resize(1)
    first = world.ids()[0]
    world.run(1, Removed(first))

    assert first not in world.ids()
    told = next(one for one in world.activities() if first in one["Description"])
    assert told["StatusCode"] == "Cancelled"
    assert told["StatusMessage"].startswith(
        "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
    )


def test_what_a_user_says_of_health_counts_from_the_end_of_grace_unless_told_otherwise():
    world = World().configured().group(DesiredCapacity=1, HealthCheckGracePeriod=300)
    first = world.ids()[0]
    world.run(299)
    world.call("SetInstanceHealth", InstanceId=first, HealthStatus="Unhealthy")
    world.run()
    assert world.ids() == [first]

    world.call("SetInstanceHealth", InstanceId=first, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    world.run()
    assert first not in world.ids()
    assert "in response to a user health-check." in world.activities()[0]["Cause"] + world.activities()[1]["Cause"]
    assert refused(world, "SetInstanceHealth", InstanceId="i-1", HealthStatus="Unhealthy") == (
        "ValidationError",
        "Instance Id not found - No managed instance found for instance ID: i-1",
    )


def test_an_instance_that_hangs_is_spared_until_grace_is_over():
    world = World().configured().group(DesiredCapacity=1, HealthCheckGracePeriod=60)
    first = world.ids()[0]
    world.run(10, Checked(first, healthy=False))
    assert world.ids() == [first]
    world.run(49)
    assert world.ids() == [first]
    world.run(1)
    assert first not in world.ids()


def test_an_instance_that_answers_again_before_grace_is_over_stays():
    world = World().configured().group(DesiredCapacity=1, HealthCheckGracePeriod=60)
    first = world.ids()[0]
    world.run(10, Checked(first, healthy=False))
    world.run(10, Checked(first, healthy=True))
    world.run(100)
    assert world.ids() == [first]


def test_load_balancers_count_only_where_the_group_says_so():
    world = World().configured().group(DesiredCapacity=1)
    fail(world, *world.ids())
    assert len(world.activities()) == 1

    world = World().configured().group(DesiredCapacity=1, HealthCheckType="ELB")
    first = world.ids()[0]
    fail(world, first)
    assert first not in world.ids()


def test_a_tenth_is_replaced_at_a_time_and_the_next_waits_for_warmth():
    world = World().configured()
    world.group(DesiredCapacity=20, MaxSize=20, HealthCheckType="ELB", DefaultInstanceWarmup=120)
    world.run(200)
    old = world.ids()[:5]
    fail(world, *old)

    assert len(set(old) & set(world.ids())) == 3
    world.run(119)
    assert len(set(old) & set(world.ids())) == 3
    world.run(1)
    assert len(set(old) & set(world.ids())) == 1
    world.run(120)
    assert len(set(old) & set(world.ids())) == 0


@pytest.mark.parametrize("process", ["HealthCheck", "ReplaceUnhealthy", "Terminate"])
def test_suspended_nobody_is_replaced_and_resumed_the_dead_are(process):
    world = World().configured().group(DesiredCapacity=1)
    first = world.ids()[0]
    world.call("SuspendProcesses", AutoScalingGroupName="g", ScalingProcesses=[process])
    world.run(10, Removed(first))
    assert world.ids() == [first]

    world.call("ResumeProcesses", AutoScalingGroupName="g", ScalingProcesses=[process])
    world.run()
    assert world.states() == ["InService"]
    assert world.ids() != [first]


def test_protection_does_not_help_the_unhealthy():
    world = World().configured().group(DesiredCapacity=1, NewInstancesProtectedFromScaleIn=True)
    first = world.ids()[0]
    world.run(10, Removed(first))
    assert first not in world.ids()
