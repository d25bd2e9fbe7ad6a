"""Launch configurations: made, described, deleted, never changed."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import launch
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Instance, LaunchConfiguration

CONFIGURATIONS_MAX = 200
PAGE, PAGE_MAX = 50, 100
USER_DATA_BYTES_MAX = 16_384
#: What is kept as it is stated, and what is shown where nothing was.
KEPT: dict[str, Any] = {
    "AssociatePublicIpAddress": None,
    "BlockDeviceMappings": [],
    "ClassicLinkVPCId": None,
    "ClassicLinkVPCSecurityGroups": [],
    "EbsOptimized": False,
    "IamInstanceProfile": None,
    "InstanceMonitoring": {"Enabled": True},
    "KernelId": "",
    "KeyName": "",
    "MetadataOptions": None,
    "PlacementTenancy": None,
    "RamdiskId": "",
    "SecurityGroups": [],
    "SpotPrice": None,
}


@operation("autoscaling", "CreateLaunchConfiguration")
def create(region: Region, request: Request) -> Answer:
    """Make a launch configuration, from what is stated or after an instance."""
    name = request["LaunchConfigurationName"]
    check_name(region, name)
    given = dict(request)
    if instance_id := request.get("InstanceId"):
        given = {**_after(instance_of(region, instance_id)), **given}
    if not given.get("ImageId") or not given.get("InstanceType"):
        raise ServiceError(
            "ValidationError",
            "Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType "
            "parameters.",
        )
    _check_user_data(given.get("UserData") or "")
    add(region, name, given)
    return {}


def check_name(region: Region, name: str) -> None:
    """See to it that there can be another launch configuration, of that name.

    Raises:
        ServiceError: The name is taken, or there are too many.
    """
    if name in region.state.launch_configurations:
        raise ServiceError(
            "AlreadyExists",
            "Launch Configuration by this name already exists - "
            f"A launch configuration already exists with the name {name}",
        )
    if len(region.state.launch_configurations) >= CONFIGURATIONS_MAX:
        raise ServiceError("LimitExceeded", "Only 200 launch configurations are allowed for this AWS account.")


def add(region: Region, name: str, given: dict[str, Any]) -> LaunchConfiguration:
    """Keep a launch configuration that was found to be in order."""
    configuration = LaunchConfiguration(
        name=name,
        arn=region.arn("autoscaling", f"launchConfiguration:{region.new_uuid()}:launchConfigurationName/{name}"),
        created_us=region.now_us,
        image_id=given["ImageId"],
        instance_type=given["InstanceType"],
        user_data=given.get("UserData") or "",
        extra={key: given[key] for key in KEPT if given.get(key) is not None},
    )
    region.state.launch_configurations[name] = configuration
    return configuration


def add_after(region: Region, name: str, instance_id: str) -> LaunchConfiguration:
    """Make a launch configuration after an instance, as a group that is created after one has it."""
    return add(region, name, _after(instance_of(region, instance_id)))


def instance_of(region: Region, instance_id: str) -> Instance:
    """An instance that something is to be made after.

    Raises:
        ServiceError: There is none that runs.
    """
    instance = region.state.instances.get(instance_id)
    if instance is None or instance.state in {"terminated", "shutting-down"}:
        raise ServiceError("ValidationError", f"Invalid Instance ID: {instance_id}")
    return instance


def _after(instance: Instance) -> dict[str, Any]:
    return {
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "UserData": instance.user_data,
        "KeyName": instance.key_name,
    }


def _check_user_data(text: str) -> None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServiceError("ValidationError", "Invalid BASE64 encoding of user data") from error
    if len(data) > USER_DATA_BYTES_MAX:
        raise ServiceError("ValidationError", "User data is limited to 16384 bytes")


@operation("autoscaling", "DescribeLaunchConfigurations", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """Launch configurations: those named, or all."""
    names = request.get("LaunchConfigurationNames")
    every = region.state.launch_configurations
    found = [every[name] for name in names if name in every] if names else list(every.values())
    limit = min(request.get("MaxRecords") or PAGE, PAGE_MAX)
    chosen, after = page(found, token=request.get("NextToken"), limit=limit, key=lambda one: one.name)
    answer: Answer = {"LaunchConfigurations": [_shown(one) for one in chosen]}
    if after:
        answer["NextToken"] = after
    return answer


def _shown(configuration: LaunchConfiguration) -> Answer:
    kept = {key: configuration.extra.get(key, default) for key, default in KEPT.items()}
    return {
        "LaunchConfigurationName": configuration.name,
        "LaunchConfigurationARN": configuration.arn,
        "ImageId": configuration.image_id,
        "InstanceType": configuration.instance_type,
        "UserData": configuration.user_data,
        "CreatedTime": configuration.created_us,
        **{key: value for key, value in kept.items() if value is not None},
    }


@operation("autoscaling", "DeleteLaunchConfiguration")
def delete(region: Region, request: Request) -> Answer:
    """Delete a launch configuration that no group uses."""
    configuration = launch.configuration_of(region, request["LaunchConfigurationName"])
    for group in region.state.groups.values():
        if group.source.configuration == configuration.name:
            raise ServiceError(
                "ResourceInUse",
                f"Cannot delete launch configuration {configuration.name} because it is attached to AutoScalingGroup "
                f"{group.name}",
            )
    del region.state.launch_configurations[configuration.name]
    return {}
