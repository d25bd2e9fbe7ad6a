"""What a region asked of the world and has no answer to, told from its state."""

from __future__ import annotations

from collections.abc import Iterator

from parity.model.scaling.groups.machines import launch_of
from parity.model.scaling.region import Region
from parity.model.scaling.state import Instance, TargetGroup
from parity.model.scaling.world import Action, CreateImage, Deregister, Register, Start, Stop, Terminate


def outstanding(region: Region) -> list[Action]:
    """What has to be asked for again after a restart, instances first."""
    state = region.state
    asked = [action for instance in state.instances.values() for action in _of_instance(instance)]
    asked += [action for group in state.target_groups.values() for action in _of_targets(group)]
    asked += [
        CreateImage(image.image_id, image.source_instance_id, image.name)
        for image in state.images.values()
        if image.state == "pending"
    ]
    return asked


def _of_instance(instance: Instance) -> Iterator[Action]:
    match instance.state:
        case "pending":
            yield Start(instance.instance_id) if instance.ran else launch_of(instance)
        case "stopping":
            yield Stop(instance.instance_id)
        case "shutting-down":
            yield Terminate(instance.instance_id)


def _of_targets(group: TargetGroup) -> Iterator[Action]:
    for target in group.targets.values():
        if target.state == "draining":
            yield Deregister(group.arn, target.instance_id)
        else:
            yield Register(group.arn, target.instance_id, target.port)
