"""The way from instances to parity itself: 169.254.169.254 on every zone's network, without a trace on the host.

One container has that address on each zone's network, beside an ordinary one. Instances have an address of
169.254.0.0/16 too, so it is their neighbour: no packet for it leaves the network, whatever the host has there. The
container hands connections on to sockets in a folder of the host's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import docker.errors
import docker.types
from docker.models.containers import Container

from parity.stack import launch, owner
from parity.stack.engine import engine, log_tail, translated, wait_for

ADDRESS = "169.254.169.254"
METADATA_PORT = 80
#: Where the AWS endpoint is, as instances see it.
ENDPOINT_PORT = 4566
METADATA_SOCKET = "metadata.sock"
ENDPOINT_SOCKET = "endpoint.sock"
_TARGET = "/sockets"
_READY_S = 15.0


def ensure_relay(
    *, image: str, project: str, networks: Mapping[str, str], folder: Path, labels: Mapping[str, str]
) -> Container:
    """Have the relay run on these networks.

    Args:
        image: The network tools' reference.
        project: What its name begins with.
        networks: The network of each zone.
        folder: Where the host's sockets are, now or later.
        labels: What everything of the stack carries.

    Raises:
        EngineError: The engine refuses.
        NotReadyError: It does not listen.
    """
    name = f"{project}-relay"
    folder.mkdir(parents=True, exist_ok=True)
    with translated("look for the relay"), contextlib.suppress(docker.errors.NotFound):
        found = engine().containers.get(name)
        if found.status == "running" and set(networks.values()) <= set(found.attrs["NetworkSettings"]["Networks"]):
            return found
        launch.remove(found)
    first, *others = networks.values()
    container = launch.create(
        {"command": _command()},
        image=image,
        name=name,
        network=first,
        alias="relay",
        environment={},
        labels=dict(labels) | {owner.LABEL_ROLE: "relay"},
        link_local=ADDRESS,
        mounts=[docker.types.Mount(_TARGET, str(folder), type="bind")],
        more={"init": True},
    )
    with translated("connect the relay to the zones"):
        for network in others:
            engine().networks.get(network).connect(container, link_local_ips=[ADDRESS])
    launch.start(container)
    _wait(container)
    return container


def make_relay(*, image: str, name: str, network: str, folder: Path, labels: Mapping[str, str]) -> Container:
    """Have a relay of a run's own, which its instances know by its name.

    Args:
        image: The network tools' reference.
        name: The container's, and its host name on the network.
        network: The stack's.
        folder: Where the host's sockets are.
        labels: What everything of the run carries.

    Raises:
        EngineError: The engine refuses.
        NotReadyError: It does not listen.
    """
    container = launch.create(
        {"command": _command()},
        image=image,
        name=name,
        network=network,
        alias=name,
        environment={},
        labels=dict(labels) | {owner.LABEL_ROLE: "relay"},
        mounts=[docker.types.Mount(_TARGET, str(folder), type="bind")],
        more={"init": True},
    )
    try:
        launch.start(container)
        _wait(container)
    except BaseException:
        launch.remove(container)
        raise
    return container


def _command() -> list[str]:
    pairs = [f"{METADATA_PORT}={_TARGET}/{METADATA_SOCKET}", f"{ENDPOINT_PORT}={_TARGET}/{ENDPOINT_SOCKET}"]
    return ["python3", "/relay.py", *pairs]


def _wait(container: Container) -> None:
    def look() -> tuple[bool | None, str]:
        text = log_tail(container)
        return (True if "listening" in text else None), text.strip()

    wait_for("the relay", look, within_s=_READY_S, every_s=0.05)
