"""Containers as instances: one by one through the Engine API, known again by their labels."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.models.images import Image

from parity.errors import EngineError
from parity.model.scaling.world import Launch
from parity.stack import boot, compose, launch, owner
from parity.stack.engine import Filters, engine, translated

LABEL_INSTANCE = f"{owner.LABEL}.instance"
LABEL_GROUP = f"{owner.LABEL}.group"
LABEL_ZONE = f"{owner.LABEL}.zone"
#: The address by which the metadata service knows an instance.
LABEL_LINK = f"{owner.LABEL}.link"


@dataclass(frozen=True, kw_only=True)
class Making:
    """What instances are made from.

    Args:
        name: The compose service.
        service: Its definition, merged.
        networks: The network of each availability zone; the first is for launches that name none.
        environment: Added to the service's own; `{instance}` stands for a number of the instance's.
        project: What their names begin with.
        folder: For what is laid ready for them.
        labels: What everything of the stack carries.
    """

    name: str
    service: dict[str, Any]
    networks: Mapping[str, str]
    environment: Mapping[str, str]
    project: str
    folder: Path
    labels: Mapping[str, str]

    @property
    def grace_s(self) -> int:
        """Seconds between SIGTERM and SIGKILL."""
        return compose.stop_grace_s(self.service)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An instance's container as it is.

    Args:
        running: Whether it runs, paused or not.
        well: Whether it is neither paused nor found unhealthy by its service's health check.
        address: On its zone's network.
        digest: Of the image that it runs.
        reason: Why it does not run.
    """

    running: bool
    well: bool = True
    address: str = ""
    digest: str = ""
    reason: str = ""


@dataclass
class Instances:
    """The containers that are instances of a stack.

    Args:
        making: What they are made from.
    """

    making: Making
    _links: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> dict[str, Container]:
        """Every instance's container, running or not; their addresses are taken note of."""
        chosen: Filters = {"label": [f"{owner.LABEL_STACK}={self.making.labels[owner.LABEL_STACK]}", LABEL_INSTANCE]}
        with translated("list the instances"):
            found = engine().containers.list(all=True, filters=chosen, ignore_removed=True)
        containers = {container.labels[LABEL_INSTANCE]: container for container in found}
        with self._lock:
            for instance_id, container in containers.items():
                self._links[container.labels[LABEL_LINK]] = instance_id
        return containers

    def find(self, instance_id: str) -> Container | None:
        """An instance's container; None where there is none."""
        with translated(f"look for {instance_id}"):
            try:
                return engine().containers.get(self._name(instance_id))
            except docker.errors.NotFound:
                return None

    def at(self, address: str) -> str:
        """The instance that asks the metadata service from this address; empty where none does."""
        with self._lock:
            return self._links.get(address, "")

    def make(self, asked: Launch, image: Image) -> Container:
        """Create (not start) an instance; one that is there already is taken as it is.

        Raises:
            EngineError: The engine refuses.
        """
        link = self._take_link(asked.instance_id)
        try:
            return self._create(asked, image, link)
        except EngineError as error:
            if _is_conflict(error) and (found := self.find(asked.instance_id)) is not None:
                return found
            self._forget(asked.instance_id)
            raise

    def _create(self, asked: Launch, image: Image, link: str) -> Container:
        making, instance_id = self.making, asked.instance_id
        # As on a machine, a process that has not come to handle SIGTERM yet ends by it. Process 1 would not hear it.
        more: dict[str, Any] = {"hostname": instance_id, "init": making.service.get("init", True)}
        if healthcheck := compose.healthcheck(making.service):
            more["healthcheck"] = healthcheck
        mounts = []
        if asked.user_data:
            folder = self._folder(instance_id)
            boot.write(folder, asked.user_data)
            mounts.append(boot.mount(folder))
            more |= boot.wrapped(making.service, image)
        number = str(int(hashlib.blake2b(instance_id.encode(), digest_size=2).hexdigest(), 16) + 1)
        return launch.create(
            making.service,
            image=str(image.id),
            name=self._name(instance_id),
            network=making.networks.get(asked.zone) or next(iter(making.networks.values())),
            alias=instance_id,
            environment={key: value.replace("{instance}", number) for key, value in making.environment.items()},
            labels=dict(making.labels)
            | {
                owner.LABEL_ROLE: making.name,
                LABEL_INSTANCE: instance_id,
                LABEL_GROUP: asked.group,
                LABEL_ZONE: asked.zone,
                LABEL_LINK: link,
            },
            link_local=link,
            mounts=mounts,
            more=more,
        )

    def start(self, container: Container) -> Seen:
        """Start an instance that does not run; its user data is run only the first time.

        Raises:
            EngineError: The engine refuses.
        """
        if container.status != "created":
            boot.mark_booted(self._folder(container.labels[LABEL_INSTANCE]))
        launch.start(container)
        self._stopped_mark(container).unlink(missing_ok=True)
        return self.look(container)

    def look(self, container: Container) -> Seen:
        """How a container is now.

        Raises:
            EngineError: It is gone, or the engine does not say.
        """
        with translated(f"look at {container.name}"):
            container.reload()
        return seen(container.attrs)

    def stop(self, container: Container) -> None:
        """Stop an instance gracefully: SIGTERM, the service's grace, SIGKILL."""
        mark = self._stopped_mark(container)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        with translated(f"stop {container.name}"):
            container.stop(timeout=self.making.grace_s)

    def may_start(self, container: Container) -> bool:
        """Whether an instance does not run because it never did, or was stopped when asked to."""
        if container.status == "created":
            return True
        return container.status == "exited" and self._stopped_mark(container).exists()

    def restart(self, container: Container) -> None:
        """Stop an instance gracefully and start it again."""
        boot.mark_booted(self._folder(container.labels[LABEL_INSTANCE]))
        with translated(f"restart {container.name}"):
            container.restart(timeout=self.making.grace_s)

    def remove(self, instance_id: str) -> None:
        """Remove an instance, running or not, and what was laid ready for it; none being there is no error."""
        container = self.find(instance_id)
        if container is not None:
            launch.remove(container)
        self._forget(instance_id)

    def _name(self, instance_id: str) -> str:
        return f"{self.making.project}-{instance_id}"

    def _folder(self, instance_id: str) -> Path:
        return self.making.folder / instance_id

    def _stopped_mark(self, container: Container) -> Path:
        """A file that is there while an instance is stopped because it was asked to be."""
        return self._folder(container.labels[LABEL_INSTANCE]) / "stopped"

    def _forget(self, instance_id: str) -> None:
        boot.forget(self._folder(instance_id))
        with self._lock:
            self._links = {link: owner_id for link, owner_id in self._links.items() if owner_id != instance_id}

    def _take_link(self, instance_id: str) -> str:
        """An address for an instance that no other has."""
        number = int(hashlib.blake2b(instance_id.encode(), digest_size=2).hexdigest(), 16)
        with self._lock:
            while self._links.get(link := _link(number), instance_id) != instance_id:
                number += 1
            self._links[link] = instance_id
        return link


def seen(attributes: Mapping[str, Any]) -> Seen:
    """What the engine tells of a container, as an instance."""
    state = attributes["State"]
    networks = attributes["NetworkSettings"]["Networks"]
    if not state["Running"] or state.get("Restarting"):
        return Seen(running=False, digest=attributes["Image"], reason=_reason(state))
    return Seen(
        running=True,
        well=not state["Paused"] and (state.get("Health") or {}).get("Status") != "unhealthy",
        address=next((str(network["IPAddress"]) for network in networks.values()), ""),
        digest=attributes["Image"],
    )


def _reason(state: Mapping[str, Any]) -> str:
    if state["Status"] == "created":
        return "it was never started"
    why = "out of memory" if state.get("OOMKilled") else str(state.get("Error") or "")
    return f"exit code {state['ExitCode']}" + (f": {why}" if why else "")


def _link(number: int) -> str:
    """An address of 169.254.0.0/16 by number: never one that stands for a service of EC2's, near 169.254.169.254."""
    third, fourth = divmod(number % (250 * 250), 250)
    # 1 to 254, without 168 to 171.
    third = third + 1 if third < 167 else third + 5
    return f"169.254.{third}.{fourth + 2}"


def _is_conflict(error: EngineError) -> bool:
    cause = error.__cause__
    return isinstance(cause, docker.errors.APIError) and cause.status_code == 409
