"""Machine images: images of containers under the ids that EC2 would give them."""

from __future__ import annotations

import hashlib
import re

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import check_ids, describing, page_of, refuse_dry_run, specified_tags, tag_list
from parity.model.scaling.region import Answer, Region, Request, fact, operation
from parity.model.scaling.state import Image
from parity.model.scaling.times import iso
from parity.model.scaling.world import CreateImage, ImageFailed, ImageMade, RemoveImage

#: The repository of the images that CreateImage makes; an image's tag in it is its id.
MADE_REPOSITORY = "parity/ami"
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
_MADE = re.compile(re.escape(MADE_REPOSITORY) + r":(ami-[0-9a-f]{17})")


def image_id_of(tag: str) -> str:
    """The id of the image that goes by a tag: always the same one for the same tag.

    Args:
        tag: What the world calls it, such as `shop/worker:v2`, or `tag_of` an id, of which it gives that id again.
    """
    if made := _MADE.fullmatch(tag):
        return made[1]
    return "ami-" + hashlib.blake2b(tag.encode(), digest_size=16).hexdigest()[:17]


def tag_of(image_id: str) -> str:
    """The tag that the world gives to an image that `CreateImage` asks for."""
    return f"{MADE_REPOSITORY}:{image_id}"


def image_of(region: Region, image_id: str) -> Image:
    """An image that instances can be started from, by its id or the tag it goes by.

    Raises:
        ServiceError: There is none, or none yet.
    """
    images = region.state.images
    if not image_id.startswith("ami-") and image_id_of(image_id) in images:
        image_id = image_id_of(image_id)
    _check_known(region, [image_id])
    if images[image_id].state != "available":
        raise ServiceError("InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is no longer available")
    return images[image_id]


def shown_images(region: Region) -> list[Image]:
    """The images that EC2 shows, whatever their state."""
    return [image for image in region.state.images.values() if image.state != "deregistered"]


@describing("DescribeImages")
def _describe(region: Region, request: Request) -> Answer:
    ids = request.get("ImageIds") or []
    _check_known(region, ids)
    images = [region.state.images[image_id] for image_id in ids] if ids else shown_images(region)
    owners = request.get("Owners") or ["self"]
    if not {"self", region.state.account_id} & set(owners) or request.get("ExecutableUsers"):
        # All images are the account's own, and none is shared.
        images = []
    account = region.state.account_id
    images = filters.chosen(
        images,
        request.get("Filters"),
        {**_FIELDS, "owner-id": lambda _: [account], "manifest-location": lambda image: [_location(region, image)]},
        tags=lambda image: image.tags,
    )
    shown, after = page_of(images, request, key=lambda image: image.image_id, ids="ImageIds")
    return {"Images": [_shown(region, image) for image in shown], **after}


@operation("ec2", "CreateImage")
def _create(region: Region, request: Request) -> Answer:
    instance_id, name = request["InstanceId"], request["Name"]
    if check_ids([instance_id], region.state.instances, prefix="i-", code="InvalidInstanceID"):
        raise ServiceError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    if region.state.instances[instance_id].state not in ("running", "stopping", "stopped"):
        raise ServiceError(
            "IncorrectState", f"Instance '{instance_id}' is not in state 'running', 'stopping' or 'stopped'"
        )
    _check_name(region, name)
    tags = specified_tags(request.get("TagSpecifications"), "image")
    refuse_dry_run(request)
    image = Image(
        image_id=region.new_id("ami-"),
        name=name,
        state="pending",
        created_us=region.now_us,
        tags=tags,
        description=request.get("Description", ""),
        source_instance_id=instance_id,
    )
    image.tag = tag_of(image.image_id)
    region.state.images[image.image_id] = image
    region.act(CreateImage(image_id=image.image_id, instance_id=instance_id, name=name))
    return {"ImageId": image.image_id}


@operation("ec2", "RegisterImage")
def _register(region: Region, request: Request) -> Answer:
    """Make an AMI of an image of containers: `ImageLocation`, or else the name, is its tag.

    Whether it is there shows when an instance starts from it.
    """
    name = request.get("Name", "")
    _check_name(region, name)
    tags = specified_tags(request.get("TagSpecifications"), "image")
    tag = request.get("ImageLocation") or name
    image_id = image_id_of(tag)
    if image_id in region.state.images:
        used = region.state.images[image_id].name
        raise ServiceError("InvalidAMIName.Duplicate", f"AMI name {used} is already in use by AMI {image_id}")
    refuse_dry_run(request)
    region.state.images[image_id] = Image(
        image_id=image_id,
        name=name,
        tag=tag,
        created_us=region.now_us,
        tags=tags,
        description=request.get("Description", ""),
    )
    return {"ImageId": image_id}


@operation("ec2", "DeregisterImage")
def _deregister(region: Region, request: Request) -> Answer:
    image_id = request["ImageId"]
    _check_known(region, [image_id])
    refuse_dry_run(request)
    image = region.state.images[image_id]
    if image.state == "pending":
        # Removed once it is made.
        image.state = "deregistered"
    else:
        del region.state.images[image_id]
        if image.source_instance_id and image.state == "available":
            region.act(RemoveImage(image_id=image_id))
    return {"Return": True}


@fact(ImageMade)
def _made(region: Region, made: ImageMade) -> None:
    image = region.state.images.get(made.image_id)
    if image is None:
        image = Image(image_id=made.image_id, name=made.name, created_us=region.now_us)
        region.state.images[made.image_id] = image
    elif image.state == "deregistered":
        del region.state.images[made.image_id]
        region.act(RemoveImage(image_id=made.image_id))
        return
    image.tag, image.digest, image.state, image.reason = made.tag, made.digest, "available", ""


@fact(ImageFailed)
def _failed(region: Region, failed: ImageFailed) -> None:
    image = region.state.images.get(failed.image_id)
    if image and image.state == "deregistered":
        del region.state.images[failed.image_id]
    elif image:
        image.state, image.reason = "failed", failed.message


def _check_known(region: Region, ids: list[str]) -> None:
    known = {image.image_id for image in shown_images(region)}
    if missing := check_ids(ids, known, prefix="ami-", code="InvalidAMIID"):
        several = "s" if len(missing) > 1 else ""
        verb = "do" if several else "does"
        raise ServiceError("InvalidAMIID.NotFound", f"The image id{several} '[{', '.join(missing)}]' {verb} not exist")


def _check_name(region: Region, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ServiceError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and only the"
            " following characters: ( ) [ ] space . / - ' @ _",
        )
    for image in region.state.images.values():
        if image.name == name and image.state in ("available", "pending"):
            raise ServiceError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.image_id}")


def _location(region: Region, image: Image) -> str:
    return f"{region.state.account_id}/{image.name}"


def _shown(region: Region, image: Image) -> Answer:
    shown: Answer = {
        "ImageId": image.image_id,
        "Name": image.name,
        "ImageLocation": image.tag or _location(region, image),
        "State": image.state,
        "OwnerId": region.state.account_id,
        "CreationDate": iso(image.created_us),
        "Public": False,
        "Architecture": "x86_64",
        "ImageType": "machine",
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [],
        "ProductCodes": [],
        "Tags": tag_list(image.tags),
    }
    if image.description:
        shown["Description"] = image.description
    if image.source_instance_id:
        shown["SourceInstanceId"] = image.source_instance_id
    if image.reason:
        shown["StateReason"] = {"Code": "Client.InternalError", "Message": image.reason}
    return shown


_FIELDS: filters.Fields[Image] = {
    "architecture": lambda _: ["x86_64"],
    "creation-date": lambda image: [iso(image.created_us)],
    "description": lambda image: [image.description],
    "ena-support": lambda _: ["true"],
    "hypervisor": lambda _: ["xen"],
    "image-id": lambda image: [image.image_id],
    "image-type": lambda _: ["machine"],
    "is-public": lambda _: ["false"],
    "name": lambda image: [image.name],
    "owner-alias": lambda _: [],
    "platform": lambda _: [],
    "root-device-name": lambda _: ["/dev/xvda"],
    "root-device-type": lambda _: ["ebs"],
    "source-instance-id": lambda image: [image.source_instance_id],
    "state": lambda image: [image.state],
    "state-reason-message": lambda image: [image.reason],
    "virtualization-type": lambda _: ["hvm"],
}
