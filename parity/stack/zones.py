"""Availability zones: each is a network of the stack, with the backing services on it under their names.

The services keep the stack's own network, as the first: names lead there, `eth0` is there, and faults of the network
work there as they always did. Runs have their containers on it; only the instances of a group are in zones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import docker.errors
from docker.models.containers import Container
from docker.models.networks import Network

from parity.stack.engine import engine, translated


def ensure_zones(
    zones: Sequence[str], *, project: str, services: Mapping[str, Container], labels: Mapping[str, str]
) -> dict[str, str]:
    """Have a network for each zone, and the services on all of them.

    Args:
        zones: Their names.
        project: What the networks' names begin with.
        services: The containers that every zone sees, by the names it sees them by.
        labels: For the networks.

    Returns:
        The network of each zone.

    Raises:
        EngineError: The engine refuses, for example because it has no address range left.
    """
    networks = {zone: _ensure(network_of(zone, project=project), labels) for zone in zones}
    joins = [(network, name, container) for network in networks.values() for name, container in services.items()]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda join: _join(*join), joins))
    return {zone: str(network.name) for zone, network in networks.items()}


def network_of(zone: str, *, project: str) -> str:
    """The name of a zone's network.

    It sorts after the stack's own, `PROJECT_default`: names lead to the network that sorts first.
    """
    return f"{project}_zone-{zone}"


def _ensure(name: str, labels: Mapping[str, str]) -> Network:
    with translated(f"make the network {name}"):
        found = engine().networks.list(names=[name])
        exact = [network for network in found if network.name == name]
        return exact[0] if exact else engine().networks.create(name, labels=dict(labels), check_duplicate=True)


def _join(network: Network, name: str, container: Container) -> None:
    with translated(f"connect {container.name} to {network.name}"):
        try:
            network.connect(container, aliases=[name])
        except docker.errors.APIError as error:
            if "already exists in network" not in str(error):
                raise
