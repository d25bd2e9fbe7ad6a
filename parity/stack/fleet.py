"""Instances as containers: carries out what a region asks, and tells it what becomes of them.

What concerns one instance happens in its order, in its lane: actions, and looking at it after the engine told of
something. So a fact never overtakes another about the same instance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker.errors

from parity.errors import EngineError
from parity.model.scaling.balancing.health_checks import HealthCheck
from parity.model.scaling.state import Instance
from parity.model.scaling.world import (
    Action,
    Checked,
    CreateImage,
    CutOff,
    Deregister,
    ImageFailed,
    ImageMade,
    Input,
    Launch,
    LaunchFailed,
    Reboot,
    Register,
    Removed,
    RemoveImage,
    Running,
    Start,
    Stop,
    Stopped,
    Terminate,
)
from parity.stack import boot, owner
from parity.stack.amis import Amis
from parity.stack.events import Events
from parity.stack.instances import LABEL_INSTANCE, Instances, Seen, seen
from parity.stack.lanes import Lanes
from parity.stack.targets import Targets

Tell = Callable[[Input], None]
Progress = Callable[[str], None]
#: What may have become of an instance when the engine tells of it.
_TELLING = ["die", "destroy", "pause", "unpause", "start", "health_status"]
_RETRY_S = 2.0
_WHAT = {
    Launch: "launch",
    Start: "start",
    Stop: "stop",
    Reboot: "reboot",
    Terminate: "termination",
    CreateImage: "image",
    RemoveImage: "image removal",
}


class Fleet:
    """The instances of a stack.

    Args:
        instances: Their containers.
        amis: The images that they are started from.
        tell: Where facts go, from any thread.
        check_of: How a target group, by its ARN, has its targets checked; None: it is gone.
        say: Told what went wrong with the engine.
    """

    def __init__(
        self,
        instances: Instances,
        amis: Amis,
        *,
        tell: Tell,
        check_of: Callable[[str], HealthCheck | None],
        say: Progress,
    ) -> None:
        self._instances = instances
        self._amis = amis
        self._tell = tell
        self._say = say
        self._lanes = Lanes()
        self.targets = Targets(tell, check_of=check_of, address_of=self.address)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        #: As they were when the region was told of them last. An instance that is in nobody's hands is not in it.
        self._known: dict[str, Seen] = {}
        #: Which are to be looked at already, so that a burst of events is one look.
        self._looking: set[str] = set()
        stack_id = instances.making.labels[owner.LABEL_STACK]
        self._events = Events(
            {"type": "container", "label": [f"{owner.LABEL_STACK}={stack_id}", LABEL_INSTANCE], "event": _TELLING},
            on_event=self._on_event,
            on_gap=self._look_at_all,
        )

    # What the controller calls.

    def adopt(self, instances: Mapping[str, Instance]) -> None:
        """Take over what an earlier process left.

        Args:
            instances: All that the region knows, by id.

        Raises:
            EngineError: The engine does not say what is there.
        """
        there = self._instances.all()
        strangers = [
            instance_id
            for instance_id in there
            if instance_id not in instances or instances[instance_id].state == "terminated"
        ]
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(self._instances.remove, strangers))
        for instance_id, instance in instances.items():
            if instance.state in {"running", "stopped"}:
                container = there.get(instance_id)
                found = seen(container.attrs) if container is not None else None
                self._known[instance_id] = Seen(running=instance.state == "running", well=instance.ok)
                self._tell_difference(instance_id, found, again=True)
        self._events.start()

    def apply(self, actions: Sequence[Action]) -> None:
        """Begin to carry actions out."""
        for action in actions:
            match action:
                case Register() | Deregister() | CutOff():
                    self.targets.apply(action)
                case CreateImage(image_id=image_id) | RemoveImage(image_id=image_id):
                    lane = action.instance_id if isinstance(action, CreateImage) else image_id
                    self._begin(lane, action)
                case Launch() | Start() | Stop() | Terminate() | Reboot():
                    self._begin(action.instance_id, action)

    def busy(self) -> bool:
        """Whether an action is under way."""
        return bool(self._lanes.under_way())

    def under_way(self) -> str:
        """What is under way, in words."""
        return ", ".join(
            f"{count} {what}{'s' if count > 1 else ''}" for what, count in sorted(self._lanes.under_way().items())
        )

    def close(self) -> None:
        """Leave the instances as they are; returns once no container is being made any more."""
        self._closed.set()
        self._events.close()
        self.targets.close()
        self._lanes.close()

    # What others ask.

    def address(self, instance_id: str) -> str:
        """The address of an instance that runs; empty otherwise."""
        known = self._known.get(instance_id)
        return known.address if known is not None and known.running else ""

    def running(self) -> list[str]:
        """The instances that run."""
        with self._lock:
            return [instance_id for instance_id, known in self._known.items() if known.running]

    # Actions, each in its instance's lane.

    def _begin(self, lane: str, action: Action) -> None:
        patient = isinstance(action, Stop | Terminate | Reboot)
        self._lanes.put(lane, lambda: self._carry_out(action), what=_WHAT[type(action)], patient=patient)

    def _carry_out(self, action: Action) -> None:
        match action:
            case Launch():
                self._launch(action)
            case Start(instance_id=instance_id):
                self._start(instance_id)
            case Stop(instance_id=instance_id):
                self._insist(f"stop {instance_id}", lambda: self._stop(instance_id))
            case Terminate(instance_id=instance_id):
                self._insist(f"terminate {instance_id}", lambda: self._terminate(instance_id))
            case Reboot(instance_id=instance_id):
                self._try(f"reboot {instance_id}", lambda: self._reboot(instance_id))
            case CreateImage():
                self._create_image(action)
            case RemoveImage(image_id=image_id):
                self._try(f"remove the image {image_id}", lambda: self._amis.remove(image_id))

    def _launch(self, asked: Launch) -> None:
        try:
            image = self._amis.find(asked.image_id)
            if image is None:
                self._tell(_no_image(asked))
                return
            container = self._instances.make(asked, image)
            # One that ran and stopped while nobody saw it is told as it is: it must not boot a second time.
            found = (
                self._instances.start(container) if container.status == "created" else self._instances.look(container)
            )
        except EngineError as error:
            if isinstance(error.__cause__, docker.errors.ImageNotFound):
                self._tell(_no_image(asked))
            else:
                self._fail(asked.instance_id, error)
            return
        self._tell(Running(asked.instance_id, private_ip=found.address, image_digest=found.digest))
        self._know(asked.instance_id, Seen(running=True, address=found.address))
        self._tell_difference(asked.instance_id, found)

    def _fail(self, instance_id: str, error: EngineError) -> None:
        self._insist(f"remove {instance_id}", lambda: self._instances.remove(instance_id))
        self._say(f"{instance_id} cannot be launched: {error}")
        self._tell(LaunchFailed(instance_id, str(error), code="Server.InternalError"))

    def _start(self, instance_id: str) -> None:
        try:
            container = self._instances.find(instance_id)
            if container is None:
                self._tell(LaunchFailed(instance_id, "it is not there any more", code="InvalidInstanceID.NotFound"))
                return
            found = self._instances.start(container)
        except EngineError as error:
            self._fail(instance_id, error)
            return
        self._tell(Running(instance_id, private_ip=found.address, image_digest=found.digest))
        self._know(instance_id, found)

    def _stop(self, instance_id: str) -> None:
        container = self._instances.find(instance_id)
        if container is None:
            self._forget(instance_id)
            self._tell(Removed(instance_id, reason="it is not there any more"))
            return
        self._instances.stop(container)
        self._know(instance_id, Seen(running=False))
        self._tell(Stopped(instance_id))

    def _terminate(self, instance_id: str) -> None:
        container = self._instances.find(instance_id)
        if container is not None and container.status in {"running", "paused"}:
            self._instances.stop(container)
        self._instances.remove(instance_id)
        self._forget(instance_id)
        self._tell(Removed(instance_id))

    def _reboot(self, instance_id: str) -> None:
        container = self._instances.find(instance_id)
        if container is not None:
            self._instances.restart(container)
            self._look(instance_id)

    def _create_image(self, asked: CreateImage) -> None:
        try:
            container = self._instances.find(asked.instance_id)
            if container is None:
                self._tell(ImageFailed(asked.image_id, f"the instance {asked.instance_id} is not there any more"))
                return
            made = self._amis.make(asked.image_id, container, service=self._instances.making.service)
        except EngineError as error:
            self._say(f"{asked.image_id} cannot be made: {error}")
            self._tell(ImageFailed(asked.image_id, str(error)))
            return
        self._tell(ImageMade(asked.image_id, name=asked.name, tag=made.tags[0], digest=str(made.id)))

    # Watching, each look in its instance's lane.

    def _on_event(self, event: dict[str, Any]) -> None:
        instance_id = event["Actor"]["Attributes"].get(LABEL_INSTANCE, "")
        known = self._known.get(instance_id)
        # Who is being launched is looked at by who launches it.
        if known is not None and not (known.running and event["Action"] == "start"):
            self._look_soon(instance_id)

    def _look_at_all(self) -> None:
        with self._lock:
            known = list(self._known)
        for instance_id in known:
            self._look_soon(instance_id)

    def _look_soon(self, instance_id: str) -> None:
        with self._lock:
            if instance_id in self._looking:
                return
            self._looking.add(instance_id)
        self._lanes.put(instance_id, lambda: self._look(instance_id))

    def _look(self, instance_id: str) -> None:
        with self._lock:
            self._looking.discard(instance_id)
        if instance_id not in self._known:
            return
        try:
            container = self._instances.find(instance_id)
        except EngineError as error:
            # An engine that does not answer ends its events too, and everything is looked at when it is back.
            self._say(str(error))
            return
        self._tell_difference(instance_id, seen(container.attrs) if container is not None else None)

    def _tell_difference(self, instance_id: str, found: Seen | None, *, again: bool = False) -> None:
        """Tell how an instance is, where that is not how it was."""
        known = self._known[instance_id]
        if found is None:
            self._forget(instance_id)
            self._tell(Removed(instance_id, reason="its container was removed"))
            return
        self._know(instance_id, found)
        if not found.running:
            if known.running:
                boot.mark_booted(self._instances.making.folder / instance_id)
                self._tell(Stopped(instance_id, reason=found.reason))
            return
        if again or not known.running or known.address != found.address:
            self._tell(Running(instance_id, private_ip=found.address, image_digest=found.digest))
        if known.well != found.well:
            self._tell(Checked(instance_id, healthy=found.well))

    def _know(self, instance_id: str, as_it_is: Seen) -> None:
        with self._lock:
            self._known[instance_id] = as_it_is

    def _forget(self, instance_id: str) -> None:
        with self._lock:
            self._known.pop(instance_id, None)

    def _try(self, doing: str, work: Callable[[], None]) -> bool:
        try:
            work()
        except EngineError as error:
            self._say(f"{doing}: {error}")
            return False
        return True

    def _insist(self, doing: str, work: Callable[[], None]) -> None:
        """Try until the engine does it, or this is closed: what must end has no other way."""
        while not self._try(doing, work) and not self._closed.is_set():
            time.sleep(_RETRY_S)


def _no_image(asked: Launch) -> LaunchFailed:
    message = f"The image id '[{asked.image_id}]' does not exist"
    return LaunchFailed(asked.instance_id, message, code="InvalidAMIID.NotFound")
