"""An instance refresh as it stands: its preferences, how far it is, and what it waits for. Nothing is changed here."""

from __future__ import annotations

from parity.model.scaling.groups import capacity
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.region import Region
from parity.model.scaling.replacing.maintenance import Bounds
from parity.model.scaling.state import Group, Member, Refresh

PENDING, RUNNING, BAKING = "Pending", "InProgress", "Baking"
CANCELLING, CANCELLED = "Cancelling", "Cancelled"
SUCCESSFUL, FAILED = "Successful", "Failed"
ROLLING_BACK, ROLLED_BACK, ROLLBACK_FAILED = "RollbackInProgress", "RollbackSuccessful", "RollbackFailed"
STANDBY = ("EnteringStandby", "Standby")


# Preferences.


def bounds_of(refresh: Refresh) -> Bounds:
    """What a refresh keeps of its group.

    Where the bounds leave no room for even one, a largest percentage that is stated has one launched first; where none
    is stated, one is terminated first. Source: `MaxHealthyPercentage` of `RefreshPreferences`.
    """
    stated = refresh.preferences
    most = stated.get("MaxHealthyPercentage")
    return Bounds(
        least=stated["MinHealthyPercentage"],
        most=100 if most is None else most,
        launches_first=most is not None,
        warmup_s=stated["InstanceWarmup"],
    )


def checkpoints(refresh: Refresh) -> list[int]:
    """The percentages that a refresh pauses at."""
    return list(refresh.preferences.get("CheckpointPercentages") or ())


def alarm_names(refresh: Refresh) -> list[str]:
    """The alarms that a refresh fails with."""
    return list((refresh.preferences.get("AlarmSpecification") or {}).get("Alarms") or ())


def treatment(refresh: Refresh, member: Member) -> str:
    """What is done with a member: `Refresh`, `Terminate`, `Ignore` or `Wait`."""
    if member.lifecycle in STANDBY:
        return str(refresh.preferences["StandbyInstances"])
    return str(refresh.preferences["ScaleInProtectedInstances"]) if member.protected else "Refresh"


# How far it is.


def done_of(region: Region, group: Group, refresh: Refresh) -> int:
    """How many instances are replaced: by such as are ready."""
    begun = refresh.total - len(group.outdated)
    if begun == 0:
        return 0
    coming = len(capacity.warming(region, group, refresh.preferences["InstanceWarmup"]))
    missing = max(0, group.desired - group.capacity)
    return max(refresh.done, begun - coming - missing)


def percent(region: Region, group: Group, refresh: Refresh) -> int:
    """How far a refresh is; in a rollback, how much of it is not rolled back."""
    if refresh.ended_us is not None:
        return refresh.percent
    if refresh.status == PENDING:
        return 0
    done = done_of(region, group, refresh)
    if refresh.rollback is None:
        return done * 100 // refresh.total if refresh.total else 100
    before: int = refresh.rollback["PercentageCompleteOnRollback"]
    return -(-before * (refresh.total - done) // refresh.total) if refresh.total else 0


def to_update(group: Group, refresh: Refresh) -> int:
    """How many instances are still to be updated; in a rollback, how many never were."""
    if refresh.ended_us is not None:
        return refresh.to_update
    if refresh.rollback:
        return int(refresh.rollback["InstancesToUpdateOnRollback"])
    return sum(one not in group.replacing for one in group.outdated)


# What it waits for.


def waiting_for(region: Region, group: Group, refresh: Refresh) -> str:
    """What a refresh waits for, as its status reason; empty where it does not.

    M: of warming, coming and protected instances AWS's own words are known; the others are ours.
    """
    if refresh.status == BAKING:
        return f"Waiting for the bake time of {refresh.preferences['BakeTime']} seconds to pass."
    if refresh.waits_until_us is not None:
        share = checkpoints(refresh)[refresh.checkpoint - 1]
        return f"Waiting for the checkpoint delay to pass. {share} percent of the instances are replaced."
    if suspended(group, "InstanceRefresh"):
        return "Waiting for the InstanceRefresh process to be resumed."
    coming = capacity.warming(region, group, refresh.preferences["InstanceWarmup"])
    if young := [member.instance_id for member in coming if member.lifecycle == "InService"]:
        return f"Waiting for instances to warm up before continuing. For example: {young[0]} is warming up."
    return _missing(group, refresh, coming)


def _missing(group: Group, refresh: Refresh, coming: list[Member]) -> str:
    for_example = "Waiting for remaining instances to be available. For example:"
    if coming:
        return f"{for_example} {coming[0].instance_id} has insufficient data to evaluate its health with Amazon EC2."
    for instance_id in group.outdated:
        member = group.members[instance_id]
        if treatment(refresh, member) == "Wait":
            if member.lifecycle in STANDBY:
                return f"{for_example} {instance_id} is in Standby. Return it to service to continue."
            return f"{for_example} {instance_id} is protected. Remove instance scale-in protection to continue."
    return ""
