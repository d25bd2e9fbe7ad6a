"""What carries out a region's actions, as the controller knows it; and one that has instances on paper only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from parity.model.scaling.state import Instance
from parity.model.scaling.world import (
    Action,
    CreateImage,
    Deregister,
    Deregistered,
    ImageMade,
    Input,
    Launch,
    Register,
    Removed,
    Running,
    Start,
    Stop,
    Stopped,
    TargetHealth,
    Terminate,
)

#: Tells the controller a fact; may be called from any thread, and from within `Fleet.apply`.
Tell = Callable[[Input], None]


class Fleet(Protocol):
    """Instances as something that runs.

    It is given a `Tell` when it is made, or before its first action. All of its methods are called by one thread at a
    time and return at once; the work is done elsewhere.
    """

    def apply(self, actions: Sequence[Action]) -> None:
        """Begin to carry actions out, those of one instance in their order.

        Each is answered by telling what `parity.model.scaling.world` says of it, whatever goes wrong. An action may be
        asked for again after a restart: a `Launch` of an instance that runs is answered by `Running`, a `Terminate` of
        one that is not there by `Removed`. `Notify` never comes here.
        """

    def busy(self) -> bool:
        """Whether an action is under way.

        True from `apply` on until what answers the action was told: who sees False, and then looks at what was told,
        misses nothing. Watching whether instances live, or measuring them, is not an action.
        """

    def under_way(self) -> str:
        """What `busy` is about, for the message when it takes too long: `2 launches, 1 removal`."""

    def adopt(self, instances: Mapping[str, Instance]) -> None:
        """Take over what an earlier process left; called once, before the first `apply`.

        Args:
            instances: All that the region knows, by id, terminated ones included. Those that run are told as
                `Running`; those that should and do not as `Stopped` or `Removed`; what is there and not among them, or
                terminated there, is removed. Of `pending`, `stopping` and `shutting-down` ones nothing need be told:
                their actions are asked for again.
        """


class PaperFleet:
    """Instances on paper: each action is answered as done within `apply`. Nothing runs.

    Args:
        tell: Where answers go.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def apply(self, actions: Sequence[Action]) -> None:
        """Answer each."""
        for action in actions:
            if answer := _answer(action):
                self._tell(answer)

    def busy(self) -> bool:
        """Nothing ever is under way."""
        return False

    def under_way(self) -> str:
        """Nothing."""
        return ""

    def adopt(self, instances: Mapping[str, Instance]) -> None:
        """What ran still does: paper does not die."""


def address_of(instance_id: str) -> str:
    """A private address for an instance on paper: the same for the same id."""
    digest = hashlib.blake2b(instance_id.encode(), digest_size=3).digest()
    return f"10.{digest[0]}.{digest[1]}.{digest[2]}"


def _answer(action: Action) -> Input | None:
    match action:
        case Launch(instance_id=instance) | Start(instance_id=instance):
            return Running(instance, private_ip=address_of(instance))
        case Terminate(instance_id=instance):
            return Removed(instance)
        case Stop(instance_id=instance):
            return Stopped(instance)
        case CreateImage(image_id=image, name=name):
            return ImageMade(image, name=name, tag=name)
        case Register(target_group=group, instance_id=instance):
            return TargetHealth(group, instance, healthy=True)
        case Deregister(target_group=group, instance_id=instance):
            return Deregistered(group, instance)
        case _:
            return None
