"""Launch templates: a name, and versions that never change, one of them the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import (
    check_ids,
    checked_user_data,
    describing,
    page_of,
    refuse_dry_run,
    specified_tags,
    tag_list,
)
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import LaunchTemplate, TemplateVersion
from parity.model.scaling.times import iso

LATEST, DEFAULT = "$Latest", "$Default"


def template_of(region: Region, given: Mapping[str, Any]) -> LaunchTemplate:
    """The launch template that a call or a specification names.

    Args:
        region: Where it is.
        given: Has `LaunchTemplateId` or `LaunchTemplateName`.

    Raises:
        ServiceError: It names none, two, or one that does not exist.
    """
    template_id, name = given.get("LaunchTemplateId"), given.get("LaunchTemplateName")
    if template_id and name:
        raise ServiceError(
            "InvalidParameterCombination",
            "The launch template ID and the launch template name cannot both be specified.",
        )
    if template_id:
        if check_ids([template_id], region.state.launch_templates, prefix="lt-", code="InvalidLaunchTemplateId"):
            raise ServiceError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {template_id}, does not exist.",
            )
        return region.state.launch_templates[template_id]
    if not name:
        raise ServiceError(
            "MissingParameter", "The request must contain the parameter launchTemplateId or launchTemplateName"
        )
    found = _by_name(region, name)
    if found is None:
        raise ServiceError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name}, does not exist.",
        )
    return found


def version_of(template: LaunchTemplate, version: str) -> TemplateVersion:
    """A version by its number, `$Latest` or `$Default`; empty counts as `$Default`.

    Raises:
        ServiceError: There is none.
    """
    number = number_of(template, version)
    if number not in template.versions:
        raise ServiceError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {version} for the launch template with ID {template.template_id}.",
        )
    return template.versions[number]


def number_of(template: LaunchTemplate, version: str) -> int:
    """The number that a version goes by, whether there is one or not; 0 where it is no number."""
    if not version or version == DEFAULT:
        return template.default_version
    if version == LATEST:
        return max(template.versions)
    return int(version) if version.isascii() and version.isdecimal() else 0


@operation("ec2", "CreateLaunchTemplate")
def _create(region: Region, request: Request) -> Answer:
    name = request["LaunchTemplateName"]
    if _by_name(region, name):
        raise ServiceError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
    tags = specified_tags(request.get("TagSpecifications"), "launch-template")
    data = _checked(request["LaunchTemplateData"])
    refuse_dry_run(request)
    template = LaunchTemplate(template_id=region.new_id("lt-"), name=name, created_us=region.now_us, tags=tags)
    template.versions[1] = TemplateVersion(
        number=1,
        created_us=region.now_us,
        description=request.get("VersionDescription", ""),
        data=data,
    )
    region.state.launch_templates[template.template_id] = template
    return {"LaunchTemplate": _shown(region, template)}


@operation("ec2", "CreateLaunchTemplateVersion")
def _create_version(region: Region, request: Request) -> Answer:
    template = template_of(region, request)
    data = _checked(request["LaunchTemplateData"])
    if source := request.get("SourceVersion"):
        # What the new version states stands; a structure or list replaces the source's as a whole.
        data = version_of(template, source).data | data
    refuse_dry_run(request)
    template.latest_version += 1
    version = TemplateVersion(
        number=template.latest_version,
        created_us=region.now_us,
        description=request.get("VersionDescription", ""),
        data=data,
    )
    template.versions[version.number] = version
    return {"LaunchTemplateVersion": _shown_version(region, template, version)}


@describing("DescribeLaunchTemplates")
def _describe(region: Region, request: Request) -> Answer:
    if ids := request.get("LaunchTemplateIds"):
        templates = [template_of(region, {"LaunchTemplateId": given}) for given in ids]
    elif names := request.get("LaunchTemplateNames"):
        found = [_by_name(region, name) for name in names]
        templates = [template for template in found if template]
        if len(templates) < len(found):
            raise ServiceError(
                "InvalidLaunchTemplateName.NotFoundException",
                "At least one of the launch templates specified in the request does not exist.",
            )
    else:
        templates = list(region.state.launch_templates.values())
    templates = filters.chosen(templates, request.get("Filters"), _FIELDS, tags=lambda template: template.tags)
    shown, after = page_of(templates, request, key=lambda template: template.template_id)
    return {"LaunchTemplates": [_shown(region, template) for template in shown], **after}


@describing("DescribeLaunchTemplateVersions")
def _describe_versions(region: Region, request: Request) -> Answer:
    stated = request.get("Versions") or []
    if request.get("LaunchTemplateId") or request.get("LaunchTemplateName"):
        template = template_of(region, request)
        found = [(template, version) for version in _stated_versions(template, stated, request)]
    elif stated and set(stated) <= {LATEST, DEFAULT}:
        found = [
            (template, version)
            for template in region.state.launch_templates.values()
            for version in _stated_versions(template, stated, {})
        ]
    else:
        raise ServiceError(
            "InvalidParameterValue" if stated else "MissingParameter",
            "To describe the launch template data for all your launch templates, for '--versions' specify '$Latest',"
            " '$Default', or both, and omit '--launch-template-id', '--launch-template-name', and version numbers."
            " To describe the launch template data for a specific launch template, specify '--launch-template-id' or"
            " '--launch-template-name', and for '--versions' specify one or more of the following values: '$Latest',"
            " '$Default', or one or more version numbers.",
        )
    found = filters.chosen(found, request.get("Filters"), _VERSION_FIELDS)
    shown, after = page_of(found, request, key=lambda pair: f"{pair[0].template_id}:{pair[1].number}")
    return {"LaunchTemplateVersions": [_shown_version(region, *pair) for pair in shown], **after}


@operation("ec2", "ModifyLaunchTemplate")
def _modify(region: Region, request: Request) -> Answer:
    template = template_of(region, request)
    version = request.get("DefaultVersion") or ""
    number = version_of(template, version).number
    refuse_dry_run(request)
    template.default_version = number
    return {"LaunchTemplate": _shown(region, template)}


@operation("ec2", "DeleteLaunchTemplate")
def _delete(region: Region, request: Request) -> Answer:
    template = template_of(region, request)
    refuse_dry_run(request)
    del region.state.launch_templates[template.template_id]
    return {"LaunchTemplate": _shown(region, template)}


@operation("ec2", "DeleteLaunchTemplateVersions")
def _delete_versions(region: Region, request: Request) -> Answer:
    template = template_of(region, request)
    refuse_dry_run(request)
    deleted, kept = [], []
    for stated in request["Versions"]:
        number = number_of(template, stated)
        shown = {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "VersionNumber": number,
        }
        if refused := _why_kept(template, number):
            code, message = refused
            kept.append({**shown, "ResponseError": {"Code": code, "Message": message}})
        else:
            del template.versions[number]
            deleted.append(shown)
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": deleted,
        "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
    }


def _checked(data: Mapping[str, Any]) -> dict[str, Any]:
    checked_user_data(data.get("UserData") or "")
    return dict(data)


def _why_kept(template: LaunchTemplate, number: int) -> tuple[str, str] | None:
    if number not in template.versions:
        return "launchTemplateVersionDoesNotExist", f"The specified launch template version {number} does not exist."
    if number == template.default_version:
        return "unexpectedError", "The default version of a launch template cannot be deleted."
    return None


def _by_name(region: Region, name: str) -> LaunchTemplate | None:
    return next((template for template in region.state.launch_templates.values() if template.name == name), None)


def _stated_versions(template: LaunchTemplate, stated: list[str], request: Request) -> list[TemplateVersion]:
    """The versions asked for, newest first where none is named."""
    if stated:
        numbers = dict.fromkeys(version_of(template, version).number for version in stated)
        return [template.versions[number] for number in numbers]
    low = number_of(template, request.get("MinVersion") or "1")
    high = number_of(template, request.get("MaxVersion") or LATEST)
    return [template.versions[number] for number in sorted(template.versions, reverse=True) if low <= number <= high]


def _shown(region: Region, template: LaunchTemplate) -> Answer:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created_us,
        "CreatedBy": _creator(region),
        "DefaultVersionNumber": template.default_version,
        "LatestVersionNumber": max(template.versions),
        "Tags": tag_list(template.tags),
    }


def _shown_version(region: Region, template: LaunchTemplate, version: TemplateVersion) -> Answer:
    described = {"VersionDescription": version.description} if version.description else {}
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "VersionNumber": version.number,
        **described,
        "CreateTime": version.created_us,
        "CreatedBy": _creator(region),
        "DefaultVersion": version.number == template.default_version,
        "LaunchTemplateData": version.data,
    }


def _creator(region: Region) -> str:
    return f"arn:aws:iam::{region.state.account_id}:root"


def _stated(data: Mapping[str, Any], name: str) -> list[str]:
    return [str(data[name])] if name in data else []


_FIELDS: filters.Fields[LaunchTemplate] = {
    "create-time": lambda template: [iso(template.created_us)],
    "launch-template-name": lambda template: [template.name],
}
_VERSION_FIELDS: filters.Fields[tuple[LaunchTemplate, TemplateVersion]] = {
    "create-time": lambda pair: [iso(pair[1].created_us)],
    "image-id": lambda pair: _stated(pair[1].data, "ImageId"),
    "instance-type": lambda pair: _stated(pair[1].data, "InstanceType"),
    "is-default-version": lambda pair: ["true" if pair[1].number == pair[0].default_version else "false"],
    "kernel-id": lambda pair: _stated(pair[1].data, "KernelId"),
    "ram-disk-id": lambda pair: _stated(pair[1].data, "RamDiskId"),
}
