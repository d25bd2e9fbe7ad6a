"""Lifecycle hooks: statements 9 to 11 of docs/scaling.md."""

from __future__ import annotations

from datetime import timedelta

import given


def waiting(world):
    """A group whose second instance waits for a hook of an hour. Returns it, the instance, and since when."""
    group = given.group(world, sizes=(0, 3, 1))
    before = group.ids()
    group.hook("LAUNCHING", heartbeat_s=3600)
    group.resize(2)
    world.until(lambda: group.states() == ["InService", "Pending:Wait"])
    (instance_id,) = group.ids() - before
    return group, instance_id, world.now()


def state_of(group, instance_id):
    return group.instances().get(instance_id, {}).get("LifecycleState")


def is_cancelled(group, instance_id):
    """It is gone, and the activity that brought it in was cancelled."""
    if instance_id in group.ids():
        return False
    launching = [a for a in group.activities(instance_id) if a["Description"].startswith("Launching")]
    return [a["StatusCode"] for a in launching] == ["Cancelled"]


def test_09_a_hook_that_nobody_completes_has_the_instance_replaced(world):
    # Given an instance that waits for a hook
    group, first, began = waiting(world)
    (activity,) = group.activities(first)
    assert activity["StatusCode"] == "MidLifecycleAction"
    # When an hour passes
    world.advance_to(began + timedelta(seconds=3600 - 60))
    assert state_of(group, first) == "Pending:Wait"
    world.advance_to(began + timedelta(seconds=3600 + 5))
    # I expect it cancelled, and another in its place
    world.until(lambda: is_cancelled(group, first) and group.states() == ["InService", "Pending:Wait"], within_s=60)
    assert group.desired == 2


def test_10_grace_begins_when_the_hook_is_completed(world):
    # Given a group with 300 s of grace, and an instance that waited for its hook much longer
    group, instance_id, began = waiting(world)
    world.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group.name, HealthCheckGracePeriod=300)
    world.advance_to(began + timedelta(seconds=1000))
    assert state_of(group, instance_id) == "Pending:Wait"
    # When the hook is completed
    world.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName=group.name,
        LifecycleHookName="hook",
        InstanceId=instance_id,
        LifecycleActionResult="CONTINUE",
    )
    world.until(lambda: group.states() == ["InService", "InService"], within_s=30)
    in_service = world.now()

    def report() -> None:
        """As a health check of one's own does, which grace holds for."""
        world.autoscaling.set_instance_health(
            InstanceId=instance_id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=True
        )

    # I expect 300 s of grace from there
    for after_s in (0, 240):
        world.advance_to(in_service + timedelta(seconds=after_s))
        report()
        assert state_of(group, instance_id) == "InService"
        assert group.instances()[instance_id]["HealthStatus"] == "Healthy"
    world.advance_to(in_service + timedelta(seconds=305))
    report()
    world.until(lambda: instance_id not in group.ids())


def test_11_a_heartbeat_starts_the_hour_again(world):
    group, instance_id, began = waiting(world)
    world.advance_to(began + timedelta(seconds=1800))
    world.autoscaling.record_lifecycle_action_heartbeat(
        AutoScalingGroupName=group.name, LifecycleHookName="hook", InstanceId=instance_id
    )
    world.advance_to(began + timedelta(seconds=5400 - 60))
    assert state_of(group, instance_id) == "Pending:Wait"
    world.advance_to(began + timedelta(seconds=5400 + 15))
    world.until(lambda: is_cancelled(group, instance_id), within_s=30)
