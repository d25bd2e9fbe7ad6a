"""What a region is doing, for people and scripts: `/_parity/status` and `/_parity/clock`."""

from __future__ import annotations

from typing import Any

from parity.aws.clock import Clock
from parity.aws.controller import Controller
from parity.aws.times import iso_time
from parity.model.scaling.state import Activity, Group, State

#: How many of a group's last activities are told.
ACTIVITIES = 10


def status(controller: Controller) -> dict[str, Any]:
    """The clock, and what there is of groups, instances, alarms and targets."""
    return {"clock": clock_status(controller.clock), **controller.look(_of_state)}


def clock_status(clock: Clock) -> dict[str, Any]:
    """The region's time, and how far it is ahead of real time."""
    now_us = clock.now_us()
    return {"now": iso_time(now_us), "now_us": now_us, "offset_s": round(clock.offset_us / 1e6, 3), "held": clock.held}


def _of_state(state: State) -> dict[str, Any]:
    return {
        "account_id": state.account_id,
        "region": state.region,
        "groups": [_of_group(state, group) for group in state.groups.values()],
        "alarms": [
            {"name": alarm.name, "state": alarm.state, "reason": alarm.reason, "updated": iso_time(alarm.updated_us)}
            for alarm in state.alarms.values()
        ],
        "target_groups": [
            {"name": group.name, "targets": {target.instance_id: target.state for target in group.targets.values()}}
            for group in state.target_groups.values()
        ],
    }


def _of_group(state: State, group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "min": group.min_size,
        "max": group.max_size,
        "desired": group.desired,
        "suspended": sorted(group.suspended),
        "instances": [
            {
                "id": member.instance_id,
                "lifecycle": member.lifecycle,
                "health": "Healthy" if member.healthy else "Unhealthy",
                "zone": member.zone,
                "address": state.instances[member.instance_id].private_ip
                if member.instance_id in state.instances
                else "",
                "protected": member.protected,
            }
            for member in group.members.values()
        ],
        "activities": [_of_activity(activity) for activity in _last_activities(group)],
        "schedules": {
            schedule.name: None if schedule.next_us is None else iso_time(schedule.next_us)
            for schedule in group.schedules.values()
        },
    }


def _last_activities(group: Group) -> list[Activity]:
    """Those under way, then those that ended, newest first."""
    return [*reversed(group.under_way.values()), *reversed(group.activities[-ACTIVITIES:])]


def _of_activity(activity: Activity) -> dict[str, Any]:
    return {
        "id": activity.activity_id,
        "description": activity.description,
        "status": activity.status,
        "message": activity.message,
        "cause": activity.cause,
        "started": iso_time(activity.started_us),
        "ended": None if activity.ended_us is None else iso_time(activity.ended_us),
    }
