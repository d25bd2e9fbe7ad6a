"""What is replaced, and what comes first: for health, for age, and before EC2 takes an instance back."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from scaling_world import World, refused

from parity.model.scaling import region
from parity.model.scaling.world import Checked, Input, Rebalance, Removed, SpotNotice, Terminate

DAY_S = 86_400


def sick(world: World, *ids: str) -> None:
    for instance_id in ids:
        world.call("SetInstanceHealth", InstanceId=instance_id, HealthStatus="Unhealthy")


def policy(least: int, most: int, **more: Any) -> World:
    stated = {"MinHealthyPercentage": least, "MaxHealthyPercentage": most}
    return World().configured().group(InstanceMaintenancePolicy=stated, **{"DesiredCapacity": 4, **more})


def test_there_is_a_part_for_every_fact():
    assert set(get_args(Input)) == set(region._FACTS)


# Health.


def test_without_a_policy_an_unhealthy_instance_is_terminated_first():
    world = World().configured().group(DesiredCapacity=4)
    world.lazy = True
    sick(world, world.ids()[0])
    world.run()
    assert sorted(world.states()) == ["InService", "InService", "InService", "Pending", "Terminating"]


def test_with_a_lower_bound_of_all_another_is_launched_first():
    world = policy(100, 125)
    world.lazy = True
    bad = world.ids()[0]
    sick(world, bad)
    asked = world.run()
    assert sorted(world.states()) == ["InService"] * 4 + ["Pending"]
    world.lazy = False
    done = world.run(1, *world.answers(asked))
    assert Terminate(bad) in done
    assert world.states() == ["InService"] * 4
    assert {one["Cause"].split(" in response to ")[1] for one in world.activities()[:2]} == {
        "a user health-check.",
        f"a user health-check.  At 2026-11-25T18:00:01Z instance {bad} was selected for termination.",
    }


def test_the_upper_bound_is_kept_to():
    world = policy(100, 125)
    world.lazy = True
    sick(world, *world.ids()[:2])
    world.run()
    assert len(world.ids()) == 5
    world.lazy = False


def test_with_a_lower_bound_of_less_it_is_terminated_first_and_one_after_the_other():
    world = policy(75, 100)
    world.lazy = True
    sick(world, *world.ids()[:2])
    world.run()
    assert world.states().count("Terminating") == 1
    assert world.states().count("InService") == 3


def test_bounds_that_leave_no_room_have_one_launched_first_all_the_same():
    world = policy(100, 100, DesiredCapacity=1)
    world.lazy = True
    sick(world, *world.ids())
    world.run()
    assert world.states() == ["InService", "Pending"]


def test_an_instance_that_does_not_run_is_nothing_to_keep():
    world = policy(100, 125)
    world.lazy = True
    world.run(1, Removed(world.ids()[0]))
    assert sorted(world.states()) == ["InService"] * 3 + ["Pending"]


def test_status_checks_that_fail_have_an_instance_replaced():
    world = World().configured().group(DesiredCapacity=1)
    hung = world.ids()[0]
    world.run(10, Checked(hung, healthy=False))
    assert world.states() == ["InService"]
    assert hung not in world.ids()


def test_a_stand_in_that_fails_is_replaced_and_the_old_one_stays_until_then():
    world = policy(100, 200, DesiredCapacity=1, DefaultInstanceWarmup=60)
    world.run(60)
    old = world.ids()[0]
    sick(world, old)
    world.run()
    first = world.ids()[1]
    world.run(30, Removed(first))
    assert old in world.ids()
    assert first not in world.ids()
    assert len(world.ids()) == 2
    world.run(60)
    assert old not in world.ids()
    assert world.states() == ["InService"]


# Age.


def test_an_instance_is_replaced_at_the_end_of_its_lifetime():
    world = World().configured().group(DesiredCapacity=1, MaxInstanceLifetime=DAY_S)
    first = world.ids()[0]
    world.run(DAY_S - 1)
    assert world.ids() == [first]
    world.run(1)
    assert world.states() == ["InService"]
    assert world.ids() != [first]
    assert any("maximum lifetime" in one["Cause"] for one in world.activities())
    second = world.ids()[0]
    world.run(DAY_S)
    assert world.ids() != [second]


@pytest.mark.parametrize(("size", "at_once"), [(4, 1), (20, 2)])
def test_a_tenth_of_them_at_a_time(size, at_once):
    world = World().configured().group(MaxSize=size, DesiredCapacity=size, MaxInstanceLifetime=DAY_S)
    world.lazy = True
    world.run(DAY_S)
    assert world.states().count("InService") == size - at_once
    world.lazy = False


def test_all_are_replaced_in_the_end():
    world = World().configured().group(DesiredCapacity=7, MaxInstanceLifetime=DAY_S)
    before = set(world.ids())
    world.run(DAY_S)
    assert not before & set(world.ids())
    assert world.states() == ["InService"] * 7


def test_with_a_policy_the_new_one_comes_first():
    world = policy(100, 200, DesiredCapacity=1, MaxInstanceLifetime=DAY_S)
    world.lazy = True
    world.run(DAY_S)
    assert world.states() == ["InService", "Pending"]


def test_a_lifetime_that_is_set_later_counts_for_those_that_are_there():
    world = World().configured().group(DesiredCapacity=1)
    first = world.ids()[0]
    world.run(2 * DAY_S)
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", MaxInstanceLifetime=DAY_S)
    world.run()
    assert first not in world.ids()
    second = world.ids()
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", MaxInstanceLifetime=0)
    world.run(2 * DAY_S)
    assert world.ids() == second


def test_a_lifetime_of_less_than_a_day_is_refused():
    world = World().configured().group()
    code, _ = refused(world, "UpdateAutoScalingGroup", AutoScalingGroupName="g", MaxInstanceLifetime=DAY_S - 1)
    assert code == "ValidationError"


# Spot.


def spot(**more: Any) -> World:
    return World().configured(SpotPrice="0.1").group(**{"DesiredCapacity": 2, **more})


def test_two_minutes_after_the_notice_an_instance_is_taken_back():
    world = spot()
    one = world.ids()[0]
    world.run(10, SpotNotice(one))
    instance = world.region.state.instances[one]
    assert instance.spot_action_us == world.now_us + 120_000_000
    assert Terminate(one) not in world.run(119)
    assert one in world.ids()
    done = world.run(1)
    assert Terminate(one) in done
    assert instance.reason.startswith("Server.SpotInstanceTermination")
    assert one not in world.ids()
    assert world.states() == ["InService"] * 2


def test_it_is_taken_back_whatever_the_group_does():
    world = spot(NewInstancesProtectedFromScaleIn=True)
    world.put_hook("bye", "TERMINATING")
    world.call("SuspendProcesses", AutoScalingGroupName="g")
    one = world.ids()[0]
    world.run(0, SpotNotice(one))
    assert Terminate(one) in world.run(120)
    assert world.region.state.instances[one].state == "terminated"


def test_a_group_that_rebalances_launches_first():
    world = spot(CapacityRebalance=True)
    one = world.ids()[0]
    world.lazy = True
    asked = world.run(0, Rebalance(one))
    assert world.region.state.instances[one].rebalance_us == world.now_us
    assert sorted(world.states()) == ["InService", "InService", "Pending"]
    world.lazy = False
    done = world.run(5, *world.answers(asked))
    assert Terminate(one) in done
    assert world.states() == ["InService"] * 2
    assert any("rebalance recommendation" in each["Cause"] for each in world.activities())


def test_one_that_does_not_rebalance_waits_for_what_comes():
    world = spot()
    world.run(0, Rebalance(world.ids()[0]))
    assert world.states() == ["InService"] * 2
    assert world.region.state.instances[world.ids()[0]].rebalance_us == world.now_us


def test_it_goes_no_more_than_a_tenth_beyond_the_desired_capacity():
    world = spot(CapacityRebalance=True, DesiredCapacity=4)
    world.lazy = True
    world.run(0, *(Rebalance(one) for one in world.ids()))
    assert world.states().count("Pending") == 1
    world.lazy = False


def test_all_that_are_at_risk_are_replaced_in_the_end():
    world = spot(CapacityRebalance=True, DesiredCapacity=4)
    before = set(world.ids())
    world.run(0, *(Rebalance(one) for one in world.ids()))
    assert not before & set(world.ids())
    assert world.states() == ["InService"] * 4


def test_one_that_is_taken_back_before_its_successor_is_there_is_replaced_once():
    world = spot(CapacityRebalance=True)
    world.put_hook("ready", HeartbeatTimeout=600)
    one = world.ids()[0]
    world.run(0, SpotNotice(one))
    assert sorted(world.states()) == ["InService", "InService", "Pending:Wait"]
    world.run(120)
    assert sorted(world.states()) == ["InService", "Pending:Wait"]
