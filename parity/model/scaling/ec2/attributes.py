"""An instance's attributes, one by one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.ec2.common import checked_user_data, describing, refuse_dry_run
from parity.model.scaling.ec2.instances import instances_of, security_groups
from parity.model.scaling.ec2.running import checked_type
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Instance

#: Attributes of the API and the members of answers and requests that have their values.
MEMBERS = {
    "disableApiStop": "DisableApiStop",
    "disableApiTermination": "DisableApiTermination",
    "ebsOptimized": "EbsOptimized",
    "enaSupport": "EnaSupport",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "instanceType": "InstanceType",
    "kernel": "KernelId",
    "ramdisk": "RamdiskId",
    "rootDeviceName": "RootDeviceName",
    "sourceDestCheck": "SourceDestCheck",
    "sriovNetSupport": "SriovNetSupport",
    "userData": "UserData",
}
#: Those that only a stopped instance may have changed.
_STOPPED_ONLY = ("ebsOptimized", "enaSupport", "instanceType", "kernel", "ramdisk", "sriovNetSupport", "userData")
_DEFAULTS: dict[str, Any] = {
    "disableApiStop": False,
    "disableApiTermination": False,
    "ebsOptimized": False,
    "enaSupport": True,
    "instanceInitiatedShutdownBehavior": "stop",
    "rootDeviceName": "/dev/xvda",
    "sourceDestCheck": True,
    "sriovNetSupport": "simple",
}


@describing("DescribeInstanceAttribute")
def _describe(region: Region, request: Request) -> Answer:
    (instance,) = instances_of(region, [request["InstanceId"]])
    name = request["Attribute"]
    answer: Answer = {"InstanceId": instance.instance_id}
    if name == "groupSet":
        return {**answer, "Groups": security_groups(region, instance)}
    if name == "blockDeviceMapping":
        return {**answer, "BlockDeviceMappings": []}
    if name == "productCodes":
        return {**answer, "ProductCodes": []}
    if name == "enclaveOptions":
        return {**answer, "EnclaveOptions": {"Enabled": False}}
    if name not in MEMBERS:
        raise _unknown(name)
    value = _value(instance, name)
    return {**answer, MEMBERS[name]: {} if value in ("", None) else {"Value": value}}


def _value(instance: Instance, name: str) -> Any:
    if name == "userData":
        return instance.user_data
    if name == "instanceType":
        return instance.instance_type
    return instance.extra.get(MEMBERS[name], _DEFAULTS.get(name))


@operation("ec2", "ModifyInstanceAttribute")
def _modify(region: Region, request: Request) -> Answer:
    (instance,) = instances_of(region, [request["InstanceId"]])
    changes = _changes(request)
    for name in changes:
        if name in _STOPPED_ONLY and instance.state != "stopped":
            raise ServiceError(
                "IncorrectInstanceState", f"The instance '{instance.instance_id}' is not in the 'stopped' state."
            )
    refuse_dry_run(request)
    for name, value in changes.items():
        if name == "userData":
            instance.user_data = value
        elif name == "instanceType":
            instance.instance_type = value
        else:
            instance.extra[MEMBERS.get(name, name)] = value
    return {}


def _changes(request: Request) -> dict[str, Any]:
    """What is to change, by attribute: stated by name and value, or in a member of its own."""
    changes: dict[str, Any] = {}
    if name := request.get("Attribute"):
        if name not in MEMBERS:
            raise _unknown(name)
        value = request.get("Value") or ""
        changes[name] = value.lower() == "true" if isinstance(_DEFAULTS.get(name), bool) else value
    for name, member in MEMBERS.items():
        given = request.get({"kernel": "Kernel", "ramdisk": "Ramdisk"}.get(name, member))
        if isinstance(given, Mapping) and "Value" in given:
            changes[name] = given["Value"]
    if request.get("Groups"):
        changes["SecurityGroupIds"] = list(request["Groups"])
    if "userData" in changes:
        raw = changes["userData"]
        changes["userData"] = checked_user_data(base64.b64encode(raw).decode() if isinstance(raw, bytes) else raw)
    if "instanceType" in changes:
        checked_type(changes["instanceType"])
    if not changes:
        raise ServiceError("InvalidParameterCombination", "No attributes specified.")
    return changes


def _unknown(name: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid. Unknown attribute."
    )
