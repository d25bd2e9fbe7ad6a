"""Spot instances: EC2 says that it needs one back, takes it two minutes later, and the group may be ahead of that."""

from __future__ import annotations

from parity.model.scaling.groups import capacity, lifecycle, machines
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.region import Region, fact, settler, timer
from parity.model.scaling.state import SECOND_US, Group, Instance
from parity.model.scaling.world import Rebalance, SpotNotice

#: Source: the EC2 user guide, "Spot Instance interruption notices".
NOTICE_S = 120
#: M: the words that AWS has for a launch on a recommendation are not known.
WHY = "an EC2 instance rebalance recommendation"
TAKEN_BACK = "Server.SpotInstanceTermination"
#: By how much of its desired capacity a group may be larger while it replaces what is at risk.
BEYOND_PERCENT = 10


@fact(SpotNotice)
def take_notice(region: Region, told: SpotNotice) -> None:
    """EC2 takes an instance back in two minutes, whatever anybody does."""
    instance = _living(region, told.instance_id)
    if instance is None or instance.spot_action_us is not None:
        return
    instance.spot_action_us = region.now_us + NOTICE_S * SECOND_US
    region.at(instance.spot_action_us, "spot-interruption", instance.instance_id)
    _at_risk(region, instance)


@fact(Rebalance)
def take_rebalance(region: Region, told: Rebalance) -> None:
    """EC2 may take an instance back soon."""
    instance = _living(region, told.instance_id)
    if instance is None or instance.rebalance_us is not None:
        return
    instance.rebalance_us = region.now_us
    _at_risk(region, instance)


def _living(region: Region, instance_id: str) -> Instance | None:
    instance = region.state.instances.get(instance_id)
    return instance if instance and instance.state in {"pending", "running"} else None


@timer("spot-interruption")
def interrupt(region: Region, instance_id: str) -> None:
    """The two minutes are over."""
    machines.terminate(region, instance_id, TAKEN_BACK)


def _at_risk(region: Region, instance: Instance) -> None:
    """Have a member replaced whose instance may go, where its group rebalances its capacity."""
    found = lifecycle.member_of(region, instance.instance_id)
    if found is None:
        return
    group, member = found
    if group.capacity_rebalance and member.lifecycle in lifecycle.COUNTED:
        group.at_risk[instance.instance_id] = True
    # What is shown of it changed anyway.
    region.touch(group)


@settler
def rebalance(region: Region, group: Group) -> None:
    """Launch in the place of what is at risk; that goes once the new instances are in service."""
    if not group.at_risk or group.deleting or suspended(group, "Launch") or suspended(group, "Terminate"):
        return
    room = group.desired + max(1, group.desired * BEYOND_PERCENT // 100) - group.capacity
    for instance_id in list(group.at_risk):
        member = group.members[instance_id]
        if member.instance_id in group.replacing:
            continue
        if room < member.weight or capacity.replace_first(region, group, member, WHY) is None:
            return
        room -= member.weight
