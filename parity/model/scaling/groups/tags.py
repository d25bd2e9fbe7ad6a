"""Tags of groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups.shown import tags_shown, unknown_filter
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Group, Tag

TAGS_MAX = 50
PAGE, PAGE_MAX = 50, 100
FILTERS = {
    "auto-scaling-group": "ResourceId",
    "key": "Key",
    "value": "Value",
    "propagate-at-launch": "PropagateAtLaunch",
}


def checked(given: Iterable[Mapping[str, Any]], group: str) -> dict[str, Tag]:
    """The tags that a call gives one group.

    Raises:
        ServiceError: One of them cannot be.
    """
    tags: dict[str, Tag] = {}
    for tag in given:
        key = tag["Key"]
        if key.lower().startswith("aws:"):
            raise ServiceError("ValidationError", "aws: prefixed tag key names are not allowed for external use.")
        if tag.get("ResourceId", group) != group:
            raise ServiceError("ValidationError", f"Invalid resource ID {tag['ResourceId']} for the tag {key}.")
        if key in tags:
            raise ServiceError("ValidationError", f"Duplicate tag keys found: {key}")
        tags[key] = Tag(value=tag.get("Value") or "", propagate=bool(tag.get("PropagateAtLaunch", False)))
    _check_number(len(tags))
    return tags


def _check_number(number: int) -> None:
    if number > TAGS_MAX:
        raise ServiceError("LimitExceeded", f"Only {TAGS_MAX} tags are allowed per AutoScalingGroup.")


@operation("autoscaling", "CreateOrUpdateTags")
def create(region: Region, request: Request) -> Answer:
    """Tag groups. Instances that are there keep the tags they have."""
    given = _by_group(region, request)
    added = [(group, checked(tags, group.name)) for group, tags in given]
    for group, tags in added:
        _check_number(len({**group.tags, **tags}))
    for group, tags in added:
        group.tags.update(tags)
        region.touch(group)
    return {}


@operation("autoscaling", "DeleteTags")
def delete(region: Region, request: Request) -> Answer:
    """Take tags from groups: of a key, and where a value is stated too, only with that value."""
    for group, tags in _by_group(region, request):
        for tag in tags:
            found = group.tags.get(tag["Key"])
            if found and tag.get("Value") in {None, found.value}:
                del group.tags[tag["Key"]]
        region.touch(group)
    return {}


def _by_group(region: Region, request: Request) -> list[tuple[Group, list[Mapping[str, Any]]]]:
    tags: dict[str, list[Mapping[str, Any]]] = {}
    for tag in request["Tags"]:
        if tag.get("ResourceType", "auto-scaling-group") != "auto-scaling-group":
            raise ServiceError("ValidationError", f"Invalid resource type: {tag['ResourceType']}")
        tags.setdefault(tag.get("ResourceId") or "", []).append(tag)
    if missing := [name for name in tags if name not in region.state.groups]:
        raise ServiceError("ValidationError", f"AutoScalingGroup not found - AutoScaling Group {missing[0]} not found")
    return [(region.state.groups[name], given) for name, given in tags.items()]


@operation("autoscaling", "DescribeTags", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """Tags of all groups that the filters let through."""
    filters = request.get("Filters") or ()
    if unknown := [one.get("Name") for one in filters if one.get("Name") not in FILTERS]:
        raise unknown_filter(str(unknown[0]), FILTERS)
    found = [
        tag
        for _, group in sorted(region.state.groups.items())
        for tag in tags_shown(group)
        if all(_text(tag[FILTERS[one["Name"]]]) in (one.get("Values") or ()) for one in filters)
    ]
    limit = min(request.get("MaxRecords") or PAGE, PAGE_MAX)
    tags, after = page(
        found, token=request.get("NextToken"), limit=limit, key=lambda tag: f"{tag['ResourceId']}:{tag['Key']}"
    )
    return {"Tags": tags, **({"NextToken": after} if after else {})}


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value).lower()
