"""Warm pools: filled, drawn on, given back to, deleted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aws_shapes import check_answer, check_request
from scaling_world import World, refused

from parity.model.scaling.state import State
from parity.model.scaling.world import LaunchFailed, Notify, Removed, Start, Stop, Stopped, Terminate


def put(world: World, **request: Any) -> None:
    request = {"AutoScalingGroupName": "g", **request}
    check_request("autoscaling", "PutWarmPool", request)
    world.call("PutWarmPool", **request)
    world.run()


def pool(world: World) -> dict[str, Any]:
    answer = world.call("DescribeWarmPool", AutoScalingGroupName="g")
    check_answer("autoscaling", "DescribeWarmPool", answer)
    return answer


def warmed(world: World) -> list[str]:
    return [one["LifecycleState"] for one in pool(world)["Instances"]]


def ids(world: World) -> list[str]:
    return [one["InstanceId"] for one in pool(world)["Instances"]]


def warm(**more: Any) -> World:
    return World().configured().group(**{"DesiredCapacity": 2, "MaxSize": 5, **more})


def descriptions(world: World) -> list[str]:
    return [one["Description"] for one in world.activities()]


# Its size.


@pytest.mark.parametrize(
    ("request_", "size"),
    [
        ({}, 3),
        ({"MinSize": 4}, 4),
        ({"MaxGroupPreparedCapacity": 3}, 1),
        ({"MaxGroupPreparedCapacity": 1}, 0),
        ({"MaxGroupPreparedCapacity": 1, "MinSize": 2}, 2),
    ],
)
def test_it_holds_what_the_group_may_still_grow_by(request_, size):
    world = warm()
    put(world, **request_)
    assert warmed(world) == ["Warmed:Stopped"] * size
    assert world.states() == ["InService"] * 2
    assert world.shown().get("WarmPoolSize") == size


def test_it_follows_the_size_of_the_group():
    world = warm()
    put(world)
    world.resize(1)
    assert len(ids(world)) == 4
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", MaxSize=2)
    world.run()
    assert len(ids(world)) == 1


def test_what_is_stated_is_shown_and_minus_one_takes_it_back():
    world = warm()
    put(world, MaxGroupPreparedCapacity=4, PoolState="Running", InstanceReusePolicy={"ReuseOnScaleIn": True})
    assert pool(world)["WarmPoolConfiguration"] == {
        "MinSize": 0,
        "PoolState": "Running",
        "MaxGroupPreparedCapacity": 4,
        "InstanceReusePolicy": {"ReuseOnScaleIn": True},
    }
    put(world, MaxGroupPreparedCapacity=-1)
    assert "MaxGroupPreparedCapacity" not in pool(world)["WarmPoolConfiguration"]
    assert len(ids(world)) == 3


@pytest.mark.parametrize("state", ["Stopped", "Running", "Hibernated"])
def test_its_members_come_into_its_state(state):
    world = warm()
    put(world, PoolState=state, MaxGroupPreparedCapacity=3)
    assert warmed(world) == [f"Warmed:{state}"]
    instance = world.region.state.instances[ids(world)[0]]
    assert instance.state == ("running" if state == "Running" else "stopped")
    assert descriptions(world)[0] == f"Launching a new EC2 instance into warm pool: {ids(world)[0]}"
    told = world.call("DescribeAutoScalingInstances", InstanceIds=ids(world))["AutoScalingInstances"]
    assert [one["LifecycleState"] for one in told] == [f"Warmed:{state}"]


# Out of it, and back.


def test_a_group_that_grows_takes_from_it_and_it_is_filled_up_again():
    world = warm()
    put(world)
    before = ids(world)
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=4)
    done = world.run()
    assert world.states() == ["InService"] * 4
    taken = [one for one in before if one in world.ids()]
    assert len(taken) == 2
    assert {one.instance_id for one in done if isinstance(one, Start)} == set(taken)
    assert f"Launching a new EC2 instance from warm pool: {taken[0]}" in descriptions(world)
    assert len(ids(world)) == 1


def test_one_that_runs_is_in_service_at_once():
    world = warm()
    put(world, PoolState="Running")
    world.lazy = True
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=3)
    world.run()
    assert world.states() == ["InService"] * 3


def test_where_it_is_empty_instances_are_launched_as_ever():
    world = warm()
    put(world, MaxGroupPreparedCapacity=3)
    world.resize(5)
    assert world.states() == ["InService"] * 5
    assert sum("from warm pool" in text for text in descriptions(world)) == 1


def test_scale_in_gives_back_where_that_is_asked_for():
    world = warm(DesiredCapacity=3)
    put(world, MaxGroupPreparedCapacity=3, InstanceReusePolicy={"ReuseOnScaleIn": True})
    before = world.ids()
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=2)
    done = world.run()
    back = ids(world)
    assert warmed(world) == ["Warmed:Stopped"]
    assert set(back) == set(before) - set(world.ids())
    assert [one for one in done if isinstance(one, Terminate)] == []
    assert Stop(back[0]) in done
    world.resize(3)
    assert set(world.ids()) == set(before)


def test_scale_in_terminates_where_nothing_is_said():
    world = warm(DesiredCapacity=3)
    put(world, MaxGroupPreparedCapacity=3)
    before = world.ids()
    world.resize(2)
    assert not set(ids(world)) & set(before)


def test_what_is_unhealthy_is_not_given_back():
    world = warm()
    put(world, InstanceReusePolicy={"ReuseOnScaleIn": True})
    bad = world.ids()[0]
    world.call("SetInstanceHealth", InstanceId=bad, HealthStatus="Unhealthy")
    world.run()
    assert bad not in [*world.ids(), *ids(world)]


# Hooks.


def test_hooks_are_waited_for_on_the_way_in_and_on_the_way_out_of_it():
    world = warm()
    world.put_hook("ready")
    put(world, MaxGroupPreparedCapacity=3)
    one = ids(world)[0]
    assert warmed(world) == ["Warmed:Pending:Wait"]
    world.complete("ready", one)
    world.run()
    assert warmed(world) == ["Warmed:Stopped"]
    world.resize(3)
    assert world.of().members[one].lifecycle == "Pending:Wait"
    world.complete("ready", one)
    world.run()
    assert world.of().members[one].lifecycle == "InService"


def test_a_hook_that_nobody_answers_gives_the_instance_up_and_another_comes():
    world = warm()
    world.put_hook("ready", HeartbeatTimeout=60)
    put(world, MaxGroupPreparedCapacity=3)
    one = ids(world)[0]
    world.run(60)
    assert one not in ids(world)
    assert warmed(world) == ["Warmed:Pending:Wait"]
    assert "Cancelled" in [each["StatusCode"] for each in world.activities() if one in each["Description"]]


def test_a_hook_that_is_deleted_is_waited_for_no_more():
    world = warm()
    world.put_hook("bye", "TERMINATING")
    put(world, MaxGroupPreparedCapacity=3)
    put(world, MaxGroupPreparedCapacity=2)
    assert warmed(world) == ["Warmed:Terminating:Wait"]
    world.call("DeleteLifecycleHook", AutoScalingGroupName="g", LifecycleHookName="bye")
    world.run()
    assert warmed(world) == []


def test_who_is_told_of_a_hook_is_told_between_which_places_the_instance_goes():
    world = warm(DesiredCapacity=3)
    told = {"NotificationTargetARN": "arn:aws:sqs:us-east-1:000000000000:q", "HeartbeatTimeout": 60}
    world.put_hook("in", DefaultResult="CONTINUE", **told)
    world.put_hook("out", "TERMINATING", **told)
    world.run()
    places = []

    def note(actions: list[Any]) -> None:
        messages = [one.message for one in actions if isinstance(one, Notify)]
        places.extend((one["Origin"], one["Destination"]) for one in messages)

    world.call(
        "PutWarmPool",
        AutoScalingGroupName="g",
        MaxGroupPreparedCapacity=4,
        InstanceReusePolicy={"ReuseOnScaleIn": True},
    )
    note(world.run() + world.run(60))
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=4)
    note(world.run() + world.run(60))
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=3)
    note(world.run() + world.run(60))
    assert places == [("EC2", "WarmPool"), ("WarmPool", "AutoScalingGroup"), ("AutoScalingGroup", "WarmPool")]
    assert warmed(world) == ["Warmed:Stopped"]


# What goes wrong.


def test_a_member_that_is_lost_is_replaced():
    world = warm()
    put(world, MaxGroupPreparedCapacity=3)
    first = ids(world)[0]
    world.run(1, Removed(first))
    assert first not in ids(world)
    assert warmed(world) == ["Warmed:Stopped"]

    put(world, PoolState="Running", MaxGroupPreparedCapacity=4)
    running = next(one for one in ids(world) if world.of().warm_pool.members[one].lifecycle == "Warmed:Running")
    world.run(1, Stopped(running))
    assert running not in ids(world)
    assert len(ids(world)) == 2


def test_one_that_does_not_start_again_is_gone_and_another_is_launched():
    world = warm()
    put(world, MaxGroupPreparedCapacity=3)
    one = ids(world)[0]
    world.lazy = True
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=3)
    world.run()
    world.lazy = False
    done = world.run(1, LaunchFailed(one, "No capacity.", "InsufficientInstanceCapacity"))
    assert Terminate(one) in done
    world.run(60)
    assert world.states() == ["InService"] * 3
    assert one not in world.ids()


def test_a_launch_into_it_that_fails_is_tried_again():
    world = warm()
    world.broken["us-east-1a"] = ("No capacity.", "InsufficientInstanceCapacity")
    put(world, MaxGroupPreparedCapacity=3)
    assert warmed(world) == []
    assert world.activities()[0]["StatusCode"] == "Failed"
    world.broken.clear()
    world.run(60)
    assert warmed(world) == ["Warmed:Stopped"]


# Its end.


def test_it_is_deleted_when_it_is_empty_or_by_force():
    world = warm()
    put(world, MaxGroupPreparedCapacity=3)
    assert refused(world, "DeleteWarmPool", AutoScalingGroupName="g")[0] == "ResourceInUse"
    one = ids(world)[0]
    world.lazy = True
    world.call("DeleteWarmPool", AutoScalingGroupName="g", ForceDelete=True)
    world.run()
    assert pool(world)["WarmPoolConfiguration"]["Status"] == "PendingDelete"
    world.run(1, Removed(one))
    assert pool(world) == {"Instances": []}
    assert "WarmPoolConfiguration" not in world.shown()
    code, message = refused(world, "DeleteWarmPool", AutoScalingGroupName="g")
    assert (code, message.startswith("No warm pool found")) == ("ValidationError", True)


def test_a_group_is_not_deleted_before_its_pool_is_empty():
    world = warm(DesiredCapacity=0)
    put(world, MaxGroupPreparedCapacity=1)
    assert refused(world, "DeleteAutoScalingGroup", AutoScalingGroupName="g")[0] == "ResourceInUse"
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g", ForceDelete=True)
    world.run()
    assert world.region.state.groups == {}
    assert [one.state for one in world.region.state.instances.values()] == ["terminated"]


def test_an_instance_refresh_renews_it_after_the_group():
    world = warm(DesiredCapacity=1)
    put(world, MaxGroupPreparedCapacity=3)
    world.configured("new", ImageId="ami-2")
    before = ids(world)
    world.run(60)
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", LaunchConfigurationName="new")
    world.call("StartInstanceRefresh", AutoScalingGroupName="g", Preferences={"InstanceWarmup": 60})
    world.run(1)
    assert ids(world) == before
    world.run(60)
    assert not set(ids(world)) & set(before)
    assert {one["LaunchConfigurationName"] for one in [*pool(world)["Instances"], *world.shown()["Instances"]]} == {
        "new"
    }
    told = world.call("DescribeInstanceRefreshes", AutoScalingGroupName="g")["InstanceRefreshes"][0]
    assert (told["Status"], told["ProgressDetails"]["WarmPoolProgress"]["PercentageComplete"]) == ("Successful", 100)


def test_it_survives_being_written_and_read():
    world = warm()
    world.put_hook("ready")
    put(world, MaxGroupPreparedCapacity=3)
    world.region.state = msgspec.json.decode(msgspec.json.encode(world.region.state), type=State)
    world.complete("ready", ids(world)[0])
    world.run()
    assert warmed(world) == ["Warmed:Stopped"]


@pytest.mark.parametrize("request_", [{"PoolState": "Paused"}, {"MinSize": -1}, {"MaxGroupPreparedCapacity": -2}])
def test_what_cannot_be_is_refused(request_):
    world = warm()
    assert refused(world, "PutWarmPool", AutoScalingGroupName="g", **request_)[0] == "ValidationError"


def test_spot_instances_cannot_be_kept_warm():
    world = World().configured(SpotPrice="0.1").group()
    assert "Spot" in refused(world, "PutWarmPool", AutoScalingGroupName="g")[1]
