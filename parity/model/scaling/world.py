"""What a region asks of the world, and what it is told of it: the only ways out and in beside calls of its API."""

from __future__ import annotations

from typing import Any

import msgspec


class Launch(msgspec.Struct, frozen=True, tag=True):
    """Start an instance under this id; asked once, and answered by `Running` or `LaunchFailed`.

    Args:
        instance_id: Chosen by the region, so that an instance that is there already is known again.
        image_id: As the launch source states it: an `ami-...` or what the world knows as an image.
        instance_type: As stated.
        zone: The availability zone.
        subnet_id: The subnet in that zone.
        user_data: Base64, as stated; empty where there is none.
        group: The Auto Scaling group; empty for an instance of nobody's.
        tags: On the instance.
    """

    instance_id: str
    image_id: str
    instance_type: str = ""
    zone: str = ""
    subnet_id: str = ""
    user_data: str = ""
    group: str = ""
    tags: dict[str, str] = {}


class Terminate(msgspec.Struct, frozen=True, tag=True):
    """Stop an instance and remove it; answered by `Removed`."""

    instance_id: str


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Stop an instance and keep it; answered by `Stopped`."""

    instance_id: str


class Start(msgspec.Struct, frozen=True, tag=True):
    """Start a stopped instance again; answered by `Running` or `LaunchFailed`."""

    instance_id: str


class Reboot(msgspec.Struct, frozen=True, tag=True):
    """Restart an instance; not answered."""

    instance_id: str


class CreateImage(msgspec.Struct, frozen=True, tag=True):
    """Make an image of an instance; answered by `ImageMade` or `ImageFailed`."""

    image_id: str
    instance_id: str
    name: str


class RemoveImage(msgspec.Struct, frozen=True, tag=True):
    """Forget an image that `CreateImage` made; not answered."""

    image_id: str


class Register(msgspec.Struct, frozen=True, tag=True):
    """Have a load balancer send requests to an instance; answered by `TargetHealth`."""

    target_group: str
    instance_id: str
    port: int


class Deregister(msgspec.Struct, frozen=True, tag=True):
    """Have a load balancer send an instance no more; answered by `Deregistered` once it has none under way, if ever."""

    target_group: str
    instance_id: str


class CutOff(msgspec.Struct, frozen=True, tag=True):
    """Have a load balancer end what is under way at an instance that drained for long enough; not answered."""

    target_group: str
    instance_id: str


class Notify(msgspec.Struct, frozen=True, tag=True):
    """Send a message to an SNS topic or an SQS queue; not answered."""

    target_arn: str
    message: dict[str, Any]


Action = (
    Launch | Terminate | Stop | Start | Reboot | CreateImage | RemoveImage | Register | Deregister | CutOff | Notify
)


class Running(msgspec.Struct, frozen=True, tag=True):
    """An instance runs.

    Args:
        instance_id: Which.
        private_ip: Its address.
        image_digest: What really runs, where the world knows it.
    """

    instance_id: str
    private_ip: str = ""
    image_digest: str = ""


class LaunchFailed(msgspec.Struct, frozen=True, tag=True):
    """An instance could not be started; nothing is left of it. `code` is EC2's, such as `InvalidAMIID.NotFound`."""

    instance_id: str
    message: str
    code: str = ""


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """An instance does not run any more, asked to or not, and is still there."""

    instance_id: str
    reason: str = ""


class Removed(msgspec.Struct, frozen=True, tag=True):
    """Nothing is left of an instance, asked for or not."""

    instance_id: str
    reason: str = ""


class Checked(msgspec.Struct, frozen=True, tag=True):
    """EC2's status checks of a running instance came out otherwise than before: it hangs, or answers again."""

    instance_id: str
    healthy: bool


class TargetHealth(msgspec.Struct, frozen=True, tag=True):
    """A load balancer's health check of an instance came out otherwise than before.

    Args:
        target_group: Whose check.
        instance_id: Of which.
        healthy: How.
        reason: ELBv2's word for why it is not, such as `Target.Timeout`.
        code: With `Target.ResponseCodeMismatch`: what it answered.
    """

    target_group: str
    instance_id: str
    healthy: bool
    reason: str = ""
    code: int = 0


class Deregistered(msgspec.Struct, frozen=True, tag=True):
    """A load balancer has nothing under way at an instance any more."""

    target_group: str
    instance_id: str


class SpotNotice(msgspec.Struct, frozen=True, tag=True):
    """EC2 takes a spot instance back in two minutes."""

    instance_id: str


class Rebalance(msgspec.Struct, frozen=True, tag=True):
    """EC2 says that a spot instance may be taken back soon."""

    instance_id: str


class ZoneState(msgspec.Struct, frozen=True, tag=True):
    """Whether a zone takes launches."""

    zone: str
    available: bool


class ImageMade(msgspec.Struct, frozen=True, tag=True):
    """An image is there: made when asked to, or found. `tag` is what the world calls it."""

    image_id: str
    name: str
    tag: str
    digest: str = ""


class ImageFailed(msgspec.Struct, frozen=True, tag=True):
    """An image could not be made."""

    image_id: str
    message: str


class Measured(msgspec.Struct, frozen=True, tag=True):
    """A datapoint of a metric, as PutMetricData has it.

    Args:
        namespace: Such as `AWS/EC2`.
        name: Such as `CPUUtilization`.
        dimensions: Pairs of name and value, sorted by name.
        total: The sum of the samples.
        count: How many samples it sums up.
        low: The smallest sample.
        high: The largest.
    """

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    total: float
    count: float = 1.0
    low: float = 0.0
    high: float = 0.0


Input = (
    Running
    | LaunchFailed
    | Stopped
    | Removed
    | Checked
    | TargetHealth
    | Deregistered
    | SpotNotice
    | Rebalance
    | ZoneState
    | ImageMade
    | ImageFailed
    | Measured
)
