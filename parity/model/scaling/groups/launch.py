"""What instances are launched from: launch configurations, and launch templates at a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.region import Region
from parity.model.scaling.state import Group, LaunchConfiguration, LaunchSource, LaunchTemplate, TemplateVersion

LATEST, DEFAULT = "$Latest", "$Default"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a launch source comes to at the moment.

    Args:
        source: The configuration, or the template with the number of its version.
        image_id: As stated.
        instance_type: As stated, or as an override of a mixed instances policy has it.
        user_data: Base64.
        key_name: As stated.
        tags: What the template puts on instances.
        spot: Whether spot instances are asked for.
        weight: How many units of the desired capacity an instance is.
        extra: What is kept of it under EC2's own names.
    """

    source: LaunchSource
    image_id: str
    instance_type: str
    user_data: str = ""
    key_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    spot: bool = False
    weight: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)


def resolve(region: Region, source: LaunchSource) -> Resolved:
    """What instances of a source are launched from now; `$Latest` and `$Default` are looked up.

    Raises:
        ServiceError: There is none such any more, or not enough is said in it.
    """
    if source.configuration:
        return _of_configuration(configuration_of(region, source.configuration))
    resolved = _of_template(region, source.template_id, source.version)
    override = _first_override(source.mixed)
    return resolved if override is None else _overridden(region, resolved, override)


def configuration_of(region: Region, name: str) -> LaunchConfiguration:
    """A launch configuration by name.

    Raises:
        ServiceError: There is none.
    """
    if name not in region.state.launch_configurations:
        raise ServiceError(
            "ValidationError", f"Launch configuration name not found - Launch configuration {name} not found"
        )
    return region.state.launch_configurations[name]


def template_of(region: Region, *, template_id: str = "", name: str = "") -> LaunchTemplate:
    """A launch template by id or by name.

    Raises:
        ServiceError: There is none.
    """
    templates = region.state.launch_templates
    if template_id:
        found, what = templates.get(template_id), f"template ID {template_id}"
    else:
        found, what = next((one for one in templates.values() if one.name == name), None), f"template name {name}"
    if found is None:
        raise ServiceError(
            "ValidationError",
            "You must use a valid fully-formed launch template. "
            f"The specified launch template, with {what}, does not exist.",
        )
    return found


def version_of(template: LaunchTemplate, stated: str) -> TemplateVersion:
    """A version of a template: a number, `$Latest`, or `$Default`, which an empty text is too.

    Raises:
        ServiceError: There is none.
    """
    numbers = {LATEST: max(template.versions), DEFAULT: template.default_version, "": template.default_version}
    number = numbers.get(stated) or (int(stated) if stated.isdecimal() else 0)
    if number not in template.versions:
        raise ServiceError(
            "ValidationError",
            "You must use a valid fully-formed launch template. Could not find the specified version "
            f"{stated} for the launch template with ID {template.template_id}.",
        )
    return template.versions[number]


def stated(region: Region, request: Mapping[str, Any]) -> LaunchSource | None:
    """The launch source that a call states for its group; None where it states none.

    Raises:
        ServiceError: It states several, or one that is not there or not enough.
    """
    keys = ("LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy", "InstanceId")
    given = [key for key in keys if request.get(key)]
    if len(given) > 1:
        raise ServiceError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    if not given:
        return None
    source = _source(region, given[0], request[given[0]])
    if given != ["InstanceId"]:
        resolve(region, source)
    return source


def _source(region: Region, key: str, value: Any) -> LaunchSource:
    if key == "LaunchConfigurationName":
        return LaunchSource(configuration=configuration_of(region, value).name)
    if key == "LaunchTemplate":
        return template_source(region, value)
    if key == "MixedInstancesPolicy":
        return mixed_source(region, value)
    # An instance is made into a launch configuration by whoever creates the group.
    return LaunchSource()


def template_source(region: Region, given: Mapping[str, Any]) -> LaunchSource:
    """The source that a `LaunchTemplateSpecification` is.

    Raises:
        ServiceError: It names none, or two at a time, or one that is not there.
    """
    template_id, name = given.get("LaunchTemplateId") or "", given.get("LaunchTemplateName") or ""
    if bool(template_id) == bool(name):
        raise ServiceError(
            "ValidationError", "Valid requests must contain either launchTemplateId or LaunchTemplateName"
        )
    template = template_of(region, template_id=template_id, name=name)
    version = given.get("Version") or DEFAULT
    version_of(template, version)
    return LaunchSource(template_id=template.template_id, version=version)


def mixed_source(region: Region, policy: Mapping[str, Any]) -> LaunchSource:
    """The source that a `MixedInstancesPolicy` is: its base template, and the policy itself.

    Raises:
        ServiceError: It has no template, or one that is not there.
    """
    given = (policy.get("LaunchTemplate") or {}).get("LaunchTemplateSpecification")
    if not given:
        raise ServiceError("ValidationError", "MixedInstancesPolicy must specify a LaunchTemplateSpecification.")
    source = template_source(region, given)
    source.mixed = dict(policy)
    return source


def specification(region: Region, source: LaunchSource) -> dict[str, str]:
    """A template's source as the API shows it; the name is missing once the template is gone."""
    shown = {"LaunchTemplateId": source.template_id}
    if template := region.state.launch_templates.get(source.template_id):
        shown["LaunchTemplateName"] = template.name
    return {**shown, "Version": source.version}


def _of_configuration(configuration: LaunchConfiguration) -> Resolved:
    return Resolved(
        source=LaunchSource(configuration=configuration.name),
        image_id=configuration.image_id,
        instance_type=configuration.instance_type,
        user_data=configuration.user_data,
        key_name=configuration.extra.get("KeyName", ""),
        spot=bool(configuration.extra.get("SpotPrice")),
        extra={
            key: configuration.extra[key] for key in ("MetadataOptions", "SecurityGroups") if key in configuration.extra
        },
    )


def _of_template(region: Region, template_id: str, stated_version: str) -> Resolved:
    template = template_of(region, template_id=template_id)
    version = version_of(template, stated_version)
    data = version.data
    if not data.get("ImageId"):
        raise ServiceError(
            "ValidationError",
            "You must use a valid fully-formed launch template. The request must contain the parameter ImageId",
        )
    tags = {
        tag["Key"]: tag.get("Value", "")
        for given in data.get("TagSpecifications") or ()
        if given.get("ResourceType") == "instance"
        for tag in given.get("Tags") or ()
    }
    market = data.get("InstanceMarketOptions") or {}
    return Resolved(
        source=LaunchSource(template_id=template_id, version=str(version.number)),
        image_id=data["ImageId"],
        # What EC2 takes where nothing is stated.
        instance_type=data.get("InstanceType") or "m1.small",
        user_data=data.get("UserData") or "",
        key_name=data.get("KeyName") or "",
        tags=tags,
        spot=market.get("MarketType") == "spot",
        extra={key: data[key] for key in ("MetadataOptions", "SecurityGroups", "SecurityGroupIds") if key in data},
    )


def _first_override(mixed: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    overrides = ((mixed or {}).get("LaunchTemplate") or {}).get("Overrides") or []
    return overrides[0] if overrides else None


def _overridden(region: Region, base: Resolved, override: Mapping[str, Any]) -> Resolved:
    """What a mixed instances policy's first choice makes of its base template. M: capacity of every type is there."""
    if given := override.get("LaunchTemplateSpecification"):
        source = template_source(region, given)
        base = _of_template(region, source.template_id, source.version)
    return Resolved(
        source=base.source,
        image_id=override.get("ImageId") or base.image_id,
        instance_type=override.get("InstanceType") or base.instance_type,
        user_data=base.user_data,
        key_name=base.key_name,
        tags=base.tags,
        spot=base.spot,
        weight=int(override.get("WeightedCapacity") or 1),
        extra=base.extra,
    )


def current(group: Group) -> LaunchSource:
    """What instances of a group are launched from now: what an instance refresh brings, while one does."""
    return group.refreshed_to or group.source


def spot_next(group: Group) -> bool:
    """Whether the next instance of a group with a mixed instances policy is a spot instance.

    The base is on demand; of what is above it, the stated percentage is, rounded up.
    """
    distribution = (current(group).mixed or {}).get("InstancesDistribution") or {}
    base = distribution.get("OnDemandBaseCapacity") or 0
    percentage = distribution.get("OnDemandPercentageAboveBaseCapacity")
    percentage = 100 if percentage is None else percentage
    size = group.capacity + 1
    on_demand = min(size, base) + -(-max(0, size - base) * percentage // 100)
    return group.capacity - group.spot_capacity >= on_demand


def tags_for(group: Group, resolved: Resolved) -> dict[str, str]:
    """The tags of an instance that is launched for a group: the template's, and over them the group's."""
    tags = dict(resolved.tags)
    tags.update({key: tag.value for key, tag in group.tags.items() if tag.propagate})
    tags["aws:autoscaling:groupName"] = group.name
    if resolved.source.template_id:
        tags["aws:ec2launchtemplate:id"] = resolved.source.template_id
        tags["aws:ec2launchtemplate:version"] = resolved.source.version
    return tags
