"""The cooldown of a group: what simple policies, and calls that honor it, wait for."""

from __future__ import annotations

from parity.errors import ServiceError
from parity.model.scaling.region import Region
from parity.model.scaling.state import SECOND_US, Group, Policy


def cooling(region: Region, group: Group) -> bool:
    """Whether simple policies have to wait: for an activity under way, whatever began it, or the cooldown after one."""
    return bool(group.under_way) or bool(group.blocking) or region.now_us < group.cooldown_until_us


def check(region: Region, group: Group) -> None:
    """Refuse a call that honors the cooldown.

    Raises:
        ServiceError: There is something to wait for.
    """
    if cooling(region, group):
        under_way = next(iter(group.under_way), "")
        last = under_way or (group.activities[-1].activity_id if group.activities else "")
        raise ServiceError(
            "ScalingActivityInProgress", f"Scaling activity {last} is in progress and blocks this action"
        )


def begin(group: Group, policy: Policy) -> None:
    """A simple policy has changed the capacity: its cooldown begins when all activities are over."""
    group.blocking = [policy.name]


def end_of_activities(region: Region, group: Group) -> None:
    """Begin the cooldown if a simple policy's activities are over."""
    if group.blocking and not group.under_way:
        policy = group.policies.get(group.blocking[0])
        cooldown_s = policy.given.get("Cooldown", group.cooldown_s) if policy else group.cooldown_s
        group.blocking = []
        group.cooldown_until_us = region.now_us + cooldown_s * SECOND_US
