"""The longest time an instance may be in service: it is replaced at the end of that."""

from __future__ import annotations

from parity.model.scaling.groups import lifecycle
from parity.model.scaling.region import Region, settler
from parity.model.scaling.replacing import maintenance
from parity.model.scaling.replacing.maintenance import Bounds
from parity.model.scaling.state import SECOND_US, Group, Member

#: M: what the activity's cause says is not known from AWS; the words are its user guide's.
WHY = "an instance exceeding its maximum lifetime"
#: How much of the group is replaced at a time where one after the other would take too long.
AT_ONCE_PERCENT = 10


@settler
def replace(region: Region, group: Group) -> None:
    """Replace those that are in service for too long: one at a time, or a tenth of the group where several are due.

    M: an instance is replaced when its time is over; AWS may begin before that, so as not to have all due at once.
    """
    if not group.max_lifetime_s or group.deleting:
        return
    lifetime_us = group.max_lifetime_s * SECOND_US
    due: list[Member] = []
    for instance_id, entered_us in group.entered.items():
        if entered_us + lifetime_us > region.now_us:
            _look_again(region, group, entered_us + lifetime_us)
            break
        due.append(group.members[instance_id])
    if not due:
        return
    waiting = [member for member in due if member.instance_id not in group.replacing]
    limit = max(1, group.desired * AT_ONCE_PERCENT // 100) if len(due) > 1 else 1
    coming = lifecycle.number(group, *lifecycle.PENDING) + len(group.owed)
    warmup_s = group.warmup_s or 0
    bounds = maintenance.of_policy(group) or Bounds(0, 100, launches_first=False, warmup_s=warmup_s)
    maintenance.replace(region, group, waiting, WHY, bounds, limit=limit - coming)


def _look_again(region: Region, group: Group, due_us: int) -> None:
    """Look at the group again when the next one is due, once for each such time."""
    if group.lifetime_us != due_us:
        group.lifetime_us = due_us
        region.at(due_us, "retry", group.name)
