"""Tags of EC2's resources."""

from __future__ import annotations

from collections.abc import Iterator

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import check_tag_count, describing, given_tags, page_of, refuse_dry_run
from parity.model.scaling.ec2.images import shown_images
from parity.model.scaling.ec2.instances import instances_of
from parity.model.scaling.ec2.security_groups import changeable, checked, every_group
from parity.model.scaling.ec2.subnets import vpc_id
from parity.model.scaling.ec2.templates import template_of
from parity.model.scaling.region import Answer, Region, Request, operation

#: Kinds of resources by the first part of their ids.
KINDS = {
    "ami": "image",
    "i": "instance",
    "key": "key-pair",
    "lt": "launch-template",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
}
Row = tuple[str, str, str, str]


@operation("ec2", "CreateTags")
def _create(region: Region, request: Request) -> Answer:
    put = given_tags(request["Tags"])
    all_tags = [_tags_of(region, resource_id) for resource_id in request["Resources"]]
    for tags in all_tags:
        check_tag_count({**tags, **put})
    refuse_dry_run(request)
    for resource_id, tags in zip(request["Resources"], all_tags, strict=True):
        tags.update(put)
        _keep(region, resource_id, tags)
    return {}


@operation("ec2", "DeleteTags")
def _delete(region: Region, request: Request) -> Answer:
    all_tags = [_tags_of(region, resource_id) for resource_id in request["Resources"]]
    given = request.get("Tags")
    for tag in given or ():
        given_tags([{"Key": tag.get("Key", "")}])
    refuse_dry_run(request)
    for resource_id, tags in zip(request["Resources"], all_tags, strict=True):
        if given is None:
            gone = [key for key in tags if not key.startswith("aws:")]
        else:
            # With a value stated, a tag of another value stays.
            gone = [tag["Key"] for tag in given if "Value" not in tag or tags.get(tag["Key"]) == tag["Value"]]
        for key in gone:
            tags.pop(key, None)
        _keep(region, resource_id, tags)
    return {}


@describing("DescribeTags")
def _describe(region: Region, request: Request) -> Answer:
    rows = filters.chosen(_rows(region), request.get("Filters"), _FIELDS, tags=lambda row: {row[2]: row[3]})
    shown, after = page_of(rows, request, key=lambda row: f"{row[0]}/{row[2]}", smallest=5)
    names = ("ResourceId", "ResourceType", "Key", "Value")
    return {"Tags": [dict(zip(names, row, strict=True)) for row in shown], **after}


def _kind(resource_id: str) -> str:
    return KINDS.get(resource_id.partition("-")[0], "")


def _rows(region: Region) -> Iterator[Row]:
    """All tags: whose, of what kind, key and value."""
    state = region.state
    tagged = {
        **{image.image_id: image.tags for image in shown_images(region)},
        **{instance.instance_id: instance.tags for instance in state.instances.values()},
        **{template.template_id: template.tags for template in state.launch_templates.values()},
        **{group_id: group.tags for group_id, group in every_group(region).items()},
        **{pair.key_pair_id: pair.tags for pair in state.key_pairs.values()},
        **state.tags,
    }
    for resource_id, tags in tagged.items():
        for key, value in tags.items():
            yield resource_id, _kind(resource_id), key, value


def _tags_of(region: Region, resource_id: str) -> dict[str, str]:
    """A resource's tags, to be changed.

    Raises:
        ServiceError: There is no such resource.
    """
    kind = _kind(resource_id)
    if kind == "instance":
        return instances_of(region, [resource_id])[0].tags
    if kind == "launch-template":
        return template_of(region, {"LaunchTemplateId": resource_id}).tags
    if kind == "image":
        for image in shown_images(region):
            if image.image_id == resource_id:
                return image.tags
        raise ServiceError("InvalidAMIID.NotFound", f"The image id '[{resource_id}]' does not exist")
    if kind == "security-group":
        return checked(region, resource_id).tags
    if kind == "key-pair" and resource_id in region.state.key_pairs:
        return region.state.key_pairs[resource_id].tags
    network = {vpc_id(region), *(zone.subnet_id for zone in region.state.zones)}
    if resource_id not in network:
        raise ServiceError("InvalidID", f"The ID '{resource_id}' is not valid")
    return region.state.tags.get(resource_id, {})


def _keep(region: Region, resource_id: str, tags: dict[str, str]) -> None:
    """Keep the tags of a resource that is not kept itself, or not yet."""
    if _kind(resource_id) in ("subnet", "vpc"):
        region.state.tags[resource_id] = tags
    elif _kind(resource_id) == "security-group":
        changeable(region, resource_id).tags = tags


_FIELDS: filters.Fields[Row] = {
    "key": lambda row: [row[2]],
    "resource-id": lambda row: [row[0]],
    "resource-type": lambda row: [row[1]],
    "value": lambda row: [row[3]],
}
