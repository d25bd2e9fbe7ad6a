"""A stack of containers: brought up once, shared by runs, each in a namespace of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from parity.errors import CancelledError, ParityError, SourceError, StackError
from parity.scenario.source import joined
from parity.stack import compose, launch, network, owner
from parity.stack.broker import Broker
from parity.stack.database import Database
from parity.stack.description import StackFiles
from parity.stack.engine import Filters, engine, log_tail, translated, wait_for
from parity.stack.images import ensure_images, image_digest
from parity.stack.reaper import remove_stack
from parity.stack.undo import UNDO, UndoJournal

Progress = Callable[[str], None]
#: How often a service may be started again before its stack counts as broken.
_STARTS_MAX = 3
_TOOLS = "parity/tools"


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What a stack is made from, known before anything is started.

    Args:
        files: The files and the x-parity section.
        services: Every service, merged by the compose tool.
    """

    files: StackFiles
    services: dict[str, dict[str, Any]]

    @property
    def application(self) -> set[str]:
        """The services that each run starts for itself: the worker and the way to submit."""
        description = self.files.description
        return {name for name in (description.worker.service, description.submit.service) if name}

    @property
    def backing(self) -> dict[str, dict[str, Any]]:
        """The services that runs share."""
        return {name: service for name, service in self.services.items() if name not in self.application}

    def fingerprint(self) -> str:
        """The same for blueprints whose backing services are the same, so that they can share a stack."""
        text = json.dumps(
            {name: _in_order(service) for name, service in self.backing.items()}, sort_keys=True, default=str
        )
        text += repr(self.files.description.database) + repr(self.files.description.broker)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _in_order(service: dict[str, Any]) -> dict[str, Any]:
    """A service with its volumes sorted: the compose tool sorts them too, but only where it merges an overlay."""
    return service | {"volumes": sorted(service.get("volumes") or [], key=repr)}


def blueprint(files: StackFiles) -> Blueprint:
    """Have the compose tool merge a stack's files.

    Raises:
        SourceError: It refuses them, or they state what parity cannot follow.
        EngineError: There is no compose tool.
    """
    plan = Blueprint(files=files, services=compose.merged_services(files))
    wrong = [
        f"the service {name} names no image; parity needs one by name"
        for name, service in plan.services.items()
        if "image" not in service
    ]
    wrong += [
        f"the service {name} states `{key}`, which parity cannot follow for the containers it makes one by one"
        for name in sorted(plan.application)
        for key in launch.cannot_follow(plan.services[name])
    ]
    if wrong:
        raise joined(SourceError(message, file=str(files.compose_files[-1])) for message in wrong)
    return plan


class Stack:
    """A running stack.

    Args:
        stack_id: Its id; part of every name.
        plan: What it was made from.
        images: For each image name of the compose file the reference used.
        labels: What everything of it carries.
        cancelled: Set from another thread to end every wait for it.
    """

    def __init__(
        self,
        stack_id: str,
        plan: Blueprint,
        images: dict[str, str],
        labels: dict[str, str],
        *,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.id = stack_id
        self._cancelled = cancelled or threading.Event()
        self.plan = plan
        self.images = images
        self.labels = labels
        self.project = f"parity-{stack_id}"
        self.network = f"{self.project}_default"
        self._starts: Counter[str] = Counter()
        # Beside the lock that the labels name, where the reaper looks, whoever brought the stack up.
        self.undo = UndoJournal(Path(labels[owner.LABEL_LOCK]).parent / UNDO)
        self.containers = self._find_containers()
        description = plan.files.description
        nodes = {service: self.containers[service] for service in description.broker.services}
        self.broker = Broker(description.broker, nodes)
        self.database = Database(description.database, self.containers[description.database.service])

    def _find_containers(self) -> dict[str, Container]:
        with translated(f"list the containers of {self.project}"):
            found = engine().containers.list(all=True, filters=self._own(), ignore_removed=True)
        by_service = {str(container.labels["com.docker.compose.service"]): container for container in found}
        missing = sorted(set(self.plan.backing) - set(by_service))
        if missing:
            raise StackError(f"the compose tool made no container for {', '.join(missing)}")
        return by_service

    def _own(self) -> Filters:
        return {"label": f"com.docker.compose.project={self.project}"}

    def close(self) -> None:
        """Close parity's own connections; the containers stay."""
        self.broker.close()
        self.database.close()

    def wait_ready(self, *, within_s: float) -> None:
        """Wait until every node runs, sees the others, and the database answers.

        Raises:
            NotReadyError: They don't in time; names the services with their last lines.
            CancelledError: It was cancelled.
        """
        wait_for(
            f"the stack {self.plan.files.name}",
            self._look_ready,
            within_s=within_s,
            every_s=0.25,
            hint=self._last_lines_of_the_unready,
        )
        self._starts.clear()

    def _look_ready(self) -> tuple[bool | None, str]:
        if self._cancelled.is_set():
            raise CancelledError("the wait was cancelled")
        self.start_dead()
        states = self.broker.node_states()
        database = self.database.is_ready()
        last = ", ".join(f"{name} {state}" for name, state in states.items())
        last += f", {self.database.section.service} {'ready' if database else 'not ready'}"
        ready = database and all(state == "running" for state in states.values())
        return (True if ready else None), last

    def start_dead(self) -> list[str]:
        """Start backing services again that died by themselves, as a supervisor in production does.

        RabbitMQ 3.10 nodes that boot at the same moment can crash over each other's feature flags; the next
        start succeeds. A service that dies time and again is an error.

        Returns:
            Each service started, with its exit code.

        Raises:
            StackError: A service died more often than a supervisor would bear; carries its last lines.
        """
        started = []
        with translated(f"look at the containers of {self.project}"):
            # One question for all of them; whoever is not in the answer is gone, which the reload says.
            found = engine().containers.list(all=True, sparse=True, filters=self._own())
            states = {one.id: str(one.attrs["State"]) for one in found}
            for name, container in self.containers.items():
                if states.get(container.id, "dead") not in {"exited", "dead"}:
                    continue
                container.reload()
                if container.status not in {"exited", "dead"}:
                    continue
                self._starts[name] += 1
                if self._starts[name] > _STARTS_MAX:
                    raise StackError(f"{name} dies time and again; its last lines:\n{log_tail(container)}")
                started.append(f"{name} (exit code {container.attrs['State']['ExitCode']})")
                container.start()
                self.broker.forget_ports()
        return started

    def restart(self, service: str) -> None:
        """Kill a backing service and start it again."""
        with translated(f"restart {service}"):
            self.containers[service].restart(timeout=0)
        self.broker.forget_ports()

    def _last_lines_of_the_unready(self) -> str:
        states = self.broker.node_states()
        unready = [name for name, state in states.items() if state != "running"]
        if not self.database.is_ready():
            unready.append(self.database.section.service)
        return "\n".join(f"last lines of {name}:\n{log_tail(self.containers[name])}" for name in unready)

    @property
    def tools(self) -> str:
        """The network tools' image."""
        return self.images[_TOOLS]

    def use_images(self, plan: Blueprint, progress: Progress) -> None:
        """Have the images of another blueprint at hand, whose application is to run on this stack."""
        if not {service["image"] for service in plan.services.values()} <= self.images.keys():
            self.images |= prepare_images(plan, progress)

    def image_digests(self, plan: Blueprint) -> dict[str, str]:
        """For each service of a blueprint the digest of the image it runs."""
        return {name: image_digest(self.images[service["image"]]) for name, service in plan.services.items()}

    @contextlib.contextmanager
    def namespace(self, name: str) -> Iterator[Namespace]:
        """A fresh virtual host and a database from the template, gone when the block is left."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            made = pool.submit(self.broker.create_virtual_host, name)
            copied = pool.submit(self.database.create, name)
            started_on = tuple(made.result())
            copied.result()
        try:
            yield Namespace(stack=self, name=name, started_on=started_on)
        finally:
            # What a run leaves behind on a stack that is about to go must not hide why the run ended.
            for act in (self.broker.delete_virtual_host, self.database.drop):
                with contextlib.suppress(ParityError):
                    act(name)


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A run's own part of a stack.

    Args:
        stack: The stack.
        name: The virtual host and the database, both called so.
        started_on: The broker's nodes where the virtual host was stopped, and was started.
    """

    stack: Stack
    name: str
    started_on: tuple[str, ...] = ()

    def make_container(
        self,
        service: str,
        instance: str,
        number: int,
        *,
        settings: dict[str, Any],
        plan: Blueprint,
        stdin: bool = False,
        told: Mapping[str, str] | None = None,
    ) -> Container:
        """Create a container of an application service, told where this run's namespace is.

        Args:
            service: The compose service.
            instance: The instance's name in the run.
            number: The instance's number, from 1; the application may start at another node by it.
            settings: The scenario's settings.
            plan: The blueprint of the run's own stack, whose application may differ from the shared one's.
            stdin: Whether its standard input stays open.
            told: What it is told besides, as variables; wins.
        """
        stack = self.stack
        values = {"virtual_host": self.name, "database": self.name, "instance": str(number)}
        environment = {
            key: re.sub(r"\{(virtual_host|database|instance)\}", lambda found: values[found[1]], template)
            for key, template in plan.files.description.environment.items()
        }
        definition = plan.services[service]
        known = plan.files.description.settings
        turned = {
            known[name].environment: str(value) for name, value in settings.items() if service in known[name].services
        }
        return launch.create(
            definition,
            image=stack.images[definition["image"]],
            name=f"{stack.project}-{self.name}-{instance}",
            network=stack.network,
            alias=instance,
            environment=environment | turned | dict(told or {}),
            labels=stack.labels | {owner.LABEL_RUN: self.name, owner.LABEL_ROLE: service},
            stdin=stdin,
        )


@contextlib.contextmanager
def running_stack(
    plan: Blueprint, *, progress: Progress, keep: bool = False, cancelled: threading.Event | None = None
) -> Iterator[Stack]:
    """Bring a stack up, hold it while the block runs, and take it down.

    Args:
        plan: What to bring up.
        progress: Told what takes time.
        keep: Leave it up when the block is left without an error (`parity up`).
        cancelled: Set from another thread to end every wait for it.

    Raises:
        ParityError: It does not come up; whatever was started is gone again.
    """
    stack_id = owner.new_stack_id()
    with owner.held(owner.lock_path(stack_id)) as mine:
        assert mine, "a fresh stack id is nobody else's"
        leave = False
        try:
            stack = _bring_up(stack_id, plan, progress, keep=keep, cancelled=cancelled)
            try:
                if keep:
                    owner.mark_kept(stack_id)
                yield stack
                leave = keep
            finally:
                stack.close()
        finally:
            if not leave:
                progress("taking the stack down")
                remove_stack(stack_id, folder=owner.stack_folder(stack_id))


def prepare_images(plan: Blueprint, progress: Progress) -> dict[str, str]:
    """Make every image of a blueprint available, and the network tools.

    Returns:
        For each image name the reference to use.

    Raises:
        ImageError: One cannot be had.
    """
    files = plan.files
    names = [str(service["image"]) for service in plan.services.values()]
    images = ensure_images([*names, _TOOLS], folder=(files.folder / files.description.images), progress=progress)
    network.use_tools(images[_TOOLS])
    return images


def _bring_up(
    stack_id: str, plan: Blueprint, progress: Progress, *, keep: bool, cancelled: threading.Event | None
) -> Stack:
    files = plan.files
    images = prepare_images(plan, progress)
    labels = {
        owner.LABEL_STACK: stack_id,
        owner.LABEL_HOST: owner.host_name(),
        owner.LABEL_LOCK: str(owner.lock_path(stack_id)),
        owner.LABEL_KEPT: "1" if keep else "0",
        owner.LABEL_FINGERPRINT: plan.fingerprint(),
        owner.LABEL_NAME: files.name,
    }
    description = files.description
    ports = {
        service: [description.broker.management_port, description.broker.amqp_port]
        for service in description.broker.services
    }
    ports[description.database.service] = [description.database.port]
    file = owner.stack_folder(stack_id) / "compose.yaml"
    file.write_text(compose.render(plan.backing, ports=ports, images=images, labels=labels))
    progress(f"bringing up {', '.join(plan.backing)}")
    compose.up(file, project=f"parity-{stack_id}")
    stack = Stack(stack_id, plan, images, labels, cancelled=cancelled)
    try:
        progress("waiting for the cluster and the database")
        stack.wait_ready(within_s=description.ready_within)
        stack.database.make_template(files.folder)
    except BaseException:
        stack.close()
        raise
    return stack
