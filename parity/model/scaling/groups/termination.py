"""Termination policies: who goes when a group has too many. Pure choice; nothing is changed here.

Zones come first: whoever goes is from the zone with the most capacity that has somebody to go. Among the candidates of
that zone the group's policies decide one after the other, each among those that the one before it left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from parity.model.scaling.groups import launch
from parity.model.scaling.region import Region
from parity.model.scaling.state import SECOND_US, Group, LaunchSource, Member

HOUR_US = 3600 * SECOND_US
POLICIES = (
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
)
#: What a candidate is ordered by: the smallest goes.
Key = tuple[float | int | str, ...]


class Look(NamedTuple):
    """What a rule looks at: a candidate, in its group, now."""

    region: Region
    group: Group
    member: Member


Rule = Callable[[Look], Key]


def victims(region: Region, group: Group, candidates: Iterable[Member], count: int) -> list[Member]:
    """Who goes, in order.

    Args:
        region: Where.
        group: Whose.
        candidates: Who may go: none of them protected.
        count: How many are to go at most.
    """
    rules = _rules(group)
    zones: dict[str, list[tuple[Key, Member]]] = {}
    for member in candidates:
        look = Look(region, group, member)
        key: Key = tuple(part for rule in rules for part in rule(look))
        # Chance decides last. Ids are drawn, so their order is as good as a draw, and always the same.
        zones.setdefault(member.zone, []).append(((*key, member.instance_id), member))
    order = {zone: sorted(members, key=lambda pair: pair[0], reverse=True) for zone, members in zones.items()}
    return _by_zones(group, order, count)


def _by_zones(group: Group, order: dict[str, list[tuple[Key, Member]]], count: int) -> list[Member]:
    """From the fullest zone each; one that is none of the group's any more comes before all."""
    sizes = dict(group.in_zones)
    chosen: list[Member] = []
    while order and len(chosen) < count:
        # Of zones of one size, the one whose next candidate the policies would rather see gone.
        zone = min(order, key=lambda name: (name in group.zones, -sizes.get(name, 0), order[name][-1][0]))
        member = order[zone].pop()[1]
        sizes[zone] = sizes.get(zone, 0) - member.weight
        chosen.append(member)
        if not order[zone]:
            del order[zone]
    return chosen


def _rules(group: Group) -> list[Rule]:
    """What the group's policies come to: `Default` is always the last."""
    names = group.termination_policies or ["Default"]
    if "Default" not in names:
        names = [*names, "Default"]
    return [_RULES[name] for name in names if name in _RULES]


def _default(look: Look) -> Key:
    """From a launch configuration, from another template, of the oldest version, closest to the next hour."""
    source, wanted = look.member.source, launch.current(look.group)
    configured = bool(source.configuration)
    if wanted.configuration:
        rank, age = int(not configured), _configured_us(look)
    else:
        rank = 0 if configured else 1 if source.template_id != wanted.template_id else 2
        age = _configured_us(look) if configured else _version(source)
    return (rank, age, *_closest(look))


def _configured_us(look: Look) -> int:
    """When a launch configuration was made; one that is not there any more is older than all that are."""
    found = look.region.state.launch_configurations.get(look.member.source.configuration)
    return found.created_us if found else 0


def _version(source: LaunchSource) -> int:
    return int(source.version) if source.version.isdecimal() else 0


def _closest(look: Look) -> Key:
    """How long it is until another hour of the instance begins."""
    return (HOUR_US - (look.region.now_us - _launched_us(look)) % HOUR_US,)


def _launched_us(look: Look) -> int:
    instance = look.region.state.instances.get(look.member.instance_id)
    return instance.launched_us if instance else look.member.joined_us


def _oldest_configuration(look: Look) -> Key:
    """Those of launch configurations, the oldest first: it gets a group of templates rid of the older way."""
    return (0, _configured_us(look)) if look.member.source.configuration else (1, 0)


def _oldest_template(look: Look) -> Key:
    """Those not of the group's template, then the oldest version of it."""
    if look.member.source.template_id != launch.current(look.group).template_id:
        return (0, 0)
    return (1, _version(look.member.source))


#: `AllocationStrategy` has nothing to say: M, there is one type to choose. Nor has a function, which nobody calls.
_RULES: dict[str, Rule] = {
    "ClosestToNextInstanceHour": _closest,
    "Default": _default,
    "NewestInstance": lambda look: (-_launched_us(look),),
    "OldestInstance": lambda look: (_launched_us(look),),
    "OldestLaunchConfiguration": _oldest_configuration,
    "OldestLaunchTemplate": _oldest_template,
}
