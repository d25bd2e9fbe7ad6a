"""What the attending process consists of: region, instances, endpoint and measurements, put together."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity.aws.controller import Controller, revive
from parity.aws.endpoint import Endpoint
from parity.aws.journal import Journal
from parity.aws.metadata import Metadata
from parity.aws.notifier import Notifier
from parity.aws.others import Others
from parity.aws.server import FileSocket, Server, loopback_socket
from parity.errors import ParityError
from parity.model.scaling.balancing.health_checks import HealthCheck, health_check_of
from parity.model.scaling.balancing.routing import Routing, routing_of
from parity.model.scaling.ec2 import images as model_images
from parity.model.scaling.groups import zones as model_zones
from parity.model.scaling.state import State
from parity.model.scaling.world import Input
from parity.service.backlog import Backlog
from parity.service.furnish import Told, furnish, tell_images
from parity.service.meter import Meter
from parity.service.own import Own
from parity.service.papers import Address, Given, last_port, write_address
from parity.stack import attendant, compose, launch, network, relay
from parity.stack.amis import Amis
from parity.stack.balancer import Balancer
from parity.stack.description import Description, load_stack
from parity.stack.events import Events
from parity.stack.fleet import Fleet
from parity.stack.haproxy import Runtime
from parity.stack.instances import Instances, Making
from parity.stack.processor import Processor
from parity.stack.stack import Stack, blueprint
from parity.stack.zones import ensure_zones

#: The virtual host and the database of a kept stack's own group; runs have theirs.
NAMESPACE = "live"
KEY = "parity"
#: A bridge of the kernel's has room for 1023 containers, and a machine for fewer.
INSTANCES_MAX = 1000

log = logging.getLogger("parity")


class Attendant:
    """All that attends a stack; entered and left by the process.

    Args:
        given: What to attend.
        folder: The stack's folder.
    """

    def __init__(self, given: Given, folder: Path) -> None:
        self._given = given
        self._folder = folder
        self._own_folder = attendant.folder_of(folder)
        self._left = contextlib.ExitStack()

    def __enter__(self) -> Address:
        """Begin to attend.

        Raises:
            ParityError: Something of it cannot be had.
        """
        try:
            return self._begin()
        except BaseException:
            self._left.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._left.close()

    def _begin(self) -> Address:
        given = self._given
        plan = blueprint(load_stack(given.stack, root=Path(given.root)))
        stack = Stack(given.stack_id, plan, given.images, given.labels)
        self._left.callback(stack.close)
        description = plan.files.description
        service = plan.services[description.worker.service]
        networks = ensure_zones(
            description.group.zones, project=stack.project, services=stack.containers, labels=stack.labels
        )
        fleet, instances = self._fleet(stack, service, networks)
        self._balance(fleet, stack, description)
        controller = self._controller(fleet, description, networks)
        self._serve(controller, instances, stack, networks)
        controller.start()
        # What is registered is known by now: nothing that a load balancer has is taken for a stranger's.
        fleet.targets.start()
        # From the last to the first: no container is made any more, and then nothing is told.
        self._left.callback(controller.stop)
        self._left.callback(fleet.close)
        self._own.is_open = True
        self._images(controller, own={stack.images[plan.services[name]["image"]] for name in plan.application})
        furnished = self._own_folder / "furnished"
        if not furnished.exists():
            furnish(controller, plan.files, image=stack.images[service["image"]])
            furnished.touch()
        self._meter(fleet, stack, service)
        address = Address(
            pid=os.getpid(), port=self._server.port, url=self._server.url, region=description.group.region
        )
        write_address(self._folder, address)
        return address

    def _fleet(self, stack: Stack, service: dict[str, Any], networks: Mapping[str, str]) -> tuple[Fleet, Instances]:
        description = stack.plan.files.description
        self._virtual_host = _make_namespace(stack, description)
        making = Making(
            name=description.worker.service,
            service=service,
            networks=networks,
            environment=_environment(description),
            project=stack.project,
            folder=self._folder / "instances",
            labels=stack.labels,
        )
        instances = Instances(making)
        amis = Amis(stack.id, id_of=model_images.image_id_of, tag_of=model_images.tag_of)
        self._amis = amis
        return Fleet(instances, amis, tell=self._tell, check_of=self._check_of, say=log.warning), instances

    def _balance(self, fleet: Fleet, stack: Stack, description: Description) -> None:
        """Have the stack's own load balancer, where it has one, send to the instances."""
        section = description.balancer
        if section is None:
            return
        container = stack.containers[section.service]
        runtime = Runtime(lambda: (launch.address(container), section.runtime_port), backend=section.backend)
        fleet.targets.balancer = Balancer(
            runtime,
            name=section.service,
            tell=self._tell,
            address_of=fleet.address,
            routing_of=self._routing_of,
            say=log.warning,
        )

    def _controller(self, fleet: Fleet, description: Description, networks: Mapping[str, str]) -> Controller:
        journal = Journal(self._own_folder / "region")
        region, clock = revive(journal, lambda: _new_state(description, networks))
        self._others = Others(region.state.account_id, self._own_folder)
        notifier = Notifier(self._others)
        self._controlling = Controller(region, fleet, clock, journal, notify=notifier)
        self._left.callback(self._others.close)
        self._left.callback(notifier.close)
        return self._controlling

    def _tell(self, fact: Input) -> None:
        self._controlling.tell(fact)

    def _check_of(self, target_group: str) -> HealthCheck | None:
        def look(state: State) -> HealthCheck | None:
            group = state.target_groups.get(target_group)
            return health_check_of(group) if group is not None else None

        return self._controlling.look(look)

    def _routing_of(self, target_group: str) -> Routing | None:
        return self._controlling.look(lambda state: routing_of(state, target_group))

    def _serve(self, controller: Controller, instances: Instances, stack: Stack, networks: Mapping[str, str]) -> None:
        """Listen for people and for instances: before any instance boots, which may ask at once."""
        self._own = Own(Endpoint(controller, self._others), stack_id=stack.id, project=stack.project)
        port = last_port(self._folder) or self._given.port
        self._server = Server(self._own, [loopback_socket(port)])
        sockets = self._folder / "sockets"
        inside = Server(self._own, [FileSocket(sockets / relay.ENDPOINT_SOCKET)], relayed=True)
        told = Metadata(controller, instances.at)
        metadata = Server(told, [FileSocket(sockets / relay.METADATA_SOCKET)], relayed=True)
        for server in (self._server, inside, metadata):
            server.start()
            self._left.callback(server.stop)
        relay.ensure_relay(
            image=stack.images["parity/tools"],
            project=stack.project,
            networks=networks,
            folder=sockets,
            labels=stack.labels,
        )

    def _images(self, controller: Controller, *, own: set[str]) -> None:
        """Tell of every image that there is, and of those to come; of each once, so that one can be deregistered."""
        told = Told(self._own_folder / "images.json")

        def tell() -> None:
            with contextlib.suppress(ParityError):
                tell_images(controller, told.new_of(self._amis.tags()), own=own)

        tell()
        events = Events(
            {"type": "image", "event": ["tag", "pull", "load", "import"]}, on_event=lambda _: tell(), on_gap=tell
        )
        events.start()
        self._left.callback(events.close)

    def _meter(self, fleet: Fleet, stack: Stack, service: dict[str, Any]) -> None:
        backlog = Backlog(stack.broker, self._virtual_host, stack.plan.files.description.queues.work)
        meter = Meter(
            Processor(lambda instance_id: f"{stack.project}-{instance_id}", cpus=compose.cpus(service)),
            backlog,
            instances=fleet.running,
            tell=self._tell,
            period_s=self._given.period_s,
            say=log.warning,
            requests=fleet.targets.balancer.measure if fleet.targets.balancer is not None else tuple,
        )
        self._own.depths = lambda: meter.depths
        meter.start()
        self._left.callback(meter.stop)


def _new_state(description: Description, networks: Mapping[str, str]) -> State:
    region = description.group.region
    zones = model_zones.of_region(region, "".join(sorted(zone[-1] for zone in description.group.zones)))
    for zone in zones:
        zone.cidr = network.subnet(networks[zone.name])[0]
    return State(seed=secrets.randbelow(2**53), region=region, zones=zones, instances_max=INSTANCES_MAX)


def _make_namespace(stack: Stack, description: Description) -> str:
    """Make the group's virtual host and database; returns the virtual host its application uses."""
    templates = description.environment.values()
    if any("{database}" in template for template in templates):
        stack.database.create(NAMESPACE)
    if any("{virtual_host}" in template for template in templates):
        for node in stack.broker.create_virtual_host(NAMESPACE):
            log.warning("the virtual host %s was stopped on %s, and was started", NAMESPACE, node)
        return NAMESPACE
    # It was not told of another, so it uses the broker's own.
    return "/"


def _environment(description: Description) -> dict[str, str]:
    """What instances are told: where their namespace is, and where the AWS API is as they see it."""
    values = {"virtual_host": NAMESPACE, "database": NAMESPACE}
    told = {
        key: re.sub(r"\{(virtual_host|database)\}", lambda found: values[found[1]], template)
        for key, template in description.environment.items()
    }
    return {
        "AWS_ENDPOINT_URL": f"http://{relay.ADDRESS}:{relay.ENDPOINT_PORT}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": description.group.region,
    } | told


def wait_for_end(ended: threading.Event, folder: Path, *, every_s: float = 2.0) -> None:
    """Wait until the process is told to end, or what it attends is gone."""
    lock = attendant.folder_of(folder) / "lock"
    while not ended.wait(every_s):
        if not lock.exists():
            log.warning("the folder %s is gone, and so is what was attended", folder)
            return
