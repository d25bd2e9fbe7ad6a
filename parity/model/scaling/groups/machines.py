"""Instances as EC2 has them: asked for, running, stopped, gone. Whose they are is no matter here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from parity.model.scaling.region import Region, fact, timer
from parity.model.scaling.state import SECOND_US, Instance
from parity.model.scaling.world import Launch, LaunchFailed, Removed, Running, Start, Stop, Stopped, Terminate

#: EC2 shows a terminated instance for about an hour.
SHOWN_AFTER_END_US = 3600 * SECOND_US
GROUP_TAG = "aws:autoscaling:groupName"

#: Called when an instance runs, for the first time or again.
ON_RUNNING: list[Callable[[Region, Instance], None]] = []
#: Called with message and code when an instance could not be started; one that never ran is forgotten already.
ON_FAILED: list[Callable[[Region, Instance, str, str], None]] = []
#: Called when an instance does not run any more: stopped or gone, asked for or not.
ON_DOWN: list[Callable[[Region, Instance], None]] = []


def start(
    region: Region,
    *,
    image_id: str,
    instance_type: str,
    zone: str,
    subnet_id: str,
    user_data: str = "",
    key_name: str = "",
    spot: bool = False,
    group: str = "",
    tags: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Instance:
    """Ask for a new instance.

    Args:
        region: Where.
        image_id: As stated: an `ami-...` or what the world knows as an image.
        instance_type: As stated.
        zone: The availability zone.
        subnet_id: The subnet in it.
        user_data: Base64.
        key_name: As stated.
        spot: Whether EC2 may take it back.
        group: The Auto Scaling group it is for.
        tags: On the instance.
        extra: What is kept under EC2's own names.
    """
    instance = Instance(
        instance_id=region.new_id("i-"),
        image_id=image_id,
        instance_type=instance_type,
        zone=zone,
        subnet_id=subnet_id,
        launched_us=region.now_us,
        user_data=user_data,
        key_name=key_name,
        spot=spot,
        group=group,
        tags=dict(tags or {}),
        extra=dict(extra or {}),
    )
    region.state.instances[instance.instance_id] = instance
    region.act(launch_of(instance))
    return instance


def room(region: Region) -> int:
    """How many more instances the account may have."""
    every, most = region.state.instances, region.state.instances_max
    # The exact number takes time, and seldom matters.
    here = len(every) if len(every) < most else sum(one.state != "terminated" for one in every.values())
    return max(0, most - here)


def no_room(region: Region, count: int) -> str:
    """What EC2 says where an account has as many instances as it may."""
    return (
        f"You have requested more instances ({count}) than your current instance limit of "
        f"{region.state.instances_max} allows for the specified instance type. Please visit "
        "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
    )


def launch_of(instance: Instance) -> Launch:
    """What asks the world for an instance; the same each time."""
    return Launch(
        instance_id=instance.instance_id,
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        zone=instance.zone,
        subnet_id=instance.subnet_id,
        user_data=instance.user_data,
        group=instance.group,
        tags=dict(instance.tags),
    )


def terminate(region: Region, instance_id: str, reason: str = "User initiated") -> bool:
    """Have an instance go. Says whether it is still to be waited for."""
    instance = region.state.instances.get(instance_id)
    if instance is None or instance.state == "terminated":
        return False
    if instance.state != "shutting-down":
        instance.state, instance.reason = "shutting-down", _reason(region, reason)
        region.act(Terminate(instance_id))
    return True


def stop(region: Region, instance_id: str) -> None:
    """Have a running instance stop and stay."""
    instance = region.state.instances[instance_id]
    if instance.state in {"pending", "running"}:
        instance.state, instance.reason = "stopping", _reason(region, "User initiated")
        region.act(Stop(instance_id))


def start_again(region: Region, instance_id: str) -> None:
    """Have a stopped instance run again."""
    instance = region.state.instances[instance_id]
    if instance.state == "stopped":
        instance.state, instance.reason, instance.launched_us = "pending", "", region.now_us
        region.act(Start(instance_id))


def join_group(instance: Instance, group: str) -> None:
    """Say whose an instance is, where deploy tools look for it."""
    instance.group = group
    instance.tags[GROUP_TAG] = group


def leave_group(instance: Instance) -> None:
    """Make an instance nobody's."""
    instance.group = ""
    instance.tags.pop(GROUP_TAG, None)


def down(instance: Instance | None) -> bool:
    """Whether an instance is in a state that EC2's health check does not let pass."""
    return instance is None or instance.state not in {"pending", "running"}


def _reason(region: Region, what: str) -> str:
    """Why an instance changed, as EC2 says it: `User initiated (2026-11-25 18:00:00 GMT)`."""
    time = datetime.fromtimestamp(region.now_us // SECOND_US, UTC)
    return f"{what} ({time:%Y-%m-%d %H:%M:%S} GMT)"


@fact(Running)
def take_running(region: Region, told: Running) -> None:
    """An instance runs. One that nobody asked for, or that is not wanted any more, has to go."""
    instance = region.state.instances.get(told.instance_id)
    if instance is None or instance.state == "terminated":
        region.act(Terminate(told.instance_id))
        return
    instance.private_ip = told.private_ip or instance.private_ip
    instance.image_digest = told.image_digest or instance.image_digest
    if instance.state != "pending":
        return
    instance.state, instance.ran, instance.ok = "running", True, True
    for tell in ON_RUNNING:
        tell(region, instance)


@fact(LaunchFailed)
def take_failed(region: Region, told: LaunchFailed) -> None:
    """An instance could not be started: it is as if it had never been, or as stopped as it was."""
    instance = region.state.instances.get(told.instance_id)
    if instance is None or instance.state == "terminated":
        return
    if instance.state == "shutting-down":
        _end(region, instance, told.message)
        return
    if instance.ran:
        instance.state, instance.reason = "stopped", told.message
    else:
        del region.state.instances[told.instance_id]
    for tell in ON_FAILED:
        tell(region, instance, told.message, told.code)


@fact(Stopped)
def take_stopped(region: Region, told: Stopped) -> None:
    """An instance does not run any more and is still there."""
    instance = region.state.instances.get(told.instance_id)
    if instance is None or instance.state in {"terminated", "shutting-down", "stopped"}:
        return
    instance.state, instance.reason = "stopped", told.reason or instance.reason
    for tell in ON_DOWN:
        tell(region, instance)


@fact(Removed)
def take_removed(region: Region, told: Removed) -> None:
    """Nothing is left of an instance."""
    instance = region.state.instances.get(told.instance_id)
    if instance and instance.state != "terminated":
        _end(region, instance, told.reason)


def _end(region: Region, instance: Instance, reason: str) -> None:
    instance.state, instance.reason = "terminated", reason or instance.reason
    instance.ended_us = region.now_us
    region.at(region.now_us + SHOWN_AFTER_END_US, "forget-instance", instance.instance_id)
    for tell in ON_DOWN:
        tell(region, instance)


@timer("forget-instance")
def forget(region: Region, instance_id: str) -> None:
    """EC2 does not show it any more; while a group still has it, what it was is needed."""
    instance = region.state.instances.get(instance_id)
    if instance and instance.state == "terminated":
        group = region.state.groups.get(instance.group)
        if group and (instance_id in group.members or (group.warm_pool and instance_id in group.warm_pool.members)):
            region.at(region.now_us + SHOWN_AFTER_END_US, "forget-instance", instance_id)
            return
        del region.state.instances[instance_id]
        region.state.tags.pop(instance_id, None)
