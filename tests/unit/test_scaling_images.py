"""Machine images: found, made of an instance, registered; and what is no longer one."""

from __future__ import annotations

import pytest
from scaling_region import BEGIN_US, IMAGE_ID, TAG, Bench

from parity.model.scaling.ec2.images import image_id_of, tag_of
from parity.model.scaling.state import Instance
from parity.model.scaling.world import CreateImage, ImageFailed, ImageMade, RemoveImage

INSTANCE_ID = "i-00000000000000001"


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.region.state.instances[INSTANCE_ID] = Instance(
        instance_id=INSTANCE_ID,
        image_id=IMAGE_ID,
        instance_type="t3.micro",
        zone="us-east-1a",
        subnet_id="subnet-1",
        launched_us=BEGIN_US,
        state="running",
    )
    return bench


def states(bench: Bench) -> dict[str, str]:
    return {image["ImageId"]: image["State"] for image in bench.ec2("DescribeImages", Owners=["self"])["Images"]}


def test_the_same_tag_is_always_the_same_image() -> None:
    assert image_id_of(TAG) == "ami-4f3c4894c84c8d746"
    assert image_id_of(TAG) != image_id_of("shop/worker:v2")
    assert image_id_of(tag_of("ami-0123456789abcdef0")) == "ami-0123456789abcdef0"


def test_an_image_is_pending_until_the_world_made_it(bench: Bench) -> None:
    image_id = bench.ec2("CreateImage", InstanceId=INSTANCE_ID, Name="worker v2")["ImageId"]
    assert bench.asked(CreateImage) == [CreateImage(image_id=image_id, instance_id=INSTANCE_ID, name="worker v2")]
    assert states(bench) == {IMAGE_ID: "available", image_id: "pending"}
    bench.kept()
    bench.tell(ImageMade(image_id=image_id, name="worker v2", tag=tag_of(image_id), digest="sha256:1"))
    assert states(bench)[image_id] == "available"
    (shown,) = bench.ec2("DescribeImages", Filters=[{"Name": "name", "Values": ["*v2"]}])["Images"]
    assert (shown["SourceInstanceId"], shown["OwnerId"]) == (INSTANCE_ID, "000000000000")


def test_an_image_that_could_not_be_made_says_why(bench: Bench) -> None:
    image_id = bench.ec2("CreateImage", InstanceId=INSTANCE_ID, Name="worker v2")["ImageId"]
    bench.tell(ImageFailed(image_id=image_id, message="no space left"))
    (shown,) = bench.ec2("DescribeImages", ImageIds=[image_id])["Images"]
    assert (shown["State"], shown["StateReason"]["Message"]) == ("failed", "no space left")
    # Its name is free again.
    assert bench.ec2("CreateImage", InstanceId=INSTANCE_ID, Name="worker v2")["ImageId"] != image_id


def test_a_deregistered_image_is_gone_and_removed_if_it_was_made(bench: Bench) -> None:
    made = bench.ec2("CreateImage", InstanceId=INSTANCE_ID, Name="worker v2")["ImageId"]
    early = bench.ec2("CreateImage", InstanceId=INSTANCE_ID, Name="worker v3")["ImageId"]
    bench.tell(ImageMade(image_id=made, name="worker v2", tag=tag_of(made)))
    for image_id in (made, early, IMAGE_ID):
        bench.ec2("DeregisterImage", ImageId=image_id)
    assert states(bench) == {}
    # What was only found is left alone; what is still being made is removed once it is.
    assert bench.asked(RemoveImage) == [RemoveImage(image_id=made)]
    bench.tell(ImageMade(image_id=early, name="worker v3", tag=tag_of(early)))
    assert bench.asked(RemoveImage) == [RemoveImage(image_id=early)]
    assert states(bench) == {}
    assert bench.refused("ec2", "DeregisterImage", ImageId=early)[0] == "InvalidAMIID.NotFound"


def test_an_image_of_containers_is_registered_by_its_tag(bench: Bench) -> None:
    answer = bench.ec2("RegisterImage", Name="worker v9", ImageLocation="shop/worker:v9")
    assert answer["ImageId"] == image_id_of("shop/worker:v9")
    assert states(bench)[answer["ImageId"]] == "available"
    # Found by the world too, it is one image.
    bench.tell(ImageMade(image_id=answer["ImageId"], name="shop/worker:v9", tag="shop/worker:v9", digest="sha256:9"))
    assert len(states(bench)) == 2


def test_images_of_others_there_are_none(bench: Bench) -> None:
    assert bench.ec2("DescribeImages", Owners=["amazon"])["Images"] == []
    assert bench.ec2("DescribeImages", ExecutableUsers=["all"])["Images"] == []
    assert len(bench.ec2("DescribeImages", Owners=["000000000000"])["Images"]) == 1


def test_what_is_refused(bench: Bench) -> None:
    unknown, other = "ami-00000000000000000", "ami-00000001"
    assert bench.refused("ec2", "DescribeImages", ImageIds=[unknown]) == (
        "InvalidAMIID.NotFound",
        f"The image id '[{unknown}]' does not exist",
    )
    assert bench.refused("ec2", "DescribeImages", ImageIds=[IMAGE_ID, unknown, other]) == (
        "InvalidAMIID.NotFound",
        f"The image ids '[{unknown}, {other}]' do not exist",
    )
    assert bench.refused("ec2", "DescribeImages", ImageIds=["worker"]) == (
        "InvalidAMIID.Malformed",
        'Invalid id: "worker" (expecting "ami-...")',
    )
    assert bench.refused("ec2", "CreateImage", InstanceId=INSTANCE_ID, Name="worker v1") == (
        "InvalidAMIName.Duplicate",
        f"AMI name worker v1 is already in use by AMI {IMAGE_ID}",
    )
    assert bench.refused("ec2", "CreateImage", InstanceId=INSTANCE_ID, Name="?")[0] == "InvalidAMIName.Malformed"
    assert bench.refused("ec2", "CreateImage", InstanceId="i-0", Name="worker")[0] == "InvalidInstanceID.Malformed"
    assert bench.refused("ec2", "CreateImage", InstanceId="i-00000000", Name="worker") == (
        "InvalidInstanceID.NotFound",
        "The instance ID 'i-00000000' does not exist",
    )
    assert bench.refused("ec2", "DeregisterImage", ImageId=IMAGE_ID, DryRun=True)[0] == "DryRunOperation"
