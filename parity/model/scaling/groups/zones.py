"""Availability zones: which a group uses, and where the next instance goes."""

from __future__ import annotations

from parity.errors import ServiceError
from parity.model.scaling.region import Region, Request, fact, timer
from parity.model.scaling.state import SECOND_US, Group, Zone
from parity.model.scaling.world import ZoneState

#: M: AWS says that it waits longer after each failed launch, not how long. Ours doubles from 15 s to 15 minutes.
RETRY_FIRST_S = 15
RETRY_LAST_S = 900


def of_region(region: str, letters: str = "abc") -> list[Zone]:
    """The zones of a new region, with a subnet in each; the same ones each time."""
    return [
        Zone(
            name=f"{region}{letter}",
            zone_id=f"{_short(region)}-az{number}",
            subnet_id=f"subnet-{number:017x}",
            cidr=f"172.31.{(number - 1) * 16}.0/20",
        )
        for number, letter in enumerate(letters, 1)
    ]


def _short(region: str) -> str:
    """A region's name as the ids of its zones have it: `use1` of `us-east-1`."""
    parts = region.split("-")
    return "".join([parts[0], *(part[0] for part in parts[1:-1]), parts[-1]])


def by_name(region: Region, name: str) -> Zone | None:
    """A zone, where there is one of that name."""
    return next((zone for zone in region.state.zones if zone.name == name), None)


def chosen(region: Region, request: Request) -> tuple[list[str], list[str]] | None:
    """The zones and subnets that a call states for its group; None where it states none.

    Raises:
        ServiceError: There is no such zone or subnet, or the two do not go together.
    """
    names = _named_zones(region, request)
    subnets = [text.strip() for text in (request.get("VPCZoneIdentifier") or "").split(",") if text.strip()]
    if not subnets:
        return (names, []) if names else None
    known = {zone.subnet_id: zone.name for zone in region.state.zones}
    if unknown := [subnet for subnet in subnets if subnet not in known]:
        raise ServiceError("ValidationError", f"The subnet ID '{unknown[0]}' does not exist")
    theirs = list(dict.fromkeys(known[subnet] for subnet in subnets))
    if names and set(names) != set(theirs):
        raise ServiceError(
            "ValidationError",
            "The availability zones of the specified subnets and the Auto Scaling group do not match",
        )
    return theirs, subnets


def _named_zones(region: Region, request: Request) -> list[str]:
    names, ids = request.get("AvailabilityZones") or [], request.get("AvailabilityZoneIds") or []
    if names and ids:
        raise ServiceError("ValidationError", "You cannot specify both AvailabilityZones and AvailabilityZoneIds.")
    by_id = {zone.zone_id: zone.name for zone in region.state.zones}
    known = set(by_id.values())
    found = [by_id.get(zone_id, zone_id) for zone_id in ids] or list(names)
    if unknown := [name for name in found if name not in known]:
        raise ServiceError("ValidationError", f"Invalid availability zones: [{', '.join(unknown)}]")
    return list(dict.fromkeys(found))


def subnet_in(region: Region, group: Group, zone: str) -> str:
    """The subnet that a group's instances in a zone are in."""
    inside = [one.subnet_id for one in region.state.zones if one.name == zone]
    return next((subnet for subnet in group.subnets if subnet in inside), inside[0] if inside else "")


def usable(region: Region, group: Group) -> list[str]:
    """The group's zones where a launch may be tried now."""
    return [zone for zone in group.zones if zone not in group.avoided or group.avoided[zone][1] <= region.now_us]


def emptiest(group: Group, names: list[str]) -> str:
    """The zone with the least capacity; of several, the first as the group has them."""
    return min(names, key=lambda name: group.in_zones.get(name, 0))


def avoid(region: Region, group: Group, names: list[str]) -> None:
    """Pass zones over for a while, twice as long each time."""
    for name in names:
        failures = group.avoided.get(name, (0, 0))[0] + 1
        retry_s = min(RETRY_FIRST_S * 2 ** min(failures - 1, 16), RETRY_LAST_S)
        retry_us = region.now_us + retry_s * SECOND_US
        group.avoided[name] = (failures, retry_us)
        region.at(retry_us, "retry", group.name)
    region.touch(group)


def in_order(region: Region, group: Group, name: str) -> None:
    """A launch in a zone came to life: it is like the others again."""
    if group.avoided.pop(name, None):
        region.touch(group)


@timer("retry")
def retry(region: Region, name: str) -> None:
    """A zone may be tried again."""
    if group := region.state.groups.get(name):
        region.touch(group)


@fact(ZoneState)
def take_zone(region: Region, told: ZoneState) -> None:
    """A zone takes launches again, or none any more."""
    zone = by_name(region, told.zone)
    if zone is None or zone.available == told.available:
        return
    zone.available = told.available
    for group in region.state.groups.values():
        if told.zone in group.zones:
            group.avoided.pop(told.zone, None)
            region.touch(group)
