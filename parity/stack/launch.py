"""Containers made from a compose service's definition through the Engine API, one by one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import docker.types
from docker.models.containers import Container

from parity.errors import EngineError
from parity.stack import compose, owner
from parity.stack.engine import engine, translated

#: What a compose service may state and a launched container follows.
_SAME_NAME = (
    "user",
    "working_dir",
    "stop_signal",
    "mem_limit",
    "init",
    "cap_add",
    "cap_drop",
    "extra_hosts",
    "shm_size",
    "privileged",
    "read_only",
    "security_opt",
    "sysctls",
)
#: What says nothing about one container's process, or is parity's to decide.
_PASSED_OVER = frozenset(
    {
        "depends_on",
        "deploy",
        "labels",
        "networks",
        "restart",
        "expose",
        "ports",
        "container_name",
        "build",
        "logging",
        "hostname",
        "stop_grace_period",
        "scale",
        "profiles",
        "pull_policy",
        "stdin_open",
        "tty",
        "healthcheck",
    }
)
_HANDLED = frozenset(("image", "command", "entrypoint", "environment", "volumes", "tmpfs", "ulimits", "cpus"))
#: In microseconds: a limit of processors is a quota of each such period, as the engine's own `--cpus` makes it.
CPU_PERIOD_US = 100_000


def cannot_follow(service: dict[str, Any]) -> list[str]:
    """The keys of a compose service that `create` cannot follow."""
    unknown = set(service) - set(_SAME_NAME) - _PASSED_OVER - _HANDLED
    return sorted(key for key in unknown if service[key] and not key.startswith("x-"))


def create(
    service: dict[str, Any],
    *,
    image: str,
    name: str,
    network: str,
    alias: str,
    environment: dict[str, str],
    labels: dict[str, str],
    stdin: bool = False,
    link_local: str = "",
    mounts: Sequence[docker.types.Mount] = (),
    more: Mapping[str, Any] | None = None,
) -> Container:
    """Create (not start) a container as the compose service states it.

    Args:
        service: The merged service, with nothing that `cannot_follow` names.
        image: The image reference to use.
        name: The container's name.
        network: The stack's network.
        alias: The container's name on it.
        environment: Added to the service's own; wins.
        labels: For the reaper.
        stdin: Whether its standard input stays open.
        link_local: A further address of 169.254.0.0/16 on the network.
        mounts: Beside the service's own volumes.
        more: Further options of the Engine API's client; they win.

    Raises:
        EngineError: The engine refuses.
    """
    options: dict[str, Any] = {key: service[key] for key in _SAME_NAME if key in service}
    options |= {key: value for key in ("command", "entrypoint") if (value := words(service, key)) is not None}
    # Not `nano_cpus`: what has that takes no other quota, which a fault may have to give it.
    if cpus := compose.cpus(service):
        options |= {"cpu_period": CPU_PERIOD_US, "cpu_quota": round(cpus * CPU_PERIOD_US)}
    options |= more or {}
    addresses = [link_local] if link_local else None
    with translated(f"create {name} from {image}"):
        container: Container = engine().containers.create(
            image,
            name=name,
            environment=_environment(service.get("environment")) | environment,
            mounts=[*(_mount(volume, labels) for volume in service.get("volumes") or []), *mounts],
            tmpfs=dict.fromkeys(_as_list(service.get("tmpfs")), ""),
            ulimits=_ulimits(service.get("ulimits") or {}),
            labels=labels,
            stdin_open=stdin,
            network=network,
            networking_config={network: docker.types.EndpointConfig("1.41", aliases=[alias], link_local_ips=addresses)},
            **options,
        )
    return container


def words(service: dict[str, Any], key: str) -> list[str] | None:
    """A service's `command` or `entrypoint` as words; None where it states none."""
    value = service.get(key)
    if value is None:
        return None
    # Compose writes `$$` for a dollar sign that is not to be interpolated.
    return [part.replace("$$", "$") for part in (shlex.split(value) if isinstance(value, str) else value)]


def address(container: Container) -> str:
    """A container's address on its (first) network; empty while it has none."""
    with translated(f"look up the address of {container.name}"):
        container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    return next((str(network["IPAddress"]) for network in networks.values()), "")


def start(container: Container) -> None:
    """Start a container.

    Raises:
        EngineError: The engine refuses; carries its words.
    """
    with translated(f"start {container.name}"):
        container.start()


def remove(container: Container) -> None:
    """Remove a container and its anonymous volumes, running or not; one that is gone already is no error."""
    try:
        with translated(f"remove {container.name}"):
            container.remove(force=True, v=True)
    except EngineError as error:
        gone = isinstance(error.__cause__, docker.errors.NotFound)
        if not gone and "already in progress" not in str(error):
            raise


def _environment(given: Any) -> dict[str, str]:
    """What a service sets. A variable without a value is one that the user's own environment did not have."""
    if isinstance(given, list):
        given = {key: value if equals else None for key, equals, value in (str(item).partition("=") for item in given)}
    return {str(key): str(value).replace("$$", "$") for key, value in (given or {}).items() if value is not None}


def _mount(volume: Any, labels: dict[str, str]) -> docker.types.Mount:
    """A volume in either syntax. A named one is the stack's own, under the name the compose tool gives it."""
    if not isinstance(volume, dict):
        volume = _long_syntax(str(volume))
    kind, source = volume.get("type", "volume"), volume.get("source")
    read_only = bool(volume.get("read_only"))
    if kind != "volume":
        return docker.types.Mount(volume["target"], source, type=kind, read_only=read_only)
    name = f"parity-{labels[owner.LABEL_STACK]}_{source}" if source else None
    return docker.types.Mount(volume["target"], name, type=kind, read_only=read_only, labels=labels)


def _long_syntax(volume: str) -> dict[str, Any]:
    source, colon, rest = volume.partition(":")
    if not colon:
        return {"type": "volume", "target": source}
    target, _, mode = rest.partition(":")
    kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
    return {"type": kind, "source": source, "target": target, "read_only": "ro" in mode.split(",")}


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _ulimits(ulimits: dict[str, Any]) -> list[docker.types.Ulimit]:
    pairs = {
        name: value if isinstance(value, dict) else {"soft": value, "hard": value} for name, value in ulimits.items()
    }
    return [docker.types.Ulimit(name=name, soft=pair["soft"], hard=pair["hard"]) for name, pair in pairs.items()]
